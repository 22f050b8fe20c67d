"""What is refused before any work: this machine cannot do what the recipe asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.errors import InputError, RecipeError
from rushes.preflight import check, check_real_clips
from rushes.recipe.prompts import RealClipsSpec
from rushes.recipe.runtime import RuntimeSpec, TrainRuntime
from tests.support.sandbox_recipe import prompts_spec, sandbox_recipe


def test_left_over_variables_are_refused_before_anything_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this check, `improve` would generate and judge for hours before the training refuses."""
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    one = sandbox_recipe()
    two = one.model_copy(update={"runtime": RuntimeSpec(train=TrainRuntime(num_processes=2))})

    check(one)
    with pytest.raises(RecipeError, match="unset RANK WORLD_SIZE"):
        check(two)


def test_a_folder_of_videos_that_is_not_there_is_said_before_the_diagnosis_generates(tmp_path: Path) -> None:
    home = tmp_path / "videos"
    recipe = sandbox_recipe(prompts=prompts_spec(real=RealClipsSpec(folder=str(home))))
    with pytest.raises(InputError, match="no folder of videos"):
        check_real_clips(recipe)

    home.mkdir()
    (home / "metadata.jsonl").touch()
    check_real_clips(recipe)
