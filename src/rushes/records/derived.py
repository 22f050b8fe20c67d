"""The derived records: pure functions of the expensive ones, safe to delete. Also the run's header and costs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from rushes.records.base import Count, Key, KeyedRecord, Record, Seconds, Share, Size, Text
from rushes.records.expensive import Outcome

Gain = Annotated[float, Field(ge=-1.0, le=1.0)]
"""A difference of two scores: -1 to 1."""
Change = Literal["better", "worse", "no clear change"]
"""A scorecard's verdict on a gain, by the rule of `rushes.statistics.comparison`."""


class Focus(Record):
    """A dimension chosen for improvement, and its share of the budget.

    Example:
        Focus(dimension="Composition", baseline=0.42, low=0.36, high=0.48, gap=0.58, share=0.5, num_prompts=40,
              reason="largest gap to 1.0 of 8 dimensions")
    """

    dimension: Text
    """Quality dimension."""
    baseline: Share
    """Mean score of the untouched model."""
    low: Share
    """Lower end of the baseline's 95 % interval."""
    high: Share
    """Upper end of the baseline's 95 % interval."""
    gap: Share
    """Distance to the target score."""
    headroom: Share | None = None
    """How far a probe prompt's best take scores above the mean of its takes; None if each prompt had one clip."""
    picked: Gain | None = None
    """The same for the take that the judge likes best; None if the judge scored no probes."""
    share: Share
    """Share of the prompt budget."""
    num_prompts: Count
    """Prompts to write for it."""
    reason: Text
    """Why it was chosen, in words."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"the interval must run from low to high, got low={self.low!r}, high={self.high!r}")
        return self


class Rejection(Record):
    """A text (or a real clip with its caption) that the screen refused.

    Example:
        Rejection(text="a ball and a ball", dimension="Composition", reason="near_duplicate",
                  detail="0.94 overlap with 'a ball and another ball'", prompt_key="1c" * 32)
    """

    text: str
    """The refused text; may be empty if that is the reason."""
    dimension: Text
    """Quality dimension it was written for."""
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]*$")]
    """Short tag: near_duplicate, contradiction, infeasible, unknown_word, held_out, too_long, unreadable, ..."""
    detail: str
    """The problem, in words."""
    prompt_key: Key | None = None
    """Key of the refused prompt record; None if there is no record."""


Criterion = Literal["none", "contradiction", "impossible", "not_visible", "too_much", "nonsense"]
"""Why a critic refuses a prompt, by its rubric; "none" for a prompt that a clip can show."""


class Verdict(KeyedRecord):
    """The critic's verdict on a prompt.

    Example:
        Verdict(key="7e" * 32, prompt_key="1c" * 32, text="a round square", criterion="contradiction",
                reason="squares have corners", critic="qwen3-8b")
    """

    prompt_key: Key
    """The prompt."""
    text: str
    """Its text."""
    criterion: Criterion | None
    """Reason by the rubric, "none" for a good prompt; None if the critic gave no usable verdict."""
    reason: str
    """Why, in the critic's words, or the problem with its reply."""
    critic: str
    """Name of the model."""

    @property
    def objection(self) -> tuple[str, str] | None:
        """Tag and detail of the refusal; None for a prompt that a clip can show. No verdict counts as a refusal."""
        if self.criterion == "none":
            return None
        if self.criterion is None:
            return "no_verdict", f"the critic {self.critic} gave no usable verdict: {self.reason}"
        return "infeasible", f"{self.criterion.replace('_', ' ')}: {self.reason} (critic: {self.critic})"


class Score(Record):
    """The judge's verdict on one clip: a score with its parts, or why there is none.

    Example:
        Score(clip_key="2d" * 32, prompt_key="1c" * 32, dimension="Composition", outcome=Unscored(reason="no answers"))
    """

    clip_key: Key
    """Clip that was judged."""
    prompt_key: Key
    """Its prompt; weightings that compare takes of one prompt group by it."""
    dimension: Text
    """Quality dimension of the prompt."""
    outcome: Outcome
    """`Scored(value, parts)` or `Unscored(reason)`."""


class DraftOutcome(Record):
    """The result of a prompt's draft takes: whether it is worth full-length clips.

    Example:
        DraftOutcome(prompt_key="1c" * 32, dimension="Composition", num_scored=2, worst=0.2, best=0.7, is_kept=True,
                     reason="something to select: 0.20 to 0.70 in 2")
    """

    prompt_key: Key
    """The prompt."""
    dimension: Text
    """Quality dimension that it aims at."""
    num_scored: Count
    """Draft takes with a score."""
    worst: Share | None
    """Lowest score among them; None without scores."""
    best: Share | None
    """Highest score among them; None without scores."""
    is_kept: bool
    """True if full-length clips of the prompt are generated."""
    reason: Text
    """Why, in words."""


