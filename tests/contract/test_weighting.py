"""The weighting's contract: the built-in ones pass, and each kind of bad one is caught for its own reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from rushes.recipe.weights import WeightsSpec
from rushes.records import Score, Scored
from rushes.weights.weighting import BuiltInWeighting
from tests.contract.spoiled import (
    Change,
    Spoiled,
    of_place,
    wandering,
)
from tests.contract.weighting import check_weighting


def weights(scores: Sequence[Score]) -> list[Any]:
    return [score.outcome.value if isinstance(score.outcome, Scored) else 0.0 for score in scores]


@pytest.mark.parametrize("kind", ["uniform", "raw", "filter", "exponential", "rank", "centred"])
def test_the_built_in_weightings_pass(kind: str) -> None:
    check_weighting(BuiltInWeighting(WeightsSpec.model_validate({"kind": kind})))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda results, _: tuple(results), "expected a list of"),
        (lambda results, _: results[:-1], "expected a list of 24 weights"),
        (lambda results, _: [-w for w in results], "expected finite weights >= 0"),
        (lambda results, _: [w / 0.0 if w else np.nan for w in np.array(results)], "expected finite weights >= 0"),
        (lambda results, _: [w > 0 for w in results], "expected finite weights >= 0, got True"),
        (lambda results, _: [w + 0.1 for w in results], "an unscored clip must weigh 0"),
        (lambda results, _: results or [1.0], "no scores must give no weights"),
        (wandering(lambda w, by: w * by), "weighed again"),
        (of_place(lambda w, by: w * (1 + by)), "the order of scores"),
        (lambda results, scores: [w and 1.0 - w for w in results], "the better must not weigh less"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_weightings_are_caught(change: Change, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_weighting(Spoiled(weights, change))


def test_a_weighting_may_prefer_something_else_than_better_takes_when_it_says_so() -> None:
    check_weighting(Spoiled(weights, lambda results, _: [w and 1.0 - w for w in results]), rewards_better=False)
