"""The training stage inside a run: how deep it goes, and what people see of training that several processes share."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from rushes.errors import RecipeError
from rushes.execute.progress import ProgressUpdate
from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.store.run import Run
from rushes.store.video import read_video
from rushes.train import objective
from tests.support.forked import forking
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

MAX_FRAMES = 5
"""From what `advance` calls for a checkpoint down to the loss, both included."""


class Seen(BaseException):
    """Ends a run from within the loss."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))


def test_the_way_from_a_checkpoint_to_its_loss_is_short(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[str] = []

    def weighted_flow(*_: object) -> None:
        frames.extend(f"{Path(frame.filename).stem}.{frame.name}" for frame in traceback.extract_stack())
        raise Seen

    monkeypatch.setattr(objective, "weighted_flow", weighted_flow)
    with pytest.raises(Seen):
        improve(recipe, tmp_path / "run", until="train")
    way = frames[len(frames) - frames[::-1].index("advance._make") :]
    assert len(way) <= MAX_FRAMES, " > ".join(way)


def test_several_processes_are_not_started_where_it_is_not_clear_who_should(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    train = recipe.runtime.train.model_copy(update={"num_processes": 2})
    shared = recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"train": train})})
    with pytest.raises(RecipeError, match="neither torchrun nor accelerate launch"):
        improve(shared, tmp_path / "run", until="train")


def test_what_people_see_of_shared_training_is_what_they_see_of_their_own(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps, curves, previews, and the event log, by one process and by two."""
    forking(monkeypatch)
    seen: dict[int, tuple[object, ...]] = {}
    for num in (1, 2):
        train = recipe.runtime.train.model_copy(
            update={
                "num_processes": num,
                "previews": recipe.runtime.train.previews.model_copy(update={"every": 4, "num_prompts": 1}),
            }
        )
        shared = recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"train": train})})
        home, steps = tmp_path / str(num), []

        def note(update: ProgressUpdate, steps: list[tuple[int, int, int]] = steps) -> None:
            if update.stage == "training steps":
                steps.append((update.num_before, update.num_done, update.num_total))

        improve(shared, home, until="train", on_progress=note)
        with Run.view(home) as run:
            events = [event for event in run.log.read() if event["event"] in ("training_set_up", "preview")]
            (checkpoint,) = run.checkpoints.all()
        clips = {path.name: read_video(path).frames_THWC.shape for path in sorted((home / "previews").rglob("*.mp4"))}
        curves = [path.name.split(".")[0] for path in (home / "tensorboard").rglob("*") if path.is_file()]
        assert [each.name.rpartition("-")[0] for each in (home / "tensorboard").iterdir()] == ["tiny"]
        told = [(event["event"], event.get("step"), event.get("prompt")) for event in events]
        seen[num] = steps, clips, curves, told, checkpoint.key, checkpoint.losses[0].term
    assert seen[1] == seen[2]
    steps, clips, curves, told, *_ = seen[2]
    assert steps == [(0, step, 6) for step in range(1, 7)]
    assert list(clips) == [f"step-{step:06d}-0.mp4" for step in (0, 4, 6)]  # type: ignore[call-overload]
    assert curves == ["events"] and len(told) == 4  # type: ignore[arg-type]
