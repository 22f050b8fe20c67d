"""A short trial tells the pace of every kind of work, from real runs of it."""

import pytest

from rushes.cli.trial import SOURCE, calibrate, small
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import PreviewRuntime, TrainRuntime
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")), num_rounds=2)


def test_a_trial_keeps_what_decides_the_pace(recipe: Recipe) -> None:
    trial = small(recipe)
    assert (trial.base, trial.shape, trial.judge) == (recipe.base, recipe.shape, recipe.judge)
    watched = TrainRuntime(tracker="wandb", previews=PreviewRuntime(every=2))
    asked = recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"train": watched})})
    quiet = watched.model_copy(update={"tracker": "none", "previews": PreviewRuntime()})
    assert small(asked).runtime == recipe.runtime.model_copy(update={"train": quiet})
    assert trial.generate.sampler == recipe.generate.sampler
    assert trial.train.batch_size == recipe.train.batch_size
    few = trial.prompts.real.num_clips
    held = recipe.model_copy(update={"train": recipe.train.model_copy(update={"num_held_out": few})})
    assert small(held).train == trial.train, "its few real clips are all trained on"
    assert trial.num_rounds == 1 and trial.prompts.num_weakness < recipe.prompts.num_weakness


def test_every_kind_of_work_gets_a_measured_price(recipe: Recipe) -> None:
    found = calibrate(recipe)
    assert set(found.by_kind) == {"drafts", "clip_calls", "answers", "measurements", "train_clips"}
    assert all(price.seconds > 0 and price.source == SOURCE for price in found.by_kind.values())
    assert found.clip_bytes and found.checkpoint_bytes


def test_a_trial_measures_no_extra_prompts_of_the_focus(recipe: Recipe) -> None:
    many = recipe.model_copy(update={"measure": recipe.measure.model_copy(update={"num_extra_focus_prompts": 48})})
    assert small(many).measure == small(recipe).measure
