"""Number formats of weights that do not go with the rest of a recipe are refused when it is read."""

from __future__ import annotations

import pytest

from rushes.errors import RecipeError
from rushes.recipe.load import load_recipe

LORA = "generate.lora={model: some/few-steps}"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["train.precision=float32"], "set train.precision to bfloat16"),
        (["measure.sampler.precision=float32"], "set measure.sampler.precision to bfloat16"),
        ([LORA, "base.transformer_precision=float8"], "set base.transformer_precision: bfloat16"),
        (
            [
                "base.transformer_precision=null",
                "generate.model={model: some/other, transformer_precision: bfloat16}",
                "generate.sampler.precision=float32",
            ],
            "or generate.model.transformer_precision: null",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(overrides: list[str], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        load_recipe("wan2.1-1.3b", overrides)


@pytest.mark.parametrize("overrides", [[LORA], ["base.transformer_precision=float8"]])
def test_what_goes_together_is_not(overrides: list[str]) -> None:
    recipe = load_recipe("wan2.1-1.3b", overrides)
    assert recipe.base.transformer_precision in ("bfloat16", "float8")
