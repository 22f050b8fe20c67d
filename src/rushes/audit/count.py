"""From answers to the numbers of one dimension. Pure.

Legend: N questions or clips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from rushes.audit.cases import ASKED_AGAIN, ORIGINAL, Asked, Case
from rushes.audit.expectations import table
from rushes.audit.records import Consistency, ControlResult, DimensionAudit, OtherOpinion, Rule
from rushes.audit.verdict import finding, judge_the_judge
from rushes.judge.check import Checked
from rushes.judge.grade import aggregate
from rushes.judge.labels import LabelFile
from rushes.records import Question
from rushes.statistics.ratios import (
    EVEN,
    accuracy,
    auc_estimate,
    bias_terms,
    correlation,
    estimate,
    kappa,
    pair_terms,
    yes_bias,
)
from rushes.statistics.resampling import Estimate, Resampling


@dataclass
class Replies:
    """All answers about one clip."""

    case: Case
    given: dict[str, tuple[Asked, tuple[Checked, ...]]] = field(
        default_factory=dict[str, tuple[Asked, tuple[Checked, ...]]]
    )
    """By control: the request, and one answer per question of it."""
    not_asked: dict[str, str] = field(default_factory=dict[str, str])
    """By control: why it could not be applied."""
    second: tuple[Checked, ...] | None = None
    """A second judge's answers about the unchanged clip."""

    @property
    def original(self) -> tuple[Checked, ...]:
        """The judge's answers about the unchanged clip."""
        return self.given[ORIGINAL][1]


def count_dimension(
    replies: Sequence[Replies],
    controls: Sequence[str],
    *,
    aggregate_how: str,
    how: Resampling,
    rule: Rule,
    is_truth_known: bool,
    second: str | None = None,
    labels: LabelFile | None = None,
) -> DimensionAudit:
    """The audit of the judge in one dimension.

    Args:
        replies: the answers about its clips, at least one.
        controls: names of the controls that were asked.
        aggregate_how: how answers become a score.
        how: resamples of the prompts.
        rule: what decides the verdict.
        is_truth_known: whether the clips are what their prompts say.
        second: name of the second judge; None for none.
        labels: answers of people; None for none.
    """
    name = replies[0].case.dimension
    results = tuple(
        _control(name, replies, control, aggregate_how, how, rule)
        for control in (each.name for each in table().controls)
        if control in controls
    )
    bias = _bias(replies, how)
    consistency = _consistency(replies)
    others = [_second(replies, second, how)] if second is not None else []
    if labels is not None:
        others.append(_people(replies, labels, how))
    num_prompts = len({each.case.prompt for each in replies})
    verdict, reasons = judge_the_judge(
        results, bias, consistency, others, num_prompts=num_prompts, is_truth_known=is_truth_known, rule=rule
    )
    answers = [answer for each in replies for answer in each.original]
    return DimensionAudit(
        dimension=name,
        num_clips=len(replies),
        num_prompts=num_prompts,
        num_questions=len(answers),
        num_unanswered=sum(answer.p_yes is None for answer in answers),
        controls=results,
        yes_bias=bias,
        consistency=consistency,
        others=tuple(others),
        verdict=verdict,
        reasons=reasons,
    )


# ---------------------------------------------------------------------------------------------- controls


def _control(
    name: str, replies: Sequence[Replies], control: str, aggregate_how: str, how: Resampling, rule: Rule
) -> ControlResult:
    pairs: list[tuple[float, float, str]] = []
    reasons: Counter[str] = Counter()
    for each in replies:
        scores = _scores(each, control, aggregate_how)
        if isinstance(scores, str):
            reasons[scores] += 1
        else:
            pairs.append((*scores, each.case.prompt))
    original, changed = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    prompts = [pair[2] for pair in pairs]
    expected = table().expectation(next(each for each in table().controls if each.name == control), name)
    auc = auc_estimate(original, changed, prompts, how) if pairs else None
    means = (fmean(original), fmean(changed)) if pairs else None
    return ControlResult(
        control=control,
        expected=expected,
        num_clips=len(pairs),
        num_prompts=len(set(prompts)),
        num_unscored=len(replies) - len(pairs),
        unscored_reason=reasons.most_common(1)[0][0] if reasons else "",
        mean_original=means[0] if means else None,
        mean_control=means[1] if means else None,
        auc=auc,
        finding=finding(expected, auc, means[1] - means[0] if means else 0.0, rule),
    )


