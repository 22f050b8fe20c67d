"""The verbs of Rushes: one-method Protocols over lists, so that batching is the implementer's gain.

Every list that comes back is aligned with the list that went in; an item that failed is a `Failed` in its place, never
a missing element. A plug-in is a `Spec` subclass anywhere whose `build()` returns an object with the one method.

Array legend: T frames, H height, W width, 3 colours; in latents C channels, T latent frames, H W latent size; B batch,
L text tokens, D width.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from rushes.records import Origin, Outcome, Prompt, Question, SamplerSettings, Score, Verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Frames = npt.NDArray[np.uint8]
    """Pixels of one clip: T, H, W, 3; 0 to 255, RGB."""
    Latents = npt.NDArray[np.float32]
    """Latents of one clip: C, T, H, W of the latent grid."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


# ---------------------------------------------------------------------------------------------- specs and runtime


class Runtime(BaseModel):
    """Where and how fast: nothing here may change a result, so nothing here enters a work key."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Spec(BaseModel):
    """What decides a result: a small, picklable description of one role, with `build()`. Enters work keys whole.

    A subclass holds plain values and other Specs, never a Runtime, and its `build()` names the role it returns:

        class DimJudgeSpec(Spec):
            threshold: float = 0.5
            def build(self, runtime: Runtime) -> Judge: ...

    It may also have a method `chat_models` (see `rushes.plan.chat_models.CallsChatModels`), by which `rushes plan`
    counts what the language models behind it cost. Without it the plan does not know the plug-in's time; of its memory
    it counts the models that the fields name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    spec_name: ClassVar[str] = ""
    """Name of this kind of spec inside work keys; set it to keep keys when the class moves. Default "module:Class"."""

    def build(self, runtime: Any) -> Any:
        """Make the working object, heavy imports and weights included; called where the work runs.

        Args:
            runtime: device, batch size, caches: a `Runtime` of the stage; changes speed, never results.
        """
        raise NotImplementedError(f"{type(self).__name__} must define build(self, runtime)")


# ---------------------------------------------------------------------------------------------- failures as values


@dataclass(frozen=True)
class Failed:
    """An item that could not be done; stands in the place of its result."""

    error_type: str
    """Class name of the error."""
    message: str
    """What it said."""
    trace: str = ""
    """Traceback as text; may be empty."""

    @classmethod
    def of(cls, error: BaseException) -> Failed:
        """The value that stands for `error`."""
        trace = "".join(traceback.format_exception(error))[-8000:]
        return cls(error_type=type(error).__name__, message=str(error), trace=trace)


# ---------------------------------------------------------------------------------------------- writing prompts


@dataclass(frozen=True)
class Brief:
    """An order for one prompt."""

    dimension: str
    """Quality dimension to aim at."""
    description: str
    """What the dimension means, in a sentence or two."""
    examples: tuple[str, ...]
    """Seed prompts of the dimension, to write by analogy with."""
    origin: Origin
    """Why the prompt is wanted."""
    index: int
    """Position among the prompts of this dimension and origin, from 0."""
    seed: int
    """Seed of every random choice, from the work key; 0 <= seed < 2**63."""


@dataclass(frozen=True)
class Draft:
    """A text that a writer proposes; the screen decides whether it becomes a prompt."""

    text: str
    """The full text for the model."""
    base_text: str
    """The short idea before augmentation."""
    source: str = ""
    """Where it came from, free words."""
    questions: tuple[Question, ...] = ()
    """Questions, where the writer knows them (a grammar does); else empty and a QuestionWriter is asked."""
    real_clip: Video | None = None
    """The real clip that the text describes, cut to the model's shape; None for invented texts."""


class PromptWriter(Protocol):
    """Focus -> texts."""

    def write(self, briefs: Sequence[Brief]) -> list[Draft | Failed]:
        """One draft per brief, in order; the same brief gives the same text where the writer promises it."""
        ...


@dataclass(frozen=True)
class QuestionRequest:
    """A text that needs questions."""

    text: str
    """The full text given to the model."""
    dimension: str
    """Quality dimension it aims at."""
    description: str
    """What the dimension means."""
    seed: int
    """Seed of every random choice."""


class QuestionWriter(Protocol):
    """Prompt -> yes/no questions with expected answers."""

    def write(self, requests: Sequence[QuestionRequest]) -> list[tuple[Question, ...] | Failed]:
        """The questions of each text, in order; at least one each."""
        ...


class Critic(Protocol):
    """Prompts -> whether a camera could film them."""

    def verdicts(self, prompts: Sequence[Prompt]) -> list[Verdict]:
        """One verdict per prompt, in order; a reply that cannot be used is a verdict without criterion."""
        ...


# ---------------------------------------------------------------------------------------------- filming


