"""The verbs of Rushes: one-method Protocols over lists, so that an implementation can batch.

Every list that comes back is aligned with the list that went in; an item that failed is a `Failed` in its place, never
a missing element. A plug-in is a `Spec` subclass anywhere whose `build()` returns an object with the one method.

Arrays: T frames, H height, W width, 3 colours; in latents C channels, T H W latent size; B batch, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from rushes.execute.work import Done as Done
from rushes.execute.work import Executor as Executor
from rushes.execute.work import Failed as Failed
from rushes.execute.work import Needs as Needs
from rushes.records import UNSTATED, Origin, Outcome, Prompt, Question, SamplerSettings, Score, Stated, Verdict
from rushes.records import AccuracyRow as AccuracyRow
from rushes.records import ObjectiveNeeds as ObjectiveNeeds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rushes.recipe.base import ShapeSpec
    from rushes.train.batch import LossTerms, OwnClips

    Frames = npt.NDArray[np.uint8]
    """Pixels of one clip: T, H, W, 3; 0 to 255, RGB."""
    Latents = npt.NDArray[np.float32]
    """Latents of one clip: C, T, H, W of the latent grid."""

# ---------------------------------------------------------------------------------------------- specs and runtime


class Runtime(BaseModel):
    """Where and how fast: nothing here may change a result, so nothing here enters a work key."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Spec(BaseModel):
    """What decides a result: a small, picklable description of one role. Enters work keys whole.

    A subclass holds plain values and other Specs, never a Runtime. A plug-in adds `build(runtime)`, which makes the
    working object where the work runs and, unless the class sets `loads_when_built`, in the check before a run:

        class DimJudgeSpec(Spec):
            spec_name: ClassVar[str] = "dim-judge"
            threshold: float = 0.5
            def build(self, runtime: Runtime) -> Judge: ...

    By a method `chat_models` (see `rushes.plan.chat_models.CallsChatModels`) `rushes plan` counts what the language
    models behind it cost. Without it the time is unknown, and only models that fields name count in the memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    spec_name: ClassVar[str] = ""
    """Name of this kind of spec inside work keys. Every subclass sets its own and never changes it: the name keeps the
    records of earlier runs valid when the class moves to another module."""

    added_later: ClassVar[frozenset[str]] = frozenset()
    """Fields that earlier releases did not have. They enter work keys only where they differ from their default, which
    means what those releases did and never changes, so that the records of earlier runs stay valid."""

    loads_when_built: ClassVar[bool] = False
    """True where `build` loads weights at once, not at the first request: the check before a run does not build it."""

    def version(self) -> str | None:
        """What decides the result besides the fields, as text: the hash of packaged weights, the version of an
        algorithm. Enters work keys beside the fields; None for nothing."""
        return None


class Plugin(Protocol):
    """What a recipe's `use: package.module:Class` must name: a `Spec` with this method."""

    def build(self, runtime: Any) -> Any:
        """Make the working object of the role.

        Args:
            runtime: the recipe's `RuntimeSpec`: device, batch sizes, caches. It changes speed, never results.
        """
        ...


# ---------------------------------------------------------------------------------------------- writing prompts


@dataclass(frozen=True)
class Brief:
    """A request for one prompt."""

    dimension: str
    """Quality dimension to aim at."""
    description: str
    """What the dimension means, in a sentence or two."""
    examples: tuple[str, ...]
    """Seed prompts of the dimension, to write by analogy with."""
    example_questions: tuple[tuple[Question, ...], ...]
    """Questions of each example, in the order of `examples`; empty where none are known."""
    origin: Origin
    """What the prompt is for."""
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
    """Where it came from, free text."""
    questions: tuple[Question, ...] = ()
    """Questions, if the writer can give them (a grammar can); else empty, and a QuestionWriter writes them."""
    real_clip: Video | None = None
    """The real clip that the text describes, cut to the model's shape; None for invented texts."""


class PromptWriter(Protocol):
    """Focus -> texts."""

    def write(self, briefs: Sequence[Brief]) -> Iterable[Draft | Failed]:
        """One draft per brief, in order, as in `Judge.answer`; some writers give the same text for the same brief."""
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

    def write(self, requests: Sequence[QuestionRequest]) -> Iterable[tuple[Question, ...] | Failed]:
        """The questions of each text, in order, as in `Judge.answer`; at least one each."""
        ...


class Critic(Protocol):
    """Prompts -> whether a video could show them."""

    def verdicts(self, prompts: Sequence[Prompt]) -> list[Verdict | Failed]:
        """One verdict per prompt, in order; an unusable reply is a verdict without criterion."""
        ...


@dataclass(frozen=True, eq=False)
class RealClip:
    """A real clip with its caption. Pixels are loaded on demand, so that a folder of any size fits in memory."""

    name: str
    """File name in its folder, or another unique name; free text, to be escaped where it is shown."""
    text: str
    """The caption."""
    dimension: str
    """Quality dimension that it belongs to; `real` if unknown."""
    questions: tuple[Question, ...]
    """Questions with the answers that this very clip gets; empty where there are none."""
    sha256: str
    """Hash of its pixels, in the model's shape: 64 hex digits."""
    load: Callable[[], Video]
    """Returns the pixels, cut to the model's shape. Raises `VideoError` when the file has changed or is gone."""
    stated: Stated = UNSTATED
    """What its owner says about it; read where only real clips are trained on."""
    shape: ShapeSpec | None = None
    """The shape that it is cut to; None for that of the model's own clips."""


