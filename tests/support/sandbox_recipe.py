"""The sandbox's parts in a recipe without anything else said: what most tests start from."""

from __future__ import annotations

from typing import Any

from rushes.recipe.base import BaseModelSpec
from rushes.recipe.diagnose import DiagnoseSpec
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.load import parse_recipe
from rushes.recipe.measure import MeasureSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import PromptsSpec, RealClipsSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.template import recipe_yaml

CATALOGUE = "rushes_sandbox:dimensions.yaml"
VBENCH_CATALOGUE = "rushes_vbench:dimensions.yaml"
MODEL = "rushes_sandbox:weights/base"
SANDBOX = PluginSpec(use="sandbox")
PERCEPTION = PluginSpec(use="perception")
REAL = RealClipsSpec(source=SANDBOX)


def judge_spec(**changes: Any) -> JudgeSpec:
    """The sandbox's judge, with settings changed."""
    return JudgeSpec(**{"judge": SANDBOX, **changes})


def measure_spec(**changes: Any) -> MeasureSpec:
    """The perception measurer, with settings changed."""
    return MeasureSpec(**{"measurer": PERCEPTION, **changes})


def diagnose_spec(**changes: Any) -> DiagnoseSpec:
    """The sandbox's dimensions, with settings changed."""
    return DiagnoseSpec(**{"catalogue": CATALOGUE, **changes})


def prompts_spec(**changes: Any) -> PromptsSpec:
    """The sandbox's writer and rendered real clips, with settings changed."""
    return PromptsSpec(**{"writer": SANDBOX, "real": REAL, **changes})


def sandbox_recipe(**changes: Any) -> Recipe:
    """A recipe of the sandbox's parts, with sections changed."""
    parts = {
        "base": BaseModelSpec(model=MODEL),
        "diagnose": diagnose_spec(),
        "prompts": prompts_spec(),
        "judge": judge_spec(),
        "measure": measure_spec(),
    }
    return Recipe(**{**parts, **changes})


def sandbox_with(*overrides: str) -> Recipe:
    """A recipe of the sandbox's parts, with settings changed as on the command line: `train.num_steps=5`."""
    return parse_recipe(recipe_yaml(sandbox_recipe(name="x")), source="recipe", overrides=overrides)
