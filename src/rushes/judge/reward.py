"""Scores -> rewards that can be weighed together, whatever scales their judges use. Pure.

Where every judge answers questions, scores are shares from 0 to 1, and the reward r is the score. As soon as one gives
values or preferences, scores have no common scale. Then r is in standard deviations within the takes of one prompt:

    z_sk = (x_sk - mean_k x_sk) / max(spread_k x_sk, f_s),   r_k = sum_s w_s z_sk / sum_s w_s

x_sk is take k's value on scale s and spread the root mean square distance to the mean. f_s is the judge's repeat error
on the scale, and at least `FLOOR` of the root mean square spread over all prompts: takes that hardly differ are not
pulled apart. A scale on which a prompt's takes differ by no more than the repeat error adds 0, and takes that differ on
no scale are skipped: their order is the judge's noise. With `judge.combine: mean` the values are averaged first, and
that mean is the only scale. The division within a prompt is that of GRPO (Shao et al. 2024, arXiv 2402.03300).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from rushes.feedback import gives, preference_error, scales_of
from rushes.judge.ratings import weights_of_scales
from rushes.plugins import JUDGE, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.records import Score, Scored, Unscored

FLOOR: Final = 0.1
"""Least spread that values are divided by, as a share of the root mean square spread over all prompts of a round."""
NO_DIFFERENCE: Final = "the takes of its prompt differ by no more than the judge's repeat error"
"""Reason in the rewards of takes that teach nothing."""


@dataclass(frozen=True)
class Counted:
    """A scale as a reward is computed from it."""

    weight: float
    """w_s, above 0."""
    repeat_error: float
    """How far two equal takes may lie apart, 0 or more."""


def rewards(scores: Sequence[Score], spec: JudgeSpec) -> tuple[Score, ...]:
    """The scores with r as their value, in order; takes that teach nothing are unscored, with `NO_DIFFERENCE`.

    Args:
        scores: of all clips of a round.
        spec: the recipe's judges.

    Raises:
        RecipeError: see `weights_of_scales`.
    """
    if all(_is_share(score) for score in scores):
        return tuple(scores)
    by_scale = _values(scores, spec)
    r: dict[str, float] = {}
    total: dict[str, float] = {}
    for (dimension, name), takes in by_scale.items():
        counted = _counted(spec.of(dimension))[name]
        for clip_key, z in _standardised(takes, counted.repeat_error).items():
            total[clip_key] = total.get(clip_key, 0.0) + counted.weight
            if z is not None:
                r[clip_key] = r.get(clip_key, 0.0) + counted.weight * z
    return tuple(_with(score, r, total) for score in scores)


def num_skipped(found: Sequence[Score]) -> int:
    """How many prompts of `rewards` teach nothing, because their takes do not differ."""
    return len({each.prompt_key for each in found if each.outcome == Unscored(reason=NO_DIFFERENCE)})


def _with(score: Score, r: Mapping[str, float], total: Mapping[str, float]) -> Score:
    if not isinstance(score.outcome, Scored):
        return score
    key = score.clip_key
    if key not in r:
        return score.model_copy(update={"outcome": Unscored(reason=NO_DIFFERENCE)})
    outcome = Scored(value=r[key] / total[key], unit="standard deviations among takes", parts=score.outcome.parts)
    return score.model_copy(update={"outcome": outcome})


def _is_share(score: Score) -> bool:
    return not isinstance(score.outcome, Scored) or score.outcome.unit is None


def _values(scores: Sequence[Score], spec: JudgeSpec) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    """By dimension and scale: prompt -> clip -> value. A score that is no mean of scales is one itself, called ""."""
    found: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for score in scores:
        if isinstance(score.outcome, Scored):
            parts = {part.name: part.value for part in score.outcome.parts}
            counted = _counted(spec.of(score.dimension))
            for name in counted:
                value = parts[name] if name else score.outcome.value
                takes = found.setdefault((score.dimension, name), {})
                takes.setdefault(score.prompt_key, {})[score.clip_key] = value
    return found


def _counted(spec: JudgeSpec) -> dict[str, Counted]:
    """What a judge's rewards are computed from, by scale; the score itself is called ""."""
    judge = resolved(spec.judge, JUDGE)
    kind = gives(judge)
    if kind != "scores":
        return {"": Counted(1.0, preference_error(judge) if kind == "preferences" else 0.0)}
    weights = weights_of_scales(spec)
    scales = {
        each.name: Counted(weights[each.name], each.repeat_error or 0.0)
        for each in scales_of(judge)
        if each.name in weights
    }
    if spec.combine == "standardised":
        return scales
    total = math.fsum(weights.values())
    return {"": Counted(1.0, math.fsum(each.weight / total * each.repeat_error for each in scales.values()))}


def _standardised(takes: Mapping[str, Mapping[str, float]], repeat_error: float) -> dict[str, float | None]:
    """z of each clip on one scale; None where the takes of its prompt do not differ.

    Args:
        takes: prompt -> clip -> value.
        repeat_error: how far equal takes may lie apart.
    """
    spreads = {prompt: _spread(list(values.values())) for prompt, values in takes.items()}
    floor = max(repeat_error, FLOOR * _root_mean_square(list(spreads.values())))
    found: dict[str, float | None] = {}
    for prompt, values in takes.items():
        mean = fmean(values.values())
        differs = max(values.values()) - min(values.values()) > repeat_error
        size = max(spreads[prompt], floor)
        found.update((clip, (x - mean) / size if differs else None) for clip, x in values.items())
    return found


def _spread(values: Sequence[float]) -> float:
    mean = fmean(values)
    return _root_mean_square([x - mean for x in values])


def _root_mean_square(values: Sequence[float]) -> float:
    largest = max(map(abs, values))  # squares of what a scale may hold could overflow, or vanish
    return largest * math.sqrt(fmean((x / largest) ** 2 for x in values)) if largest else 0.0