class ClipSource(Protocol):
    """Real clips that do not come from a folder: rendered, recorded, drawn from a data set."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the dimensions that its clips can be about; empty if it does not distinguish dimensions."""
        ...

    def clips(self, num: int, seed: int, shape: ShapeSpec, dimensions: Sequence[str] | None) -> list[RealClip]:
        """Real clips with captions and questions.

        Args:
            num: how many are requested; fewer may be returned. Clip i is the same whatever `num` is.
            seed: decides which clips.
            shape: size, number of frames and frame rate that their pixels must have.
            dimensions: only clips of these, in turn, with captions that state every detail, for an audit; None for any.
        """
        ...


Part = Literal["probe", "development", "test"]
"""Prompts to diagnose by, and the two splits of held-out prompts."""


@dataclass(frozen=True)
class SuitePrompt:
    """A prompt of a suite."""

    text: str
    """The full text for the model, which may be a rewritten one."""
    questions: tuple[Question, ...]
    """Its questions; empty where the suite asks none."""
    index: int
    """Position among the suite's prompts of this dimension, from 0."""
    base_text: str | None = None
    """The suite's own prompt where `text` was rewritten, else None."""


class PromptSuite(Protocol):
    """Evaluation prompts that come from outside. None of them is ever trained on."""

    @property
    def name(self) -> str:
        """Name of the suite in records and keys; never changes."""
        ...

    @property
    def catalogue(self) -> str:
        """The catalogue that its dimensions are of, as `diagnose.catalogue` names it."""
        ...

    def prompts(self, dimension: str, num: int, part: Part) -> list[SuitePrompt]:
        """The first `num` prompts of a dimension, in order; all of them if there are fewer.

        Raises:
            RecipeError: the suite has no such dimension.
        """
        ...

    def guarded(self) -> list[str]:
        """Every text of the suite, used or not: what may not be trained on."""
        ...


# ---------------------------------------------------------------------------------------------- generating


@dataclass(frozen=True, eq=False)
class Video:
    """Frames in memory."""

    frames_THWC: Frames
    """Pixels: T, H, W, 3, uint8, RGB."""
    fps: float
    """Frames per second."""


@dataclass(frozen=True)
class ClipRequest:
    """A request for one clip."""

    text: str
    """The prompt."""
    seed: int
    """Seed of the initial noise; 0 <= seed < 2**63. The clip does not depend on the other requests in the list."""
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
    """False requests only latents, from a model that provides them."""


@dataclass(frozen=True, eq=False)
class GeneratedClip:
    """A clip as the model generated it."""

    frames_THWC: Frames | None
    """Pixels: T, H, W, 3, uint8, RGB; None if only latents were requested."""
    latents_CTHW: Latents | None
    """Final latents as the sampler returned them, float32; None if the model provides none."""
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
    clip_key: str = field(default="", kw_only=True)
    """Name of the stored clip, for judges that look answers up; empty where the clip is not stored."""


@dataclass(frozen=True)
class GivenAnswer:
    """A judge's answer in memory; the stage refuses NaN and numbers outside 0 to 1 and records them as unscored."""

    p_yes: float | None
    """Probability of yes, 0 to 1; None when there is no usable answer."""
    unscored_reason: str | None = None
    """Why there is none; set exactly when `p_yes` is None."""
    yes_no_mass: float | None = None
    """P(yes) + P(no) before they were scaled to sum to 1; low if the model did not really answer; None if unknown."""


class Judge(Protocol):
    """Clips x questions -> answers with probabilities. Frozen: the same request gets the same answer."""

    def answer(self, requests: Sequence[JudgeRequest]) -> Iterable[tuple[GivenAnswer, ...] | Failed]:
        """One tuple per request, in order, with one answer per question, in order.

        A list, or an iterator (`yield`), whose answers are kept if an error follows: worth it where answers cost.

        Raises:
            UserError: no further request can be answered; the run ends. One that cannot is `Failed`.
        """
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
    clip_keys: tuple[str, ...] = ()
    """Names of the stored clips, for measurers that look results up; empty where they are not stored."""


class Measurer(Protocol):
    """Clips x dimension -> measurement. Never the judge that trained."""

    def measure(self, subjects: Sequence[Subject]) -> Iterable[Outcome | Failed]:
        """`Scored(value, parts)` or `Unscored(reason)` per subject, in order; gives and raises as `Judge.answer`."""
        ...


# ---------------------------------------------------------------------------------------------- weighing and training


class Weighting(Protocol):
    """Scores -> weights. Pure: no clock, no randomness, no files."""

    def weigh(self, scores: Sequence[Score]) -> list[float]:
        """One finite weight >= 0 per score, in order; an unscored clip weighs 0."""
        ...


class Objective(Protocol):
    """Own clips -> terms of the loss, without realism and anchor. A plug-in's Spec also has `needs()` for it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all terms and diagnostics that `terms` may return; each becomes a curve."""
        ...

    def terms(self, own: OwnClips) -> LossTerms:
        """The terms of some own clips, in whole units: each the mean over them, so that parts of a batch add up."""
        ...
