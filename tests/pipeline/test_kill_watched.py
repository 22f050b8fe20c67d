"""Training by every objective with the watch on, killed between looks and within one, ends with the same records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rushes.execute.progress import ProgressUpdate
from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import TrainSpec
from rushes.recipe.watch import WatchSpec
from rushes.store.run import Run
from rushes.train.merge import unmerged_of
from rushes.watch.look import points_of
from tests.pipeline.test_objectives import KINDS
from tests.support.judges import SMOOTH
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

WATCH = WatchSpec(every=3, num_prompts=2, num_diversity_prompts=0, keep=2, stop_after=None)
MORE: dict[str, dict[str, Any]] = {
    "nft old": {"objective": {"kind": "nft", "old": "ema", "old_rate": 0.1, "old_every": 2}},
    "online every": {"objective": {"kind": "online", "every": 2, "max_sigma": 1.0, "normalise": "sigma_bin"}},
    "a share": {"objective": {"kind": "flow"}, "merge": 0.5},
}


class Killed(BaseException):
    """As sudden as a kill: nothing catches it."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Its state is saved after every step but the ones that are killed."""
    made = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))
    return made.model_copy(update={"watch": WATCH, "judge": SMOOTH})


def _records(home: Path) -> dict[str, object]:
    with Run.view(home) as run:
        tables = (run.checkpoints, unmerged_of(run), points_of(run))
        return {f"{table.name}/{each.key}": each.content() for table in tables for each in table.all()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_a_watched_training_resumes(kind: str, recipe: Recipe, tmp_path: Path) -> None:
    settings = MORE.get(kind) or {"objective": KINDS[kind]}
    train = TrainSpec.model_validate({**recipe.train.model_dump(), **settings})
    made = recipe.model_copy(update={"train": train})
    improve(made, tmp_path / "straight", until="train")
    places = [("training steps", 2), ("watch_answers", 1), ("training steps", 5), ("checkpoints", 1)]

    def doom(update: ProgressUpdate) -> None:
        stage, num = places[0]
        if update.stage == stage and update.num_done >= num and update.num_done > update.num_before:
            places.pop(0)
            raise Killed

    num_kills = len(places)
    for _ in range(num_kills):
        with pytest.raises(Killed):
            improve(made, tmp_path / "killed", until="train", on_progress=doom)
    improve(made, tmp_path / "killed", until="train")
    assert _records(tmp_path / "killed") == _records(tmp_path / "straight")
    assert len(_records(tmp_path / "straight")) >= 5, "three looks and two checkpoints"
