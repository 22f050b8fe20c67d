"""The direction in which a prompt's takes get better, which prompts have one, and where own clips are read along it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rushes.errors import TrainingError
from rushes.families.texts import TextStates
from rushes.plugins import objective_needs
from rushes.recipe.objectives import ArtSpec
from rushes.recipe.train import RealismSpec, TrainSpec
from rushes.train.data import TrainingSet, step_batch
from rushes.train.direction import directions, have_direction, reward_direction
from rushes.train.draw import units_of
from tests.support.sandbox_recipe import sandbox_recipe

NAN = float("nan")
SCORES = [0.1, 0.9, 0.5, NAN, 0.4, 0.4, NAN, 0.4, 0.7, NAN, NAN, NAN, 0.30, 0.32, 0.34, 0.30, NAN, NAN]
"""Four takes each: one without a score; no difference; one score alone; hardly a difference; then two real clips."""
Z_0 = np.random.default_rng(0).normal(size=(18, 2, 3, 4, 4))


def training_set() -> TrainingSet:
    score = torch.tensor(SCORES)
    return TrainingSet(
        z_0_NCThw=torch.tensor(Z_0, dtype=torch.float32),
        text=TextStates(torch.zeros(18, 1, 1)),
        empty=TextStates(torch.zeros(1, 1, 1)),
        weight_N=torch.ones(18),
        preference_N=score,
        is_real_N=torch.arange(18) >= 16,
        score_N=score,
        group_N=torch.arange(18) // 4,
    )


def covariance(score: np.ndarray, z_0: np.ndarray) -> np.ndarray:
    """Element by element by numpy, which centres both."""
    found = [np.cov(score, z_0.reshape(len(score), -1)[:, i])[0, 1] for i in range(z_0[0].size)]
    return np.array(found).reshape(z_0[0].shape)


def test_it_is_the_covariance_of_scores_and_latents_with_a_root_mean_square_of_one() -> None:
    score = np.array([0.2, 0.9, 0.4, 0.5, 0.7])
    C = covariance(score, Z_0[:5])
    found = reward_direction(torch.tensor(Z_0[:5]), torch.tensor(score))
    np.testing.assert_allclose(found, C / np.sqrt(np.mean(C**2)), rtol=1e-9)


def test_of_two_takes_it_leads_from_the_worse_to_the_better() -> None:
    found = reward_direction(torch.tensor(Z_0[:2]), torch.tensor([0.31, 0.3]))
    apart = Z_0[0] - Z_0[1]
    np.testing.assert_allclose(found, apart / np.sqrt(np.mean(apart**2)), rtol=1e-9)


@pytest.mark.parametrize("num", [1, 4])
def test_equal_scores_and_a_single_take_have_none(num: int) -> None:
    assert not reward_direction(torch.tensor(Z_0[:num]), torch.full((num,), 0.3)).any()


def test_all_scored_takes_of_a_prompt_count_for_each_of_its_rows_and_real_clips_have_none() -> None:
    data = training_set()
    found = directions(data, torch.tensor([1, 17, 2, 12]))
    C = covariance(np.array(SCORES[:3]), Z_0[:3])
    for at in (0, 2):
        np.testing.assert_allclose(found[at], C / np.sqrt(np.mean(C**2)), rtol=1e-4, atol=1e-5)
    assert not found[1].any() and found[3].any()


def test_only_takes_of_prompts_whose_scores_differ_are_read() -> None:
    data = training_set()
    assert torch.nonzero(have_direction(data, 0.05)).flatten().tolist() == [0, 1, 2]
    assert torch.nonzero(have_direction(data, 0.0)).flatten().tolist() == [0, 1, 2, 12, 13, 14, 15]
    needs = objective_needs(TrainSpec(objective=ArtSpec()))
    assert [each.tolist() for each in units_of(data, needs).members] == [[0], [1], [2]]
    with pytest.raises(TrainingError, match="finds no clip to learn from"):
        units_of(data, objective_needs(TrainSpec(objective=ArtSpec(min_gap=0.85))))


def test_own_clips_are_read_at_the_positions_by_turns_and_real_ones_at_any_noise_level() -> None:
    spec = TrainSpec(batch_size=8, objective=ArtSpec(positions=(0.9, 0.7)), realism=RealismSpec(share=0.25))
    plain, firsts = spec.model_copy(update={"objective": ArtSpec(positions=(1.0,))}), set()
    for step in range(12):
        made = step_batch(training_set(), spec, step, seed=1)
        sigma, is_real = made.batch.sigma_B, made.batch.is_real_B
        own = [round(float(x), 6) for x in sigma[~is_real]]
        assert own in ([0.9, 0.7] * 3, [0.7, 0.9] * 3)
        firsts.add(own[0])
        other = step_batch(training_set(), plain, step, seed=1).batch
        assert torch.equal(sigma[is_real], other.sigma_B[is_real]) and torch.equal(
            made.batch.epsilon_BCTHW, other.epsilon_BCTHW
        )
        assert torch.equal(made.columns["direction"][~is_real], directions(training_set(), torch.tensor([0] * 6)))
    assert firsts == {0.9, 0.7}


def test_a_recipe_with_one_take_a_prompt_is_refused() -> None:
    recipe = sandbox_recipe()
    one = recipe.generate.model_copy(update={"num_takes": 1})
    values = recipe.model_copy(update={"generate": one, "train": TrainSpec(objective=ArtSpec())}).model_dump()
    with pytest.raises(ValueError, match=r"raise generate\.num_takes"):
        type(recipe).model_validate(values)
