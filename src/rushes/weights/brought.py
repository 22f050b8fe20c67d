"""Real clips that are trained on in place of the model's own: what their owner says becomes weights and columns. Pure.

- A clip's weight is the one that is stated. Without stated weights it follows from the scores by the recipe's
  weighting, and without scores all weigh the same: plain fine-tuning.
- Scores become r, 0 to 1. Stated scores that all lie there are taken as they are; others are mapped so that the lowest
  becomes 0 and the highest 1. One line for all of them: who scores videos of several captions on one scale means it.
- Where nobody states a score, preferences give one: r is the share of a clip's comparisons that it wins. A clip that no
  preference names has none.
- Clips of one caption are takes of one prompt, whichever files they come from.

Preferences stay pairs for an objective on pairs, which then reads those alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from rushes.errors import TrainingError
from rushes.recipe.weights import WeightsSpec
from rushes.records import UNSTATED, Clip, Outcome, Prompt, Sample, Score, Scored, Stated, Unscored
from rushes.weights.preference import compared
from rushes.weights.weigh import scaled, weights_of


class Brought(NamedTuple):
    """Real clips, weighed."""

    samples: tuple[Sample, ...]
    """One for each clip, in order, to be learned from."""
    scores: tuple[Score, ...]
    """r of each clip; empty where neither scores nor preferences are stated."""


def brought(
    clips: Sequence[Clip], stated: Mapping[str, Stated], prompts: Mapping[str, Prompt], spec: WeightsSpec
) -> Brought:
    """Real clips as samples to learn from.

    Args:
        clips: the real clips, at least one.
        stated: what is said about them, by key; it names clips by their keys.
        prompts: by key, at least those of `clips`.
        spec: how scores become weights where no weights are stated.

    Raises:
        TrainingError: no weight is above 0.
        RecipeError: see `weights_of`.
    """
    said = [stated.get(clip.key, UNSTATED) for clip in clips]
    first: dict[str, str] = {}
    takes_of = [first.setdefault(prompts[clip.prompt_key].text, clip.prompt_key) for clip in clips]
    scores = tuple(
        Score(clip_key=clip.key, prompt_key=prompt, dimension=clip.dimension, outcome=outcome)
        for clip, prompt, outcome in zip(clips, takes_of, _outcomes(clips, said), strict=True)
    )
    beside = compared(scores)
    w = _weights(said, scores, spec)
    samples = [
        Sample(
            clip_key=clip.key,
            prompt_key=prompt,
            weight=weight,
            source="own",
            dimension=clip.dimension,
            preferred_over=each.preferred_over,
        )
        for clip, prompt, weight, each in zip(clips, takes_of, w, said, strict=True)
    ]
    if not beside:
        return Brought(tuple(samples), ())
    columns = [asdict(beside[key]) if (key := each.clip_key) in beside else {"preference": None} for each in samples]
    return Brought(tuple(each.model_copy(update=column) for each, column in zip(samples, columns, strict=True)), scores)


def _outcomes(clips: Sequence[Clip], said: Sequence[Stated]) -> list[Outcome]:
    """r of each clip, or why there is none."""
    values = [each.score for each in said if each.score is not None]
    if not values:
        return _won(clips, said)
    low, high = min(values), max(values)
    low, high = (0.0, 1.0) if 0.0 <= low and high <= 1.0 else (low, high)
    reach = high - low or 1.0
    return [
        Unscored(reason="its owner states no score")
        if each.score is None
        else Scored(value=(each.score - low) / reach if low < high else 1.0)  # all equal: none is better
        for each in said
    ]


def _won(clips: Sequence[Clip], said: Sequence[Stated]) -> list[Outcome]:
    """The share of its comparisons that each clip wins."""
    won = Counter({clip.key: len(each.preferred_over) for clip, each in zip(clips, said, strict=True)})
    lost = Counter(key for each in said for key in each.preferred_over)
    return [
        Scored(value=won[clip.key] / num)
        if (num := won[clip.key] + lost[clip.key])
        else Unscored(reason="no preference of its owner names it")
        for clip in clips
    ]


def _weights(said: Sequence[Stated], scores: Sequence[Score], spec: WeightsSpec) -> list[float]:
    """One weight for each clip, of mean 1 over those that have one."""
    w = [each.weight for each in said]
    if any(each is not None for each in w):
        if not any(w):
            raise TrainingError(
                "every weight in the folder's table is 0, so there is nothing to train on",
                expected="at least one weight above 0",
                next_step="correct the column weight, or remove it to train on all videos alike",
            )
        return scaled([each or 0.0 for each in w], sum(each is not None for each in w))
    if any(isinstance(each.outcome, Scored) for each in scores):
        return weights_of(scores, spec)
    return [1.0] * len(said)
