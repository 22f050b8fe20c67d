"""From numbers to a verdict, by the rule in docs/judge_audit.md. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.audit.expectations import Expectation, table
from rushes.audit.records import Consistency, ControlResult, Finding, OtherOpinion, Rule, Trust
from rushes.statistics.resampling import Estimate


def finding(expected: Expectation, auc: Estimate | None, score_shift: float, rule: Rule) -> Finding:
    """What a control says about the judge.

    Should separate: `fails` with an AUC below `min_auc`; above that, `unclear` if its interval reaches chance. Should
    stay the same: `fails` if the AUC is more than `max_auc_shift` from one half, its interval excludes one half, and
    the mean score moved by more than `max_score_shift`; `unclear` if only the interval does not exclude one half.

    Args:
        expected: what a trustworthy judge does.
        auc: of the originals over their controls; None if it could not be computed.
        score_shift: mean score under the control minus that of the originals.
        rule: the limits.
    """
    if auc is None:
        return "not scored"
    if expected == "open":
        return "open"
    if expected == "separates":
        return "fails" if auc.value < rule.min_auc else "passes" if auc.low > 0.5 else "unclear"
    if abs(auc.value - 0.5) <= rule.max_auc_shift or abs(score_shift) <= rule.max_score_shift:
        return "passes"
    return "unclear" if auc.low <= 0.5 <= auc.high else "fails"


def judge_the_judge(
    controls: Sequence[ControlResult],
    yes_bias: Estimate | None,
    consistency: Consistency | None,
    others: Sequence[OtherOpinion],
    *,
    num_prompts: int,
    is_truth_known: bool,
    rule: Rule,
) -> tuple[Trust, tuple[str, ...]]:
    """The verdict on one dimension with its reasons, those against the judge first.

    Clips that may not match their prompts (`is_truth_known` False) can themselves cause a low AUC or a bias, so these
    leave the verdict open instead of deciding it.
    """
    against, undecided = _by_controls(controls, rule, is_truth_known)
    bias = _bias_reason(yes_bias, rule)
    if bias:
        (against if is_truth_known else undecided).append(bias)
    if consistency is not None and consistency.share_same < rule.min_self_agreement:
        against.append(f"asked again, {consistency.share_same:.0%} of its answers stay the same")
    against += [
        f"kappa {each.kappa.value:.2f} with {each.source}"
        for each in others
        if each.is_people and each.kappa is not None and each.kappa.value < rule.min_kappa
    ]
    if num_prompts < rule.min_prompts:
        undecided.append(f"{num_prompts} prompts; at least {rule.min_prompts} are needed")
    if against:
        return "do not trust", (*against, *undecided)
    return ("not shown", tuple(undecided)) if undecided else ("trust", ())


def _by_controls(controls: Sequence[ControlResult], rule: Rule, is_truth_known: bool) -> tuple[list[str], list[str]]:
    titles = {control.name: control.title for control in table().controls}
    against: list[str] = []
    undecided: list[str] = []
    for each in controls:
        title = titles.get(each.control, each.control)
        if each.auc is not None and each.finding in ("fails", "unclear"):
            auc = f"{title}: AUC {each.auc.value:.2f} ({each.auc.low:.2f} to {each.auc.high:.2f})"
            if each.finding == "unclear":
                undecided.append(f"{auc}, the interval is too wide to tell")
            elif each.expected == "same":
                against.append(f"{auc}, where 0.50 is right")
            elif is_truth_known:
                against.append(f"{auc}, below {rule.min_auc:.2f}")
            else:
                undecided.append(f"{auc}, below {rule.min_auc:.2f}, or the clips themselves miss their prompts")
        elif each.expected == "separates" and each.finding == "not scored":
            undecided.append(f"{title}: not scored{f' ({each.unscored_reason})' if each.unscored_reason else ''}")
    if not any(each.expected == "separates" for each in controls):
        undecided.append("no control that should separate was asked")
    return against, undecided


def _bias_reason(bias: Estimate | None, rule: Rule) -> str | None:
    if bias is None or abs(bias.value) <= rule.max_bias or bias.low <= 0.0 <= bias.high:
        return None
    way = "yes" if bias.value > 0 else "no"
    return f"it says {way} too easily: bias {bias.value:+.2f} ({bias.low:+.2f} to {bias.high:+.2f})"
