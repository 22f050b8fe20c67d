"""A run by a stranger's judge of each kind, from its recipe to its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.pipeline import improve
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.weights import WeightsSpec
from rushes.records import Sample
from rushes.store.run import Run
from tests.support.sandbox_recipe import judge_spec
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

RATER = PluginSpec(use="tests.support.raters:RaterSpec")
CHOOSER = PluginSpec(use="tests.support.raters:ChooserSpec")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize("kind", ["exponential", "rank", "contrast"])
@pytest.mark.parametrize("judge", [RATER, CHOOSER], ids=["scores", "preferences"])
def test_a_stranger_s_judge_trains_a_run(judge: PluginSpec, kind: str, base: Recipe, tmp_path: Path) -> None:
    weights = WeightsSpec.model_validate({"kind": kind, "temperature": 1.0})
    recipe = base.model_copy(update={"judge": judge_spec(judge=judge), "weights": weights})
    if kind == "contrast":
        train = base.train.model_copy(update={"objective": {"kind": "nft"}})
        recipe = Recipe.model_validate({**recipe.model_dump(), "train": train.model_dump()})
    scorecard = improve(recipe, tmp_path / "run", check_first=False)
    assert scorecard is not None
    with Run.view(tmp_path / "run") as run:
        table = run.ratings if judge is RATER else run.votes
        samples = run.read_derived("samples-0", Sample) or []
        assert table.num_records() > 0 and run.answers.num_records() == 0
    own = [sample for sample in samples if sample.source == "own"]
    assert any(sample.weight > 0 for sample in own)
