"""The result of an audit as frozen records: stored as JSON; shown as a table, a picture, a section of the report."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rushes.audit.expectations import Expectation
from rushes.records import Record
from rushes.records.base import Count, Seconds, Share, Size, Text
from rushes.statistics.resampling import Estimate

Finding = Literal["passes", "fails", "unclear", "open", "not scored"]
"""What a control says about the judge: as expected, not as expected, interval too wide, nothing, or not scored."""
Trust = Literal["trust", "do not trust", "not shown"]
"""`not shown`: nothing is against the judge, but the audit is too small or incomplete to show that it is right."""


class Rule(Record):
    """The thresholds below which a judge is not trusted in a dimension. docs/judge_audit.md explains them.

    Example:
        Rule(min_auc=0.75, max_auc_shift=0.15, max_score_shift=0.05, max_bias=0.15, min_self_agreement=0.95,
             min_kappa=0.4, min_prompts=8)
    """

    min_auc: Share = 0.75
    """A control that should separate must do so with at least this AUC."""
    max_auc_shift: Share = 0.15
    """A control that should change nothing fails when its AUC is further than this from one half, and"""
    max_score_shift: Share = 0.05
    """its mean score is further than this from the original's: an AUC sees differences too small to matter."""
    max_bias: Share = 0.15
    """Largest allowed yes-bias, in either direction."""
    min_self_agreement: Share = 0.95
    """Smallest allowed share of questions that get the same answer when asked again."""
    min_kappa: Share = 0.4
    """Smallest allowed Cohen's kappa with the labels of people."""
    min_prompts: Size = 8
    """Number of prompts below which an audit shows nothing."""


class ControlResult(Record):
    """The judge on one control in one dimension.

    Example:
        ControlResult(control="black_video", expected="separates", num_clips=24, num_prompts=24, num_unscored=0,
                      mean_original=0.9, mean_control=0.4, auc=Estimate(value=0.97, low=0.93, high=1.0),
                      finding="passes")
    """

    control: Text
    """Name of the control."""
    expected: Expectation
    """What a trustworthy judge does with it."""
    num_clips: Count
    """Clips with a score both unchanged and under the control."""
    num_prompts: Count
    """Their prompts."""
    num_unscored: Count
    """Clips left out because one of the two has no score."""
    unscored_reason: str = ""
    """The most frequent reason for that."""
    mean_original: Share | None = None
    """Mean score of those clips unchanged, over the questions that are compared; None without clips."""
    mean_control: Share | None = None
    """Mean score under the control."""
    auc: Estimate | None = None
    """Probability that an unchanged clip scores above one under the control; None with fewer than two prompts."""
    finding: Finding
    """What that says about the judge."""


class Consistency(Record):
    """The same question asked twice.

    Example:
        Consistency(num_questions=96, num_left_out=0, share_same=1.0, mean_difference=0.0, max_difference=0.0)
    """

    num_questions: Size
    """Questions answered both times."""
    num_left_out: Count
    """Questions answered at most once."""
    share_same: Share
    """Share of them with the same answer, yes or no."""
    mean_difference: Share
    """Mean change of P(yes)."""
    max_difference: Share
    """Largest change of P(yes)."""


class OtherOpinion(Record):
    """The judge compared with a second judge or with people, on the unchanged clips.

    Example:
        OtherOpinion(source="labels.csv", is_people=True, num_questions=80, num_left_out=2, accuracy=None, kappa=None,
                     correlation=None)
    """

    source: Text
    """Name of the second judge, or of the file of labels."""
    is_people: bool
    """True for labels that people gave: only those enter the verdict."""
    num_questions: Count
    """Questions that both answered."""
    num_left_out: Count
    """Questions that only one of them answered."""
    accuracy: Estimate | None
    """Share of questions with the same answer; None with fewer than two prompts."""
    kappa: Estimate | None
    """Cohen's kappa; None also if both always give the same single answer."""
    correlation: Estimate | None
    """Pearson's correlation of the judge's P(yes) with the other's P(yes), or with 0 and 1; None if one of them is
    constant."""


class DimensionAudit(Record):
    """The audit of the judge in one dimension.

    Example:
        DimensionAudit(dimension="Composition", num_clips=24, num_prompts=24, num_questions=88, num_unanswered=0,
                       controls=(), yes_bias=None, consistency=None, others=(), verdict="not shown",
                       reasons=("no control was scored",))
    """

    dimension: Text
    """Quality dimension."""
    num_clips: Count
    """Clips audited."""
    num_prompts: Count
    """Their prompts."""
    num_questions: Count
    """Questions about the unchanged clips."""
    num_unanswered: Count
    """Questions without a usable answer."""
    controls: tuple[ControlResult, ...]
    """One per control, in the order of the table of expectations."""
    yes_bias: Estimate | None
    """Mean P(yes), both expected answers weighted equally, minus 0.5; None if only one answer is expected."""
    consistency: Consistency | None
    """The same question twice; None if it was not asked or not answered."""
    others: tuple[OtherOpinion, ...] = ()
    """Second judge and labels, where given."""
    verdict: Trust
    """The verdict by the rule."""
    reasons: tuple[str, ...] = ()
    """Why, in words; empty for a judge that can be trusted."""


class Audit(Record):
    """A judge's audit.

    Example:
        Audit(judge="sandbox-vqa", source="sandbox", is_truth_known=True, num_requests=2304, num_from_before=0,
              seconds=60.0, num_resamples=1000, seed=0, aggregate="mean", rule=Rule(), dimensions=(), notes=())
    """

    measured_fields: ClassVar[frozenset[str]] = frozenset({"seconds", "num_from_before"})

    judge: Text
    """Name of the judge."""
    source: Text
    """Where the clips came from."""
    is_truth_known: bool
    """True when the clips are known to be what their prompts say; False for a model's clips, which may miss them."""
    num_requests: Count
    """Clips shown to the judge, controls included."""
    num_from_before: Count
    """How many of those were answered in an earlier, interrupted or smaller audit in the same folder."""
    seconds: Seconds
    """Wall-clock time spent."""
    num_resamples: Size
    """Resamples of the prompts for each interval."""
    seed: Annotated[int, Field(ge=0)]
    """Seed for the choice of clips, the wrong prompts and the shuffled frames."""
    aggregate: Text
    """How answers are aggregated into a score."""
    rule: Rule
    """The rule for the verdicts."""
    dimensions: tuple[DimensionAudit, ...]
    """One per dimension, by name."""
    notes: tuple[str, ...] = ()
    """What was left out, and labels that could not be used."""

    def with_verdict(self, verdict: Trust) -> tuple[str, ...]:
        """Names of the dimensions with this verdict."""
        return tuple(each.dimension for each in self.dimensions if each.verdict == verdict)
