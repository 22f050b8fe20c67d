"""The contract of the role Weighting: pure, finite, not negative, and nothing for a clip without a score."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence

from rushes.records import Score, Scored, Unscored
from rushes.roles import Weighting


def check_weighting(weighting: Weighting, *, rewards_better: bool = True) -> None:
    """Put a weighting through the contract.

    Args:
        weighting: built.
        rewards_better: whether, of two takes of one prompt, the better scored must never weigh less.
    """
    assert list(weighting.weigh([])) == [], "no scores must give no weights"
    for name, values in _cases().items():
        scores = make_scores(values)
        weights = weighting.weigh(scores)
        _check_weights(weights, scores, name)
        assert list(weighting.weigh(scores)) == list(weights), f"{name}: weighed again, the weights must be the same"
        order = random.Random(0).sample(range(len(scores)), len(scores))
        shuffled = weighting.weigh([scores[i] for i in order])
        assert all(
            math.isclose(shuffled[place], weights[i], rel_tol=1e-9, abs_tol=1e-12) for place, i in enumerate(order)
        ), f"{name}: the order of scores must change no weight"
        if rewards_better:
            _check_order(weights, scores, name)


def make_scores(values: Sequence[float | None], num_takes: int = 4) -> list[Score]:
    """Scores of clips of several prompts, `num_takes` clips each; None makes an unscored one."""
    return [
        Score(
            clip_key=_key("clip", i),
            prompt_key=_key("prompt", i // num_takes),
            dimension="Mechanics",
            outcome=Unscored(reason="no answer") if value is None else Scored(value=value),
        )
        for i, value in enumerate(values)
    ]


def _cases() -> dict[str, list[float | None]]:
    rng = random.Random(0)
    return {
        "scores of all sizes": [rng.random() for _ in range(24)],
        "ties": [rng.randint(0, 2) / 2 for _ in range(24)],
        "some unscored": [rng.choice([None, rng.random()]) for _ in range(24)],
        "all unscored": [None] * 5,
        "all perfect": [1.0] * 8,
        "all worthless": [0.0] * 8,
        "one clip": [0.7],
        "tiny scores": [5e-324, 1e-300, 0.0, 1e-12],
    }


def _key(*name: object) -> str:
    return hashlib.sha256(repr(name).encode()).hexdigest()


def _check_weights(weights: object, scores: Sequence[Score], name: str) -> None:
    assert isinstance(weights, list) and len(weights) == len(scores), (
        f"{name}: expected a list of {len(scores)} weights, got {weights!r}"
    )
    for weight, score in zip(weights, scores, strict=True):
        is_number = isinstance(weight, float | int) and not isinstance(weight, bool)
        assert is_number and math.isfinite(weight) and weight >= 0, (
            f"{name}: expected finite weights >= 0, got {weight!r} for {score.outcome!r}"
        )
        assert weight == 0 or isinstance(score.outcome, Scored), (
            f"{name}: an unscored clip must weigh 0, got {weight!r}"
        )


def _check_order(weights: Sequence[float], scores: Sequence[Score], name: str) -> None:
    for a, better in zip(weights, scores, strict=True):
        for b, other in zip(weights, scores, strict=True):
            if not (isinstance(better.outcome, Scored) and isinstance(other.outcome, Scored)):
                continue
            if better.prompt_key == other.prompt_key and better.outcome.value > other.outcome.value:
                assert a >= b, (
                    f"{name}: of two takes of one prompt the better must not weigh less, got {a!r} for "
                    f"{better.outcome.value!r} and {b!r} for {other.outcome.value!r}"
                )
