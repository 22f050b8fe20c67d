"""Specs of the chat models that describe clips and compare texts in VBench-2.0 scoring. Cheap to import."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from rushes.recipe.models import ModelSpec, VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Spec
from rushes_vbench.metrics.models import TextJudge, VideoTeller


class VlmTellerSpec(Spec):
    """A vision-language model that describes in words what a clip shows."""

    spec_name: ClassVar[str] = "vbench2.teller"

    kind: Literal["vlm"] = "vlm"
    model: ModelSpec
    """The model that describes."""
    max_side_px: Annotated[int, Field(ge=32)] = 448
    """Longest side of a frame as the model gets it, pixels; larger frames are shrunk."""
    max_tokens: Annotated[int, Field(ge=16)] = 1024
    """Longest description, tokens; one that is truncated there is not used."""

    def build(self, runtime: RuntimeSpec) -> VideoTeller:
        """The teller; weights are loaded at the first request."""
        from rushes_vbench.metrics.chatting import build_teller

        return build_teller(self, runtime)


class LlmTextJudgeSpec(Spec):
    """A language model that compares what was requested with what was observed."""

    spec_name: ClassVar[str] = "vbench2.text-judge"

    kind: Literal["llm"] = "llm"
    model: ModelSpec
    """The model that compares."""
    max_tokens: Annotated[int, Field(ge=16)] = 512
    """Longest reply, tokens: 512 officially."""

    def build(self, runtime: RuntimeSpec) -> TextJudge:
        """The text judge; weights are loaded at the first request."""
        from rushes.llm.build import chat_model
        from rushes_vbench.metrics.chatting import ChatTextJudge

        return ChatTextJudge(self, chat_model(self.model, runtime))


def _named(value: Any) -> Any:
    """A plug-in may be written as `package.module:Class`, and anything as JSON text; no `kind` means a plug-in."""
    if isinstance(value, str):
        if not value:
            return None
        value = json.loads(value) if value.lstrip().startswith("{") else {"use": value}
    return {"kind": "plugin", **value} if isinstance(value, dict) else value


JudgeNamed = Annotated[
    Annotated[VlmJudgeSpec | PluginSpec, Field(discriminator="kind")] | None, BeforeValidator(_named)
]
"""A judge: `{kind: vlm, model: ...}`, or a plug-in."""
TellerNamed = Annotated[
    Annotated[VlmTellerSpec | PluginSpec, Field(discriminator="kind")] | None, BeforeValidator(_named)
]
"""A teller: `{kind: vlm, model: ...}`, or a plug-in."""
TextJudgeNamed = Annotated[
    Annotated[LlmTextJudgeSpec | PluginSpec, Field(discriminator="kind")] | None, BeforeValidator(_named)
]
"""A text judge: `{kind: llm, model: ...}`, or a plug-in."""
