"""A judge that gives scores: values on named scales become ratings, and the ratings of a clip its score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rushes.errors import RecipeError
from rushes.execute.batch import batch_or_alone
from rushes.feedback import SHARE, Scale, ScoreJudge, ScoreRequest, gives, scales_of
from rushes.judge.asking import Asking
from rushes.judge.check import CheckedValue, checked_values
from rushes.judge.key import rating_key
from rushes.plugins import JUDGE, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.records import Clip, Outcome, Part, Prompt, Rating, Score, Scored, Unscored
from rushes.roles import Failed
from rushes.store.advance import Work
from rushes.store.decoded import Decoded


@dataclass(frozen=True)
class Rated:
    """One scale of one clip; all scales are asked together."""

    clip: Clip
    prompt: Prompt
    scale: Scale


def asking_for_ratings(
    clips: Sequence[Clip], prompts: Mapping[str, Prompt], spec: JudgeSpec, num_clips: int
) -> Asking[Rated, Rating]:
    """What a judge that gives scores is asked; see `Asking`."""
    scales = scales_of(resolved(spec.judge, JUDGE))
    work = [
        Work(rating_key(clip, prompts[clip.prompt_key], spec, scale), Rated(clip, prompts[clip.prompt_key], scale))
        for clip in clips
        for scale in scales
    ]
    ask = partial(ask_for_scores, scales=scales)
    size = max(1, num_clips) * len(scales)
    return Asking("ratings", Rating, work, ask, size, lambda ratings: grade_ratings(clips, ratings, spec))


def ask_for_scores(
    judge: ScoreJudge, chunk: Sequence[Work[Rated]], *, scales: tuple[Scale, ...], videos: Decoded, name: str
) -> list[Rating | Failed]:
    """Rate the clips of one chunk: a `Rating`, or `Failed`, per piece of work in order.

    Raises:
        BlobCorrupt: a clip's video is damaged.
        UserError, Stopped: raised by the judge.
    """
    asked = list({piece.payload.clip.key: piece.payload for piece in chunk}.values())
    requests = [
        ScoreRequest(video, each.prompt.text, each.clip.dimension, each.clip.key)
        for each, video in zip(asked, videos.of([each.clip for each in asked]), strict=True)
    ]
    given = dict(zip([each.clip.key for each in asked], batch_or_alone(judge.score, requests), strict=True))
    return [_rating(piece, given[piece.payload.clip.key], scales, name) for piece in chunk]


def _rating(piece: Work[Rated], given: object, scales: tuple[Scale, ...], name: str) -> Rating | Failed:
    if isinstance(given, Failed):
        return given
    scale = piece.payload.scale
    found = checked_values(given, [each.name for each in scales])[scale.name]
    if scale.unit == SHARE and found.value is not None and not 0.0 <= found.value <= 1.0:
        found = CheckedValue(None, f"the value on {scale.name} must be from 0 to 1, got {found.value!r}")
    return Rating(
        key=piece.key,
        clip_key=piece.payload.clip.key,
        scale=scale.name,
        unit=scale.unit,
        value=found.value,
        unscored_reason=found.unscored_reason,
        judge=name,
    )


def grade_ratings(clips: Sequence[Clip], ratings: Sequence[Rating], spec: JudgeSpec) -> tuple[Score, ...]:
    """One score per clip, in order: the weighted mean of its values on the scales that count, which are its parts."""
    counting = weights_of_scales(spec)
    by_clip: dict[str, dict[str, Rating]] = {}
    for rating in ratings:
        by_clip.setdefault(rating.clip_key, {})[rating.scale] = rating
    return tuple(
        Score(
            clip_key=clip.key,
            prompt_key=clip.prompt_key,
            dimension=clip.dimension,
            outcome=outcome_of_values(by_clip.get(clip.key, {}), counting),
        )
        for clip in clips
    )


def outcome_of_values(ratings: Mapping[str, Rating], counting: Mapping[str, float]) -> Outcome:
    """The score of one clip, or why there is none: it needs a value on every scale that counts.

    Args:
        ratings: of the clip, by scale.
        counting: the weight of each scale that counts.
    """
    missing = [
        f"{name}: {ratings[name].unscored_reason if name in ratings else 'the judge failed; there is no value'}"
        for name in counting
        if name not in ratings or ratings[name].value is None
    ]
    if missing:
        return Unscored(reason=f"no value on {len(missing)} of {len(counting)} scales: {'; '.join(missing)}")
    rated = [ratings[name] for name in counting]
    parts = tuple(Part(name=x.scale, value=x.value, unit=_unit(x)) for x in rated if x.value is not None)
    units = {part.unit for part in parts}
    total = math.fsum(counting.values())
    return Scored(
        value=math.fsum(counting[part.name] / total * part.value for part in parts),
        unit=units.pop() if len(units) == 1 else f"mean of {', '.join(counting)}",
        parts=parts,
    )


def gives_shares(spec: JudgeSpec) -> bool:
    """Whether the scores of a judge are from 0 to 1: it gives answers, or values on scales that all are shares.

    Raises:
        RecipeError: see `weights_of_scales`.
    """
    judge = resolved(spec.judge, JUDGE)
    if gives(judge) != "scores":
        return gives(judge) == "answers"
    units = {scale.name: scale.unit for scale in scales_of(judge)}
    return all(units[name] == SHARE for name in weights_of_scales(spec))


def _unit(rating: Rating) -> str | None:
    """The unit of a part: None for a share, as in the parts of answers."""
    return None if rating.unit == SHARE else rating.unit


def weights_of_scales(spec: JudgeSpec) -> dict[str, float]:
    """The scales of the judge that count, in its order, with their weights.

    Raises:
        RecipeError: the recipe names scales, and none of them is the judge's.
    """
    names = [scale.name for scale in scales_of(resolved(spec.judge, JUDGE))]
    found = {name: spec.scales.get(name, 0.0) if spec.scales else 1.0 for name in names}
    counting = {name: weight for name, weight in found.items() if weight}
    if not counting:
        raise RecipeError(
            "judge.scales names none of the judge's scales",
            expected=f"a weight for at least one of {', '.join(names)}",
            got=dict(spec.scales),
            next_step=f"--set 'judge.scales={{{names[0]}: 1.0}}'",
        )
    return counting