@dataclass(frozen=True, eq=False)
class Video:
    """Frames in memory."""

    frames_THWC: Frames
    """Pixels: T, H, W, 3, uint8, RGB."""
    fps: float
    """Frames per second."""


@dataclass(frozen=True)
class ClipRequest:
    """An order for one clip."""

    text: str
    """The prompt."""
    seed: int
    """Seed of the first noise; 0 <= seed < 2**63. Decides the clip whatever else is in the list."""
    sampler: SamplerSettings
    """How to sample."""
    height_px: int
    """Height, pixels."""
    width_px: int
    """Width, pixels."""
    num_frames: int
    """Number of frames."""
    fps: float
    """Frames per second."""
    decode: bool = True
    """False asks for latents alone, where the model has some to give."""


@dataclass(frozen=True, eq=False)
class GeneratedClip:
    """A clip as it left the model."""

    frames_THWC: Frames | None
    """Pixels: T, H, W, 3, uint8, RGB; None where only latents were asked for."""
    latents_CTHW: Latents | None
    """Final latents as they left the sampler, float32; None where the model has none to give."""
    seconds: float
    """Wall-clock spent on this clip (a batch's time divided by its size)."""


class Generator(Protocol):
    """Prompts -> clips, by a frozen model."""

    def generate(self, requests: Sequence[ClipRequest]) -> list[GeneratedClip | Failed]:
        """One clip per request, in order."""
        ...


# ---------------------------------------------------------------------------------------------- judging and measuring


@dataclass(frozen=True, eq=False)
class JudgeRequest:
    """A clip with the questions to ask about it."""

    video: Video
    """The clip."""
    text: str
    """The prompt it was made from."""
    questions: tuple[Question, ...]
    """What to ask, in order."""


@dataclass(frozen=True)
class GivenAnswer:
    """A judge's answer in memory; the stage refuses NaN and numbers outside 0 to 1 and records them as unscored."""

    p_yes: float | None
    """Probability of yes, 0 to 1; None when there is no usable answer."""
    unscored_reason: str | None = None
    """Why there is none; set exactly when `p_yes` is None."""
    yes_no_mass: float | None = None
    """P(yes) + P(no) before they were scaled to 1, 0 to 1: how much of an answer it was; None where nobody knows."""


class Judge(Protocol):
    """Clips x questions -> answers with probabilities. Frozen: the same request gets the same answer."""

    def answer(self, requests: Sequence[JudgeRequest]) -> list[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order, with one answer per question, in order."""
        ...


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured at once: one clip, or all takes of one prompt (Diversity)."""

    dimension: str
    """Quality dimension to measure."""
    text: str
    """The prompt."""
    questions: tuple[Question, ...]
    """The prompt's questions, for measurers that check them."""
    clips: tuple[Video, ...]
    """The clips, at least one."""


class Measurer(Protocol):
    """Clips x dimension -> measurement. Never the judge that trained."""

    def measure(self, subjects: Sequence[Subject]) -> list[Outcome | Failed]:
        """`Scored(value, parts)` or `Unscored(reason)` per subject, in order."""
        ...


# ---------------------------------------------------------------------------------------------- weighing and training


class Weighting(Protocol):
    """Scores -> weights. Pure: no clock, no randomness, no files."""

    def weigh(self, scores: Sequence[Score]) -> list[float]:
        """One finite weight >= 0 per score, in order; an unscored clip weighs 0."""
        ...


# ---------------------------------------------------------------------------------------------- running work


@dataclass(frozen=True)
class Done(Generic[Result_co]):
    """A finished item of `Executor.map`."""

    index: int
    """Position of the item in the input, from 0."""
    result: Result_co | Failed
    """What the call returned, or how it failed."""


@dataclass(frozen=True)
class Needs:
    """What one worker needs; an executor that cannot give it says so before starting."""

    num_cpus: float = 1.0
    """CPU cores per worker."""
    num_gpus: float = 0.0
    """GPUs per worker; may be a fraction."""
    tags: Mapping[str, float] = field(default_factory=dict[str, float])
    """Named resources of a cluster; empty for none."""


class Executor(Protocol):
    """Maps work over workers: bounded in flight, failures returned, never raised. Knows no stage."""

    def map(
        self, call: Callable[[Item], Result], items: Iterable[Item], *, needs: Needs | None = None
    ) -> Iterator[Done[Result]]:
        """Results as they finish, in any order. Items are drawn only when a worker is free for them.

        Args:
            call: picklable; a `rushes.execute.Lazily` builds its model once in each worker.
            items: what to work on; drawn lazily, so that stopping to draw stops the work.
            needs: resources per worker; None for one core.

        Raises:
            UserError: a call raised one, or the executor cannot give what is needed; other errors are `Failed`.
        """
        ...