def _scores(reply: Replies, control: str, aggregate_how: str) -> tuple[float, float] | str:
    """Scores of the unchanged clip, over the compared questions, and under the control; or why there is none."""
    if control in reply.not_asked:
        return reply.not_asked[control]
    asked, answers = reply.given[control]
    own = [(reply.case.questions[index], reply.original[index]) for index in asked.compared]
    both = [_score(own, aggregate_how), _score(list(zip(asked.request.questions, answers, strict=True)), aggregate_how)]
    missing = [each for each in both if isinstance(each, str)]
    if missing:
        return missing[0]
    original, changed = both
    assert not isinstance(original, str) and not isinstance(changed, str)
    return original, changed


def _score(answered: Sequence[tuple[Question, Checked]], aggregate_how: str) -> float | str:
    """The score that the run would give a clip, or the first reason why there is none."""
    values: list[float] = []
    for question, answer in answered:
        if answer.p_yes is None:
            return answer.unscored_reason or "no answer"
        values.append(question.p_expected(answer.p_yes))
    return aggregate(values, aggregate_how)


# ---------------------------------------------------------------------------------------------- the unchanged clips


def _bias(replies: Sequence[Replies], how: Resampling) -> Estimate | None:
    rows = [
        (answer.p_yes, question.expected == "yes", each.case.prompt)
        for each in replies
        for question, answer in zip(each.case.questions, each.original, strict=True)
        if answer.p_yes is not None
    ]
    if not rows:
        return None
    terms_NS = bias_terms(np.array([p_yes for p_yes, _, _ in rows]), np.array([yes for _, yes, _ in rows], bool))
    return estimate(terms_NS, [prompt for _, _, prompt in rows], yes_bias, how, (-0.5, 0.5))


def _consistency(replies: Sequence[Replies]) -> Consistency | None:
    pairs: list[tuple[float, float]] = []
    num_left_out = 0
    for each in replies:
        if ASKED_AGAIN in each.given:
            for first, again in zip(each.original, each.given[ASKED_AGAIN][1], strict=True):
                if first.p_yes is None or again.p_yes is None:
                    num_left_out += 1
                else:
                    pairs.append((first.p_yes, again.p_yes))
    if not pairs:
        return None
    differences = [abs(first - again) for first, again in pairs]
    return Consistency(
        num_questions=len(pairs),
        num_left_out=num_left_out,
        share_same=fmean((first >= EVEN) == (again >= EVEN) for first, again in pairs),
        mean_difference=fmean(differences),
        max_difference=max(differences),
    )


# ---------------------------------------------------------------------------------------------- other opinions

Opinion = tuple[float, float, str]
"""The judge's P(yes), the other's, and the prompt."""


def _second(replies: Sequence[Replies], second: str, how: Resampling) -> OtherOpinion:
    rows: list[Opinion | None] = []
    for each in replies:
        others = each.second or (Checked(None, "not asked"),) * len(each.original)
        for own, other in zip(each.original, others, strict=True):
            is_full = own.p_yes is not None and other.p_yes is not None
            rows.append((own.p_yes, other.p_yes, each.case.prompt) if is_full else None)  # type: ignore[arg-type]
    return _opinion(rows, second, False, how)


def _people(replies: Sequence[Replies], labels: LabelFile, how: Resampling) -> OtherOpinion:
    rows: list[Opinion | None] = []
    for each in replies:
        for question, own in zip(each.case.questions, each.original, strict=True):
            said = labels.answer(each.case.name, question.text)
            if said is not None:
                rows.append((own.p_yes, float(said), each.case.prompt) if own.p_yes is not None else None)
    return _opinion(rows, labels.source, True, how)


def _opinion(rows: Sequence[Opinion | None], source: str, is_people: bool, how: Resampling) -> OtherOpinion:
    full = [row for row in rows if row is not None]
    prompts = [prompt for _, _, prompt in full]
    judge_N, other_N = np.array([own for own, _, _ in full]), np.array([other for _, other, _ in full])
    said = pair_terms((judge_N >= EVEN).astype(float), (other_N >= EVEN).astype(float)) if full else None
    felt = pair_terms(judge_N, other_N) if full else None
    return OtherOpinion(
        source=source,
        is_people=is_people,
        num_questions=len(full),
        num_left_out=len(rows) - len(full),
        accuracy=None if said is None else estimate(said, prompts, accuracy, how, (0.0, 1.0)),
        kappa=None if said is None else estimate(said, prompts, kappa, how),
        correlation=None if felt is None else estimate(felt, prompts, correlation, how),
    )
