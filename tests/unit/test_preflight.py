"""What is refused before any work: this machine cannot do what the recipe asks for."""

from __future__ import annotations

import pytest

from rushes.errors import RecipeError
from rushes.preflight import check
from rushes.recipe.runtime import RuntimeSpec, TrainRuntime
from tests.support.sandbox_recipe import sandbox_recipe


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