FEWEST_PROMPTS: Final = 6
"""With fewer prompts no test can come out below 0.05, and intervals are too rough for a warning."""


class Leniency(Record):
    """How often the training judge calls right what the measurer calls wrong, on both models' clips of the same pairs.

    Example:
        Leniency(before=0.07, after=0.14, rise_low=0.01, rise_high=0.13, num_prompts=40)
    """

    before: Share
    """Share of the questions about the base model's clips that only the judge says the clip gets right."""
    after: Share
    """The same of the tuned model's clips."""
    rise_low: Gain
    """Lower end of the 95 % interval of `after` - `before`, for this dimension alone (clustered by prompt)."""
    rise_high: Gain
    """Upper end of it."""
    num_prompts: Size
    """Prompts compared."""


class DimensionRow(Record):
    """One dimension before and after, by the independent measurer, on the same prompts and seeds.

    Example:
        DimensionRow(dimension="Composition", before=0.42, after=0.55, gain=0.13, gain_low=0.06, gain_high=0.20,
                     p_holm=0.004, num_prompts=40, num_clips=160, num_unscored=0, judge_before=0.5, judge_after=0.66,
                     is_focus=True, verdict="better")
    """

    dimension: Text
    """Quality dimension."""
    before: Share
    """Mean score of the base model."""
    after: Share
    """Mean score of the tuned model."""
    gain: Gain
    """`after` - `before`."""
    gain_low: Gain
    """Lower end of the gain's 95 % interval, for this dimension alone (paired bootstrap, clustered by prompt)."""
    gain_high: Gain
    """Upper end of the gain's 95 % interval."""
    p_holm: Share
    """P-value of the gain (sign-flip test over prompts), corrected for all dimensions of the scorecard (Holm)."""
    num_prompts: Size
    """Prompts compared."""
    num_clips: Size
    """Clips compared, of each model."""
    num_unscored: Count
    """Clips left out because one of the two models' measurements was unscored."""
    judge_before: float | None = None
    """Mean score that the training judge gives the base model, 0 to 1 or in `judge_unit`; None if it gave none."""
    judge_after: float | None = None
    """The same of the tuned model."""
    judge_unit: Text | None = None
    """Unit of the judge's scores, in words; None for shares of 1."""
    leniency: Leniency | None = None
    """How often the training judge lets pass what the measurer does not; None where they share no questions."""
    is_focus: bool
    """True for the dimensions that the run aimed at."""
    verdict: Change
    """Better or worse if `p_holm` is below 0.05 and the interval is on that side of 0."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.gain_low > self.gain_high:
            raise ValueError(f"the interval must run from low to high, got {self.gain_low!r} to {self.gain_high!r}")
        for value in (self.judge_before, self.judge_after):
            if value is not None and self.judge_unit is None and not 0.0 <= value <= 1.0:
                raise ValueError(f"a judge's score without a unit must be from 0 to 1, got {value!r}")
        check_verdict(self.verdict, self.gain_low, self.gain_high)
        return self

    @property
    def may_be_worse(self) -> bool:
        """A warning, not a verdict: its own interval lies below 0, though no verdict says so."""
        return self.verdict != "worse" and self.gain_high < 0 and self.num_prompts >= FEWEST_PROMPTS


def check_verdict(verdict: Change, low: float, high: float) -> None:
    """A verdict may be more cautious than its interval, but must not contradict it.

    Raises:
        ValueError: "better" with an interval that is not above 0, or "worse" with one that is not below.
    """
    if (verdict == "better" and low <= 0) or (verdict == "worse" and high >= 0):
        raise ValueError(f"the interval {low!r} to {high!r} allows only 'no clear change', got {verdict!r}")


class UnmeasuredDimension(Record):
    """A dimension that could not be compared at all.

    Example:
        UnmeasuredDimension(dimension="Diversity", reason="one take per prompt; it needs at least two")
    """

    dimension: Text
    """Quality dimension."""
    reason: Text
    """Why there is nothing to compare."""


class PromptGain(Record):
    """The result of one held-out prompt: the mean scores of both models' takes.

    Example:
        PromptGain(dimension="Composition", prompt_key="9e" * 32, before=0.5, after=1.0, num_pairs=2)
    """

    dimension: Text
    """Quality dimension measured."""
    prompt_key: Key
    """The prompt of both models."""
    before: Share
    """Mean score of the base model's takes."""
    after: Share
    """Mean score of the tuned model's takes of the same seeds."""
    num_pairs: Size
    """Number of pairs of scores in the means; 1 if takes are measured together."""


