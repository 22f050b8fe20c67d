"""Sampler settings compared on a tiny model: paired, resumed without work, and refused where it means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.cli.main import main
from rushes.diagnose.samplers import Trial, compare_samplers, usual_trials
from rushes.errors import RecipeError
from rushes.recipe.recipe import Recipe
from rushes.recipe.template import recipe_yaml
from rushes.records import Clip, SamplerSettings
from rushes.store.run import Run
from tests.support.tiny_recipe import SAMPLER, tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("wan")))


ONE_STEP = SAMPLER.model_copy(update={"num_steps": 1})


def compared(recipe: Recipe, home: Path, *settings: SamplerSettings) -> list[Trial]:
    return list(compare_samplers(recipe, home, settings, 4))


def clips_in(home: Path) -> dict[str, Clip]:
    with Run.view(home) as run:
        return {clip.key: clip for clip in run.table("tuning_clips", Clip).all()}


def test_settings_are_compared_on_the_same_prompts_and_nothing_is_made_twice(recipe: Recipe, tmp_path: Path) -> None:
    own, changed = compared(recipe, tmp_path / "run", SAMPLER, ONE_STEP)
    assert own.difference is None and changed.difference is not None
    assert own.score is not None and changed.score is not None
    assert changed.difference.value == pytest.approx(changed.score.value - own.score.value)
    assert own.num_scored == changed.num_scored == 4
    before = clips_in(tmp_path / "run")
    noise = [{clip.seed for clip in before.values() if clip.sampler == each} for each in (SAMPLER, ONE_STEP)]
    assert noise[0] == noise[1], "the same noise"
    again = compared(recipe, tmp_path / "run", SAMPLER, ONE_STEP)
    assert again == [own, changed] and clips_in(tmp_path / "run") == before
    same = compared(recipe, tmp_path / "run", SAMPLER, SAMPLER)[1]
    assert same.difference is not None and same.difference.value == 0.0


def test_the_command_prints_score_and_seconds(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, home = tmp_path / "tiny.yaml", str(tmp_path / "run")
    file.write_text(recipe_yaml(recipe))
    assert main(["tune-sampler", str(file), "--home", home, "--prompts", "4", "--try", "{num_steps: 1}"]) == 0
    printed = capsys.readouterr().out
    assert "as in the recipe" in printed and "num_steps: 1" in printed and "difference" in printed
    assert main(["tune-sampler", str(file), "--home", home, "--try", "{steps: 1}"]) == 2
    assert "docs/sampling.md" in capsys.readouterr().err


def test_a_recipe_without_answers_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    unseen = recipe.model_copy(update={"generate": recipe.generate.model_copy(update={"decode": False})})
    with pytest.raises(RecipeError, match="answers"):
        compared(unseen, tmp_path / "run", SAMPLER)


def test_what_is_tried_suits_the_family_and_the_number_of_steps() -> None:
    long = SAMPLER.model_copy(update={"num_steps": 20, "guidance_scale": 3.0})
    kinds = [each.cache.kind for each in usual_trials(long, "wan") if each.cache is not None]
    assert "seacache" in kinds and "pyramid" not in kinds
    assert "seacache" not in [each.cache.kind for each in usual_trials(long, "ltx") if each.cache is not None]
    assert usual_trials(SAMPLER, "wan") == (SAMPLER, ONE_STEP)
