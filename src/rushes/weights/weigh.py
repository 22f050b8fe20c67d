"""Clips and their scores -> samples with weights: checked, scaled, and refused if nothing is left to train on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from numbers import Real

from rushes.errors import RecipeError, TrainingError
from rushes.judge.reward import num_skipped
from rushes.plugins import WEIGHTING, build
from rushes.recipe.weights import WeightsSpec
from rushes.records import Clip, Sample, Score, Scored, Unscored
from rushes.roles import Runtime, Weighting
from rushes.weights.preference import Compared, compared
from rushes.weights.weighting import BuiltInWeighting


def weighed(clips: Sequence[Clip], scores: Sequence[Score], spec: WeightsSpec) -> tuple[Sample, ...]:
    """Clips as training samples, in order; unscored ones are kept with weight 0, so that reports can count them.

    Args:
        clips: the model's own, with a score each, and real ones, which need none and get weight 1.
        scores: of the own clips, in any order: rewards, see `rushes.judge.reward`.
        spec: how scores become weights.

    Raises:
        TrainingError, RecipeError: see `weights_of`.
        ValueError: an own clip has no score, or a score no clip.
    """
    by_clip = {score.clip_key: score for score in scores}
    own = [clip for clip in clips if clip.origin == "model"]
    if {clip.key for clip in own} != by_clip.keys() or len(by_clip) != len(scores):
        raise ValueError(f"expected one score per own clip, got {len(scores)} scores for {len(own)} clips")
    w = weights_of([by_clip[clip.key] for clip in own], spec) if own else []
    weight = dict(zip([clip.key for clip in own], w, strict=True))
    beside = compared(scores)
    return tuple(
        _judged(clip, weight[clip.key], beside.get(clip.key)) if clip.origin == "model" else _sample(clip)
        for clip in clips
    )


def unjudged(clips: Sequence[Clip]) -> tuple[Sample, ...]:
    """Clips as training samples without a judge: every one gets weight 1.

    Args:
        clips: the model's own and real ones.
    """
    return tuple(map(_sample, clips))


def _sample(clip: Clip) -> Sample:
    return Sample(
        clip_key=clip.key,
        prompt_key=clip.prompt_key,
        weight=1.0,
        source="own" if clip.origin == "model" else "real",
        dimension=clip.dimension,
    )


def _judged(clip: Clip, weight: float, beside: Compared | None) -> Sample:
    """An own clip with its weight, and what its score says; nothing without a score."""
    said = {"preference": None} if beside is None else asdict(beside)
    return _sample(clip).model_copy(update={"weight": weight, **said})


def weights_of(scores: Sequence[Score], spec: WeightsSpec) -> list[float]:
    """One weight per score, in order: finite, 0 or more, 0 for unscored clips, of mean 1 over the scored ones.

    Raises:
        TrainingError: no clip is scored, or all weights are 0; the next step names a remedy.
        RecipeError: a plug-in weighting cannot be loaded, or did not return a list of weights.
    """
    given: object = build_weighting(spec).weigh(scores)
    w = _checked(given, scores, spec.plugin.use if spec.plugin is not None else spec.kind)
    is_scored = [isinstance(score.outcome, Scored) for score in scores]
    if not any(w):
        raise _nothing_left(scores, sum(is_scored), spec)
    return scaled(w, sum(is_scored))


def scaled(w: Sequence[float], num_scored: int) -> list[float]:
    """`w` times the factor that makes its sum `num_scored`.

    Args:
        w: finite, 0 or more, not all 0.
        num_scored: number of clips that the mean of 1 is over, at least as many as have a weight.
    """
    largest = max(w)
    # Dividing by the largest first: sums of tiny weights would overflow their inverse.
    relative = [weight / largest for weight in w]
    mean = math.fsum(relative) / num_scored
    return [weight / mean for weight in relative]


def build_weighting(spec: WeightsSpec) -> Weighting:
    """The recipe's weighting.

    Raises:
        RecipeError: a plug-in that cannot be loaded, or that is not a weighting.
    """
    if spec.plugin is None:
        return BuiltInWeighting(spec)
    weighting: Weighting = build(spec.plugin, WEIGHTING, Runtime(), "weights.plugin")
    return weighting


def _checked(given: object, scores: Sequence[Score], name: str) -> list[float]:
    """A weighting's output as plain floats; a plug-in may return anything."""
    if not isinstance(given, (list, tuple)) or len(given) != len(scores):
        raise RecipeError(
            f"the weighting {name} must return one weight per score",
            expected=f"a list of {len(scores)} numbers",
            got=given if not isinstance(given, (list, tuple)) else f"{len(given)} weights",
            next_step="correct weigh() of that weighting",
        )
    w: list[float] = []
    for position, (weight, score) in enumerate(zip(given, scores, strict=True)):
        value = float(weight) if isinstance(weight, Real) and not isinstance(weight, bool) else math.nan
        if not (math.isfinite(value) and value >= 0) or (value > 0 and not isinstance(score.outcome, Scored)):
            raise RecipeError(
                f"the weighting {name} gave an impossible weight to clip {position} of {len(scores)}",
                expected="a finite number >= 0, and 0 for an unscored clip",
                got=(weight, score.outcome.kind),
                next_step="correct weigh() of that weighting",
            )
        w.append(value)
    return w


def _nothing_left(scores: Sequence[Score], num_scored: int, spec: WeightsSpec) -> TrainingError:
    values = [score.outcome.value for score in scores if isinstance(score.outcome, Scored)]
    if not values:
        return TrainingError(
            "no clip has a score, so none has a weight",
            expected="at least one scored clip",
            got=f"{len(scores)} unscored clips{_commonest_reason(scores)}",
            next_step="generate more takes per prompt (generate.num_takes), or name another judge in judge.judge"
            if num_skipped(scores)
            else "correct what the reason names, or judge.judge; then run the same command again",
        )
    ways = {
        "raw": "every score is 0; use easier prompts, or check the judge as docs/judge_audit.md shows",
        "filter": f"lower weights.threshold (now {spec.threshold:g}), or --set weights.kind=rank",
        "centred": f"generate more takes per prompt (generate.num_takes), lower weights.floor (now {spec.floor:g}), "
        "or --set weights.kind=rank",
        "contrast": "generate more takes per prompt (generate.num_takes): no take differs from its siblings",
    }
    return TrainingError(
        f"all {num_scored} scored clips have weight 0 under weights.kind: {spec.kind}, so there is nothing to train on",
        expected="at least one weight above 0",
        got=f"scores from {min(values):.3g} to {max(values):.3g}",
        next_step=ways.get(spec.kind, "fix the weighting, or --set 'weights={kind: rank}'"),
    )


def _commonest_reason(scores: Sequence[Score]) -> str:
    reasons = Counter(score.outcome.reason for score in scores if isinstance(score.outcome, Unscored))
    return "".join(f", {num} of them: {reason}" for reason, num in reasons.most_common(1))
