"""Preferences: against numpy, at their ends, and in what draws and keys make of them."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.errors import RecipeError, TrainingError
from rushes.recipe.load import parse_recipe
from rushes.recipe.objectives import NftSpec
from rushes.recipe.weights import WeightsSpec
from rushes.records import Outcome, Score, Scored, Unscored
from rushes.store.identity import content_hash
from rushes.weights.preference import advantages, compared, partners
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


def preferences(scores: list[Score]) -> list[float | None]:
    found = compared(scores)
    return [found[score.clip_key].preference if score.clip_key in found else None for score in scores]


def test_it_is_the_distance_to_the_siblings_in_units_of_its_usual_size() -> None:
    table = np.random.default_rng(3).uniform(0, 1, (40, 6))
    apart = table - table.mean(1, keepdims=True)
    expected = 0.5 + 0.5 * np.clip(apart / apart.std(), -1, 1)
    found = preferences(scores_of(*[tuple(row) for row in table.tolist()]))
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-12)
    assert {0.0, 1.0} < set(found)


def test_what_cannot_be_compared_has_no_preference() -> None:
    assert preferences(scores_of((0.2,), (0.7, 0.7), (None, None))) == [0.5, 0.5, 0.5, None, None]
    assert preferences([]) == []
    one, other, unscored, alone = preferences(scores_of((0.2, 0.8, None), (0.9,)))
    assert (one, other, unscored, alone) == (0.0, 1.0, None, 0.5)


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
    with pytest.raises(RecipeError, match=r"train\.objective: \{kind: nft"):
        parse_recipe("from: sandbox\nweights: {kind: contrast}\ntrain: {objective: {kind: flow}}", source="recipe")
    nft = parse_recipe("from: sandbox\nweights: {kind: contrast}\ntrain: {objective: {kind: nft}}", source="recipe")
    assert nft.train.objective == NftSpec()


def test_takes_are_paired_best_with_worst_and_nobody_twice() -> None:
    r, prompt = [0.2, 0.9, 0.5, 0.4, 0.7, 0.1, 0.8, 0.3], ["a"] * 5 + ["b"] * 2 + ["c"]
    assert partners(r, prompt) == [1, 0, None, 4, 3, 6, 5, None]
    found = compared(scores_of((0.2, None, 0.6), (0.5,)))
    first, third, alone = found.values()
    assert (first.score, third.score, alone.score) == (0.2, 0.6, 0.5)
    keys = list(found)
    assert (first.partner, third.partner, alone.partner) == (keys[1], keys[0], None)


def test_advantages_are_distances_in_units_of_their_root_mean_square() -> None:
    table = np.random.default_rng(4).uniform(0, 1, (30, 4))
    apart = table - table.mean(1, keepdims=True)
    found = advantages(table.ravel().tolist(), [str(i) for i in range(30) for _ in range(4)])
    np.testing.assert_allclose(found, (apart / np.sqrt(np.mean(apart**2))).ravel(), rtol=1e-12)
    assert advantages([0.5, 0.5, 0.3], ["a", "a", "b"]) == [0.0, 0.0, 0.0]
