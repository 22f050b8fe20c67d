"""Everything that a report shows, as plain frozen values. The pipeline fills it; nothing here is computed.

What was not measured is a `Missing(reason)`, never a zero and never an empty table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.audit.records import Audit
from rushes.judge.agreement import Agreement
from rushes.plan.reference import ReferenceCost
from rushes.records import CostEntry, Focus, Outcome, Question, Rejection, RunHeader, Scorecard
from rushes.report.scales import Places, SameOrder, ScaleRow
from rushes.report.section import Section
from rushes.roles import AccuracyRow

if TYPE_CHECKING:
    from rushes.prompts.clip_rows import ClipRow
    from rushes.roles import Video
    from rushes.weights.report import WeightReport


OWNER: Final = "their owner"
"""In the place of a judge's name where real clips alone are trained on."""
NOT_AUDITED: Final = "the judge was not audited; to audit it, run: rushes judge audit HOME, with the run folder as HOME"
"""Why a report has no audit."""


@dataclass(frozen=True)
class Missing:
    """Something that was not measured.

    Example: `Missing("the recipe has no real clips")`.
    """

    reason: str
    """Why, in words that fit after "not measured:"."""


@dataclass(frozen=True, eq=False)
class Side:
    """One clip of an example, with the measurer's result."""

    video: Video
    """The clip."""
    outcome: Outcome
    """The measurement with its parts, or why there is none."""


@dataclass(frozen=True, eq=False)
class Example:
    """The same prompt and seed, before and after.

    Example: `Example("Composition", "largest gain", "a red circle and a blue square", questions, 7, 0, before, after)`.
    """

    dimension: str
    """Quality dimension."""
    rule: str
    """The rule that chose it: "largest gain", "typical" or "largest loss"."""
    prompt: str
    """The prompt of both models."""
    questions: Sequence[Question]
    """The prompt's questions, to show the expected answers."""
    seed: int
    """Seed of the first noise, the same for both clips."""
    seed_index: int
    """Which take of the prompt."""
    before: Side
    """The base model's clip."""
    after: Side
    """The tuned model's clip."""


@dataclass(frozen=True, eq=False)
class Weighing:
    """What the run trained on, and how much each clip counted."""

    own: Sequence[float]
    """The weight of each of the model's own clips."""
    num_real: int
    """Real clips beside them."""
    facts: WeightReport
    """Summary of the weights."""


@dataclass(frozen=True)
class LossCurve:
    """One named loss term over the training steps.

    Example: `LossCurve("real_flow", steps=(1, 2, 3), values=(0.31, 0.30, 0.28))`.
    """

    term: str
    """Name of the loss term."""
    steps: Sequence[int]
    """Optimiser steps, ascending."""
    values: Sequence[float]
    """Value at each of them, before its coefficient."""

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.values) or not self.steps:
            raise ValueError(
                f"a curve needs one value per step, at least one, got {len(self.steps)} and {len(self.values)}"
            )


@dataclass(frozen=True)
class SkippedSteps:
    """Steps of one round's training that were skipped, because a loss or gradient was not finite.

    Example: `SkippedSteps(round_number=1, num_skipped=3, num_steps=200)`.
    """

    round_number: int
    """Round, from 1."""
    num_skipped: int
    """How many, at least 1."""
    num_steps: int
    """Of how many steps."""


@dataclass(frozen=True)
class Preview:
    """A preview clip that was generated during training, with the averaged weights at that step.

    Example: `Preview(Path("runs/x/previews/0f3a/step-000050-0.mp4"), 1, 50, "a red circle moves up")`.
    """

    path: Path
    """The mp4 file."""
    round_number: int
    """Round, from 1."""
    step: int
    """Optimiser steps done; 0 is before the first."""
    prompt: str
    """The text."""


@dataclass(frozen=True)
class WatchAlarm:
    """An alarm of the watch.

    Example: `WatchAlarm(150, "motion fell by 31 % (2.4 to 1.66)")`.
    """

    step: int
    """Optimiser steps done."""
    text: str
    """What was found."""


@dataclass(frozen=True)
class WatchPanel:
    """Curves of the watch that share one axis.

    Example: `WatchPanel("Motion, levels/frame", (LossCurve("motion", (0, 50), (2.4, 1.6)),), limit=1.8, alarms=(50,))`.
    """

    title: str
    """What is drawn, with its unit."""
    curves: Sequence[LossCurve]
    """At least one, from before training (step 0) on."""
    limit: float | None = None
    """Value beyond which an alarm rings; None where the rule is no single number."""
    alarms: Sequence[int] = ()
    """Steps at which an alarm about it rang."""


@dataclass(frozen=True)
class WatchedRound:
    """A round of training that was watched.

    Example: `WatchedRound(1, (panel,), (), best_step=50, last_step=50)`.
    """

    round_number: int
    """Round, from 1."""
    panels: Sequence[WatchPanel]
    """Judge and measurer first, then what may drift."""
    alarms: Sequence[WatchAlarm]
    """All alarms, by step."""
    best_step: int
    """The step whose checkpoint is the result."""
    last_step: int
    """The last step trained."""


@dataclass(frozen=True)
class NoiseLevel:
    """The training error in one bin of noise levels, early and late in training.

    Example: `NoiseLevel(low=0.3, high=0.4, first=0.31, last=0.28, num_steps=140)`.
    """

    low: float
    """Lower bound of sigma."""
    high: float
    """Upper bound of sigma."""
    first: float
    """Mean squared error over the first third of the steps that drew this noise level."""
    last: float
    """The same over the last third."""
    num_steps: int
    """Steps that drew it."""


