"""The recipe that a run keeps: read back, it is the recipe that ran, whatever its texts look like."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rushes.recipe import load_recipe
from rushes.recipe.diagnose import DimensionSpec, ExampleSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.weights import WeightsSpec
from rushes.store.run import Run
from tests.support.sandbox_recipe import diagnose_spec, sandbox_recipe

AWKWARD = (
    "1e3", "1e-5", "-.5", ".5", "1.", "0o17", "0x1F", "017", "1_000", "12:30:45", "2026-01-31", "yes", "Off", "null",
    "~", "", "true", ".inf", "NaN", ".nan", "- a", "a: b", "# no comment", "'quoted'", '"quoted"', "two\nlines", "é 猫",
    " spaces ", "[1]", "{a: 1}", "*alias", "&anchor", "!tag", "%", "@", "=", "<<",
)  # fmt: skip


@pytest.mark.parametrize("text", AWKWARD)
def test_text_comes_back_as_the_same_text(tmp_path: Path, text: str) -> None:
    example = ExampleSpec(prompt=text or "x", questions={"Is it?": "yes"})
    brought = DimensionSpec(name=text or "x", description=text or "x", examples=(example,))
    plugin = PluginSpec(use="a:B", options={"text": text})
    recipe = sandbox_recipe(
        name=text,
        diagnose=diagnose_spec(extra=(brought,)),
        weights=WeightsSpec(kind="plugin", plugin=plugin),
    )
    with Run.open(tmp_path / "run", recipe):
        pass
    assert load_recipe(tmp_path / "run" / "recipe.yaml") == recipe


def test_numbers_stay_numbers_for_readers_of_either_yaml(tmp_path: Path) -> None:
    plugin = PluginSpec(use="a:B", options={"a": 1e-5, "b": 1e22, "c": 3, "d": 0.5, "e": True, "f": -2.0})
    recipe = sandbox_recipe(weights=WeightsSpec(kind="plugin", plugin=plugin))
    with Run.open(tmp_path / "run", recipe):
        pass
    file = tmp_path / "run" / "recipe.yaml"
    assert load_recipe(file) == recipe
    assert yaml.safe_load(file.read_text())["weights"]["plugin"]["options"] == plugin.options
