"""Which dimensions to aim at, and how many prompts each gets. Pure functions of measurements and the recipe."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final

from rushes.diagnose.baseline import Baseline, Diagnosis, baseline
from rushes.errors import UserError
from rushes.recipe.diagnose import DiagnoseSpec
from rushes.recipe.dimensions import probed
from rushes.records import Focus, Measurement, Score

NAMED_FLOOR: Final = 0.1
"""A dimension named by the user counts at least this share of the largest gap among the named ones."""


def weakest(
    measurements: Iterable[Measurement], spec: DiagnoseSpec, num_prompts: int, scores: Iterable[Score] = ()
) -> tuple[Focus, ...]:
    """The dimensions to aim at with their share of the prompts, largest possible gain first (or in the user's order).

    The possible gain depends on `diagnose.choose`. It is the gap from the mean score up to `diagnose.target`, or the
    part of that gap which the model's own best takes close, or the part which the judge's favourite takes close. The
    last two count less their standard error over probe prompts: the largest of several means would otherwise be the
    one with the most luck in it. Shares are proportional to the possible gain. Dimensions without a score and group
    dimensions (Diversity) are never chosen; `baseline` reports them. Nor are dimensions with a mean score below
    `diagnose.min_score`, unless they are named.

    Args:
        measurements: of the untouched model, on probe prompts.
        spec: how to choose.
        num_prompts: weakness prompts to distribute, 0 or more.
        scores: the judge's scores of the same clips, for `diagnose.choose: picked`.

    Raises:
        UserError: nothing was measured, nothing is below the target, or a named dimension has no score.
        RecipeError: the recipe names a dimension that does not exist or cannot be aimed at.
    """
    names = [dimension.name for dimension in probed(spec)]
    diagnosis = baseline(measurements, names, scores)
    by_name = {each.dimension: each for each in diagnosis.measured if not each.group}
    candidates = [by_name[name] for name in names if name in by_name]
    # sorted() keeps the catalogue's order among equal gaps.
    ranked = sorted(candidates, key=lambda each: -_to_win(each, spec))
    chosen = _named(spec, by_name, diagnosis) if spec.focus else _widest(spec, ranked, diagnosis)
    to_win = [_to_win(each, spec) for each in chosen]
    if spec.focus:
        least = NAMED_FLOOR * max(to_win) or 1.0  # no possible gain anywhere: equal shares
        to_win = [max(each, least) for each in to_win]
    counts = apportion(to_win, num_prompts)
    return tuple(
        _focus(each, spec, part / math.fsum(to_win), count, _reason(each, spec, ranked))
        for each, part, count in zip(chosen, to_win, counts, strict=True)
    )


def every(measurements: Iterable[Measurement], spec: DiagnoseSpec) -> tuple[Focus, ...]:
    """The dimensions that the user names, or else all that were measured, in the order of the catalogue; no prompts.

    Nothing is chosen by the measurements, so they may be those that a later comparison starts from.

    Args:
        measurements: of the untouched model.
        spec: the dimensions.

    Raises:
        UserError: nothing was measured, or a named dimension has no score.
        RecipeError: the recipe names a dimension that does not exist or cannot be aimed at.
    """
    names = [dimension.name for dimension in probed(spec)]
    diagnosis = baseline(measurements, names)
    by_name = {each.dimension: each for each in diagnosis.measured if not each.group}
    if not by_name and not spec.focus:
        raise _unmeasured(diagnosis)
    found = _named(spec, by_name, diagnosis) if spec.focus else [by_name[name] for name in names if name in by_name]
    reason = "named in the recipe" if spec.focus else "measured"
    return tuple(_focus(each, spec, 1 / len(found), 0, f"{reason}; only real clips are trained on") for each in found)


def _to_win(each: Baseline, spec: DiagnoseSpec) -> float:
    gap = _gap(each, spec)
    if spec.choose == "gap":
        return gap
    gain, error = _gain(each, spec)
    # Without several takes to compare, in several prompts, no gain is known to be possible.
    return 0.0 if gain is None or error is None else max(0.0, min(gap, gain - error))


def _gain(each: Baseline, spec: DiagnoseSpec) -> tuple[float | None, float | None]:
    """What the take that counts gains over the mean one, and the standard error of that."""
    if spec.choose == "headroom":
        return each.headroom, each.headroom_error
    return each.picked, each.picked_error


def _possible(each: Baseline, spec: DiagnoseSpec) -> str:
    """The possible gain of a dimension as an error states it."""
    gain, error = _gain(each, spec)
    if gain is None or error is None:
        return "no two prompts with two takes to compare"
    return f"{gain:+.3f} with a standard error of {error:.3f}"


def _gap(each: Baseline, spec: DiagnoseSpec) -> float:
    return max(0.0, spec.target - each.mean)


def _focus(each: Baseline, spec: DiagnoseSpec, share: float, num_prompts: int, reason: str) -> Focus:
    return Focus(
        dimension=each.dimension,
        baseline=each.mean,
        low=each.low,
        high=each.high,
        gap=_gap(each, spec),
        headroom=each.headroom,
        headroom_error=each.headroom_error,
        picked=each.picked,
        picked_error=each.picked_error,
        share=share,
        num_prompts=num_prompts,
        reason=reason,
    )


def _reason(each: Baseline, spec: DiagnoseSpec, ranked: Sequence[Baseline]) -> str:
    place = ranked.index(each) + 1
    if spec.choose == "gap":
        size = "widest gap" if place == 1 else f"gap number {place}, widest first,"
        text = f"{size} to {spec.target:g} of {len(ranked)} dimensions"
    else:
        size = "most" if place == 1 else f"number {place}"
        best = "best" if spec.choose == "headroom" else "judge's favourite"
        text = (
            f"{size} of {len(ranked)} dimensions by what the {best} of {spec.num_takes} takes gains over their mean, "
            "less its error"
        )
    return f"named in the recipe; {text}" if spec.focus else text


def _widest(spec: DiagnoseSpec, ranked: Sequence[Baseline], diagnosis: Diagnosis) -> list[Baseline]:
    if not ranked:
        raise _unmeasured(diagnosis)
    weak = [each for each in ranked if _to_win(each, spec) > 0 and each.mean >= spec.min_score]
    if not weak and any(_to_win(each, spec) > 0 for each in ranked):
        raise UserError(
            f"every dimension with a possible gain is below diagnose.min_score: {spec.min_score:g}",
            expected="a dimension that the model gets right often enough to learn from its own takes",
            got={each.dimension: round(each.mean, 3) for each in ranked},
            next_step=f"lower diagnose.min_score, or name what to aim at: --set {_aim(ranked)}",
        )
    if not weak and any(_gap(each, spec) > 0 for each in ranked):
        raise UserError(
            f"no dimension has a possible gain by diagnose.choose: {spec.choose}, so there is nothing to learn from",
            expected="a dimension in which the best take (picked: the judge's favourite) scores above the mean take "
            "by more than the standard error over probe prompts",
            got={each.dimension: _possible(each, spec) for each in ranked},
            next_step="raise diagnose.num_prompts or diagnose.num_takes, or --set diagnose.choose=gap, or "
            f"--set {_aim(ranked)}",
        )
    if not weak:
        raise UserError(
            f"every measured dimension has reached the target {spec.target:g}, so there is nothing to improve",
            expected="a dimension below diagnose.target",
            got={each.dimension: round(each.mean, 3) for each in ranked},
            next_step=f"raise diagnose.target, or name what to aim at: --set {_aim(ranked)}",
        )
    return weak[: spec.num_focus]


def _unmeasured(diagnosis: Diagnosis) -> UserError:
    return UserError(
        "no dimension could be measured, so there is none to aim at",
        expected="at least one scored clip of the untouched model",
        got={each.dimension: each.reason for each in diagnosis.unmeasured},
        next_step="correct what the reasons name, or measure.measurer; then run the same command again",
    )


def _aim(ranked: Sequence[Baseline]) -> str:
    """The setting that aims at the dimension with the lowest score."""
    lowest = min(ranked, key=lambda each: each.mean)
    return shlex.quote(f"diagnose.focus={json.dumps([lowest.dimension])}")


def _named(spec: DiagnoseSpec, by_name: dict[str, Baseline], diagnosis: Diagnosis) -> list[Baseline]:
    reasons = {each.dimension: each.reason for each in diagnosis.unmeasured}
    for name in spec.focus:
        if name not in by_name:
            raise UserError(
                f"the dimension {name!r} of diagnose.focus has no score, so its gain could never be shown",
                expected="a measurer that can score it",
                got=reasons.get(name, "no probe clip of it was measured"),
                next_step="give its examples questions that the measurer can answer, name your own measurer "
                "(measure.measurer), or remove it from diagnose.focus",
            )
    return [by_name[name] for name in spec.focus]


def apportion(weights: Sequence[float], total: int) -> tuple[int, ...]:
    """`total` whole things in proportion to `weights`, by largest remainders (Hamilton's method).

    Args:
        weights: finite, 0 or more, not all 0.
        total: how many to distribute, 0 or more.

    Returns:
        One count per weight, each within 1 of its exact quota; they add up to `total`. Ties go to the earlier weight.

    Raises:
        ValueError: weights or a total that cannot be apportioned.
    """
    if total < 0 or not all(math.isfinite(w) and w >= 0 for w in weights) or not any(weights):
        raise ValueError(f"expected weights >= 0, not all 0, and a total >= 0, got {weights!r} and {total!r}")
    exact = [Fraction(w) for w in weights]
    quotas = [total * w / sum(exact) for w in exact]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(weights)), key=lambda i: counts[i] - quotas[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return tuple(counts)
