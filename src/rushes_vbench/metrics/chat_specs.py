"""Which chat models describe clips and compare texts in VBench-2.0 scoring: what a recipe names. Light."""

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
    """A vision-language model that says in words what a clip shows."""

    spec_name: ClassVar[str] = "vbench2.teller"

    kind: Literal["vlm"] = "vlm"
    model: ModelSpec
    """Who watches."""
    max_side_px: Annotated[int, Field(ge=32)] = 448
    """Longest side of a frame as it is shown, pixels; larger frames are made smaller."""
    max_tokens: Annotated[int, Field(ge=16)] = 1024
    """Longest description, tokens; one that is cut off there is not used."""

    def build(self, runtime: RuntimeSpec) -> VideoTeller:
        """The teller; weights are loaded when it is first asked."""
        from rushes_vbench.metrics.chatting import build_teller

        return build_teller(self, runtime)


class LlmTextJudgeSpec(Spec):
    """A language model that compares what was asked with what was observed."""

    spec_name: ClassVar[str] = "vbench2.text-judge"

    kind: Literal["llm"] = "llm"
    model: ModelSpec
    """Who compares."""
    max_tokens: Annotated[int, Field(ge=16)] = 512
    """Longest reply, tokens: 512 officially."""

    def build(self, runtime: RuntimeSpec) -> TextJudge:
        """The text judge; weights are loaded when it is first asked."""
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