class DriftRow(Record):
    """A quantity that should not drift: motion amount, colour statistics, distance of latents to real ones.

    Example:
        DriftRow(name="motion amount", unit="px/frame", before=1.8, after=1.7, real=1.9)
    """

    name: Text
    """What was measured."""
    unit: str = ""
    """Its unit; empty for a pure number."""
    before: float
    """Value on clips of the base model."""
    after: float
    """Value on clips of the tuned model."""
    real: float | None = None
    """Value on real clips; None if unknown."""


class Scorecard(Record):
    """The result of a run: every dimension before and after.

    Example:
        Scorecard(base_model="sandbox-base", tuned_model="5a" * 32, measurer="sandbox-perception", judge="sandbox-vqa",
                  rows=(), focus_gain=0.1, focus_gain_low=0.05, focus_gain_high=0.15, focus_p_value=0.001,
                  focus_verdict="better")
    """

    base_model: Text
    """Name of the untouched weights."""
    tuned_model: Text
    """Key of the checkpoint compared."""
    measurer: Text
    """Name of the independent measurer."""
    judge: Text
    """Name of the judge whose scores were trained on."""
    rows: tuple[DimensionRow, ...]
    """One row per dimension that was measured."""
    unmeasured: tuple[UnmeasuredDimension, ...] = ()
    """Dimensions that could not be compared, and why."""
    drift: tuple[DriftRow, ...] = ()
    """Quantities that should not drift."""
    focus_gain: Gain | None = None
    """Mean gain over the focus dimensions; None unless all of them were compared."""
    focus_num_prompts: Size | None = None
    """Prompts behind it, one that serves several dimensions counted once; None if unknown."""
    focus_gain_low: Gain | None = None
    """Lower end of its 95 % interval."""
    focus_gain_high: Gain | None = None
    """Upper end of its 95 % interval."""
    focus_p_value: Share | None = None
    """Its p-value (sign-flip test over prompts). It is the one comparison fixed before any
    held-out clip is measured, so nothing is corrected."""
    focus_verdict: Change | None = None
    """What became of the focus; None where there is no mean gain."""
    notes: tuple[str, ...] = ()
    """Warnings that a reader must see: regressions, few effective samples, disagreement of judge and measurer."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.focus_verdict is not None:
            if self.focus_gain_low is None or self.focus_gain_high is None:
                raise ValueError(f"a verdict on the focus needs its interval, got {self.focus_verdict!r} without one")
            check_verdict(self.focus_verdict, self.focus_gain_low, self.focus_gain_high)
        return self


class RunHeader(Record):
    """What a run is: written first, before any work.

    Example:
        RunHeader(recipe_hash="7c" * 32, identity_version=1, rushes_version="0.1.0", commit=None, dirty=None,
                  versions={"python": "3.11.9", "torch": "2.13.0"}, hardware={"cpu": "x86_64", "num_cpus": "2"},
                  started_at="2026-01-31T12:00:00Z")
    """

    measured_fields: ClassVar[frozenset[str]] = frozenset({"started_at"})

    recipe_hash: Key
    """Hash of the resolved recipe without its runtime settings."""
    identity_version: Size
    """Version of the key computation."""
    rushes_version: Text
    """Version of this package."""
    commit: str | None = None
    """Commit of the source checkout that ran; None if installed from a package."""
    dirty: bool | None = None
    """True if that checkout had uncommitted changes; None if unknown."""
    versions: dict[str, str]
    """Versions of Python and of the libraries that affect results."""
    hardware: dict[str, str]
    """Processor, cores, memory, accelerator: as text."""
    started_at: AwareDatetime
    """When the run was first opened, with time zone."""


class CostEntry(Record):
    """Time spent by one stage on some items.

    Example:
        CostEntry(stage="clips", seconds=12.5, num_items=16, device="cpu")
    """

    stage: Text
    """Table or stage that the time was spent on."""
    seconds: Seconds
    """Wall-clock seconds spent."""
    num_items: Count
    """Records added in that time."""
    device: Text
    """Where: "cpu", "NVIDIA H100", a server's name."""