@dataclass(frozen=True)
class Screening:
    """The screen's result.

    Example: `Screening(num_texts=300, rejections=())`.
    """

    num_texts: int
    """Texts screened: drafts for the focus and captions of real clips, of all rounds."""
    rejections: Sequence[Rejection]
    """Those of them that were refused, each with its reason; files that cannot be read do not count."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Made:
    """What a run has made up to some stage, ready to be shown. What is not there is `Missing`, with the reason."""

    name: str
    """Name of the run."""
    header: RunHeader
    """Commit, versions, hardware, date."""
    recipe_yaml: str
    """The resolved recipe as YAML."""
    focus: Sequence[Focus]
    """Dimensions aimed at, with their share of the prompts."""
    weighing: Weighing | Missing
    """Training samples with their weights; of the last round."""
    losses: Sequence[LossCurve] | Missing
    """One curve per loss term."""
    screening: Screening | Missing
    """What the screen refused."""
    costs: Sequence[CostEntry] | Missing
    """Time spent; entries of the same stage are summed."""
    reference: Sequence[ReferenceCost] | Missing
    """What the stages would cost on the reference GPU."""
    skipped: Sequence[SkippedSteps] = ()
    """One entry for each round with skipped steps."""
    noise_levels: Sequence[NoiseLevel] = ()
    """Training error by noise level; empty if it was not kept."""
    real_clips: Sequence[ClipRow] | Missing = Missing("the run read no folder of real clips")
    """The outcome of each file and row of the user's folder; without a folder the section is left out."""
    previews: Sequence[Preview] = ()
    """Preview clips of training; empty if the recipe has none."""
    watched: Sequence[WatchedRound] = ()
    """What the watch saw; empty if the recipe has none."""
    made_from: str = ""
    """Names the state of the run, so that a page is not written again from the same one."""


@dataclass(frozen=True)
class Written:
    """The prompts of one dimension and origin.

    Example: `Written("Composition", "weakness", 48, ("a red circle and a blue square",))`.
    """

    dimension: str
    """Quality dimension."""
    origin: str
    """Where they come from: "weakness" or "caption"."""
    num: int
    """How many are kept."""
    texts: Sequence[str]
    """The first of them."""


@dataclass(frozen=True)
class Judged:
    """The judge's scores of the clips of one dimension.

    Example: `Judged("Composition", num_clips=192, num_scored=190, mean=0.61, unit=None, num_prompts=48, num_apart=40)`.
    """

    dimension: str
    """Quality dimension."""
    num_clips: int
    """Clips asked about."""
    num_scored: int
    """Those with a score."""
    mean: float | None
    """Mean score; None without one."""
    unit: str | None
    """Unit of the judge's own scale; None for scores from 0 to 1."""
    num_prompts: int
    """Prompts with two or more scored takes."""
    num_apart: int
    """Those whose takes do not all have the same score: only these can teach which take is better."""


@dataclass(frozen=True, eq=False)
class ShownClip:
    """A clip to look at, with what the judge said.

    Example: `ShownClip("Composition", "best", "a red circle", video, 0.93, None, (("is it red?", 0.93),))`.
    """

    dimension: str
    """Quality dimension."""
    rule: str
    """Why it is shown: "best", "middle" or "worst" by the judge's score; "first" before there is one."""
    prompt: str
    """Its text."""
    video: Video
    """The clip."""
    score: float | None
    """The judge's score; None without one."""
    unit: str | None
    """Unit of the judge's own scale; None for scores from 0 to 1."""
    answers: Sequence[tuple[str, str, float | None]]
    """Question, expected answer, and the probability that the judge gives it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SoFar(Made):
    """A run that is not at its end."""

    title: str
    """What is done, in a sentence."""
    written: Sequence[Written]
    """Prompts of this round so far."""
    judged: Sequence[Judged]
    """Scores by dimension; empty before there are any."""
    clips: Sequence[ShownClip]
    """Clips to look at; empty before there are any."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportData(Made):
    """One run at its end, ready to be shown. What was not measured is `Missing`, with the reason."""

    scorecard: Scorecard
    """The result, with drift panel and notes."""
    examples: Sequence[Example] | Missing
    """Clips to show, see `choose_examples`."""
    num_pairs: int = 0
    """Pairs that are files beside the page; 0 if none are written."""
    judge_accuracy: Sequence[AccuracyRow] | Missing
    """Accuracy of the training judge on held-out clips whose content is known."""
    agreement_before: Sequence[Agreement] | Missing
    """Training judge against measurer, on the base model's held-out clips."""
    agreement_after: Sequence[Agreement] | Missing
    """The same on the tuned model's clips: it was trained to please this judge, and may have learned to fool it."""
    sections: Sequence[Section] = ()
    """Sections of installed packages, such as official scores beside the run's own."""
    audit: Audit | Missing = Missing(NOT_AUDITED)
    """The judge's answers to control clips, from the run folder."""
    num_answers: int = 0
    """Answers of the training judge."""
    scales: Sequence[ScaleRow] = ()
    """What judges said on scales of their own about the held-out clips; empty if all answer questions."""
    same_order: Sequence[SameOrder] = ()
    """How far they agree with the measurer."""
    places: Places | None = None
    """How much the place of a take decides preferences; None if no pair was asked in both orders."""
    num_hard_answers: int = 0
    """Those of a vision-language model that are yes or no without a probability, since its server gave none."""
