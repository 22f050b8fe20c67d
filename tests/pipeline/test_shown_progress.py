"""What a terminal says of a run: which stage works, on what, and the loss or the mean of what came."""

from __future__ import annotations

import pytest

from rushes.execute.progress import ProgressUpdate
from rushes.pipeline import improve
from rushes.recipe.watch import WatchSpec
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[ProgressUpdate]:
    recipe = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))
    spec = recipe.diagnose.model_copy(update={"choose": "picked", "num_takes": 2, "focus": ("Composition",)})
    watched = recipe.model_copy(update={"diagnose": spec, "watch": WatchSpec(every=6, num_prompts=2)})
    found: list[ProgressUpdate] = []
    improve(watched, tmp_path_factory.mktemp("runs") / "run", on_progress=found.append)
    return found


def test_each_stage_is_named_in_its_order(seen: list[ProgressUpdate]) -> None:
    labels = list(dict.fromkeys(each.label for each in seen))
    stages = list(dict.fromkeys(label.partition(":")[0] for label in labels))
    assert stages == ["write", "diagnose", "read", "generate", "judge", "train", "measure base", "measure tuned"]
    assert {"diagnose: answers", "judge: answers", "train: training steps", "train: watch_clips"} <= set(labels)


def test_the_loss_and_the_means_are_told(seen: list[ProgressUpdate]) -> None:
    last = {each.label: each.note for each in seen}
    assert last["train: training steps"].startswith("loss ")
    assert last["judge: answers"].startswith("mean P(expected) 0.")
    assert last["measure tuned: measurements"].startswith("mean 0.")
    assert last["generate: clips"] == ""
