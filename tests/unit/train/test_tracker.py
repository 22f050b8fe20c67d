"""Trackers get every point once, also after a kill, and say what to install."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rushes.errors import RecipeError
from rushes.recipe.runtime import TrackerName
from rushes.train.state import Progress
from rushes.train.tracker import NoTracker, Preview, ServiceTracker, make_tracker, run_name


def _progress(step: int) -> Progress:
    curves = {"loss": [(n, n / 10) for n in range(1, step + 1)], "held_out_own": [(0, 1.0)]}
    return Progress(step=step, curves=curves)


class _Service(ModuleType):
    def __init__(self) -> None:
        super().__init__("trackio")
        self.logged: list[tuple[int, dict[str, object]]] = []
        self.said: list[Any] = []

    def init(self, **options: str) -> None:
        self.said.append(options)

    @staticmethod
    def Video(path: str, **told: str) -> tuple[str, dict[str, str]]:
        return path, told

    def log(self, values: dict[str, object], step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.said.append("finished")


@pytest.mark.parametrize(
    ("kind", "told"), [("trackio", {"name": "my run 5a6b"}), ("wandb", {"name": "my run", "id": "5a6b"})]
)
def test_every_point_once_in_a_run_that_can_go_on(
    kind: TrackerName, told: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = _Service()
    monkeypatch.setitem(sys.modules, kind, service)
    tracker = make_tracker(kind, tmp_path / "5a6b", "my run")
    for step in (1, 2, 3):
        tracker.show(_progress(step))
    tracker.close()
    assert service.logged == [(0, {"held_out_own": 1.0}), (1, {"loss": 0.1}), (2, {"loss": 0.2}), (3, {"loss": 0.3})]
    assert service.said == [{"project": "rushes", "resume": "allow", **told}, "finished"]


def test_after_a_kill_only_what_is_new() -> None:
    service = _Service()
    ServiceTracker(service, {"name": "x"}).show(_progress(5))
    assert service.logged == [(5, {"loss": 0.5})]


def test_none_shows_nothing(tmp_path: Path) -> None:
    assert isinstance(make_tracker("none", tmp_path, "x"), NoTracker)


@pytest.mark.parametrize("kind", ["tensorboard", "trackio", "wandb"])
def test_a_missing_package_is_named(kind: TrackerName, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(RecipeError) as caught:
        make_tracker(kind, tmp_path, "x")
    package = "tensorboard" if kind == "tensorboard" else f"'rushes[{kind}]'"
    assert f"pip install -c constraints.txt {package}, or" in str(caught.value)


def test_tensorboard_files_hold_the_values(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = make_tracker("tensorboard", tmp_path / "board", "x")
    for step in (1, 2):
        tracker.show(_progress(step))
    tracker.close()
    found = EventAccumulator(str(tmp_path / "board"))
    found.Reload()
    assert [(each.step, round(each.value, 5)) for each in found.Scalars("loss")] == [(1, 0.1), (2, 0.2)]


def test_a_watch_has_a_name_of_its_own_in_weights_and_biases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    service = _Service()
    monkeypatch.setitem(sys.modules, "wandb", service)
    make_tracker("wandb", tmp_path / "5a6bwatch", "my run").show(_progress(1))
    assert service.said[0] == {"project": "rushes", "resume": "allow", "name": "my run, watch", "id": "5a6bwatch"}


def test_runs_of_one_recipe_have_names_that_differ() -> None:
    assert run_name("sandbox", Path("/a/runs/seed-2")) == "sandbox in runs/seed-2"


def _preview(step: int) -> Preview:
    frames = np.arange(10 * 2 * 3 * 3, dtype=np.uint8).reshape(10, 2, 3, 3)
    return Preview(step, 0, "a ball", Path("previews/step-000002-0.mp4"), frames)


def test_previews_are_shown_with_their_prompt() -> None:
    service = _Service()
    ServiceTracker(service, {"name": "x"}).show_preview(_preview(2))
    clip = ("previews/step-000002-0.mp4", {"caption": "a ball", "format": "mp4"})
    assert service.logged == [(2, {"preview/1": clip})]


def test_a_preview_is_first_and_last_frame_and_two_between() -> None:
    preview = _preview(2)
    stills = preview.stills()
    assert stills.shape == (2, 4 * 3, 3)
    assert [int(stills[0, 3 * at, 0]) for at in range(4)] == [18 * frame for frame in (0, 3, 6, 9)]


def test_tensorboard_gets_the_stills(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = make_tracker("tensorboard", tmp_path / "board", "x")
    tracker.show_preview(_preview(0))
    tracker.show_preview(_preview(2))
    tracker.close()
    found = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [image.step for image in found.Images("preview/1")] == [0, 2]
