"""Preferences: against numpy, at their ends, and in what draws and keys make of them."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.errors import RecipeError, TrainingError
from rushes.recipe.load import parse_recipe
from rushes.recipe.weights import WeightsSpec
from rushes.records import Outcome, Score, Scored, Unscored
from rushes.store.identity import content_hash
from rushes.weights.preference import preferences
from rushes.weights.weigh import weights_of


def scores_of(*takes: tuple[float | None, ...]) -> list[Score]:
    """One prompt per tuple, one take per number; None is unscored."""
    return [
        Score(
            clip_key=content_hash([i, k]),
            prompt_key=content_hash([i]),
            dimension="Composition",
            outcome=_outcome(value),
        )
        for i, values in enumerate(takes)
        for k, value in enumerate(values)
    ]


def _outcome(value: float | None) -> Outcome:
    return Unscored(reason="too dark") if value is None else Scored(value=value)


def test_it_is_the_distance_to_the_siblings_in_units_of_its_usual_size() -> None:
    table = np.random.default_rng(3).uniform(0, 1, (40, 6))
    apart = table - table.mean(1, keepdims=True)
    expected = 0.5 + 0.5 * np.clip(apart / apart.std(), -1, 1)
    found = preferences(scores_of(*[tuple(row) for row in table.tolist()]))
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-12)
    assert {0.0, 1.0} < set(found)


def test_what_cannot_be_compared_has_no_preference() -> None:
    assert preferences(scores_of((0.2,), (0.7, 0.7), (None, None))) == [0.5] * 5
    assert preferences([]) == []
    one, other, unscored, alone = preferences(scores_of((0.2, 0.8, None), (0.9,)))
    assert (one, other, unscored, alone) == (0.0, 1.0, 0.5, 0.5)


def test_prompts_that_are_easy_or_hard_count_alike() -> None:
    hard, easy = (preferences(scores_of((level, level + 0.1), (0.0, 0.1))) for level in (0.0, 0.9))
    assert hard == pytest.approx(easy)


def test_contrast_draws_best_and_worst_alike_and_nothing_else() -> None:
    w = weights_of(scores_of((0.1, 0.5, 0.9), (0.4, None)), WeightsSpec(kind="contrast"))
    assert w == pytest.approx([2.0, 0.0, 2.0, 0.0, 0.0])
    with pytest.raises(TrainingError, match="nothing to train on") as caught:
        weights_of(scores_of((0.5, 0.5), (0.9,)), WeightsSpec(kind="contrast"))
    assert "num_takes" in (caught.value.next_step or "")


def test_contrast_without_a_term_that_moves_away_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"train\.negative above 0"):
        parse_recipe("from: sandbox\nweights: {kind: contrast}\ntrain: {negative: 0}", source="recipe")
    assert parse_recipe(
        "from: sandbox\nweights: {kind: contrast}\ntrain: {negative: 0.3}", source="recipe"
    ).train.negative
