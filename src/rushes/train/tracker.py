"""Curves shown while training runs: TensorBoard, or on request trackio or Weights & Biases.

They are only a view. The run folder always has every value.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from rushes.errors import RecipeError
from rushes.recipe.runtime import TrackerName

if TYPE_CHECKING:
    from rushes.train.state import Progress

PROJECT: Final = "rushes"
"""The project name in trackio and Weights & Biases."""


class Tracker(Protocol):
    """Receives every step."""

    def show(self, progress: Progress) -> None:
        """Show what is new in `progress`."""
        ...

    def close(self) -> None:
        """Finish: no further steps will follow."""
        ...


class NoTracker:
    """Shows nothing."""

    def show(self, progress: Progress) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class _NewPoints:
    """Finds the new points of the curves; points that were shown before, also by an earlier process, are left out."""

    def __init__(self) -> None:
        self._num_shown: dict[str, int] | None = None

    def of(self, progress: Progress) -> list[tuple[str, int, float]]:
        """(curve, step, value) of the points since the last call; the first call returns only the last step's."""
        if self._num_shown is None:
            before = progress.step if progress.step > 1 else 0
            self._num_shown = {
                name: sum(step < before for step, _ in points) for name, points in progress.curves.items()
            }
        new = [
            (name, step, value)
            for name, points in progress.curves.items()
            for step, value in points[self._num_shown.get(name, 0) :]
        ]
        self._num_shown = {name: len(points) for name, points in progress.curves.items()}
        return sorted(new, key=lambda point: point[1])


class TensorBoardTracker:
    """Event files in a folder; shown by `tensorboard --logdir <run folder>`."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._make: Any = SummaryWriter
        self._folder = folder
        self._writer: Any = None
        self._new = _NewPoints()

    def show(self, progress: Progress) -> None:
        """Write the new points; when training resumes after a kill, points that will be repeated are purged."""
        points = self._new.of(progress)
        if self._writer is None:
            self._writer = self._make(str(self._folder), purge_step=progress.step if progress.step > 1 else None)
        for name, step, value in points:
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is buffered."""
        if self._writer is not None:
            self._writer.close()


class ServiceTracker:
    """trackio or Weights & Biases, which have the same interface; their own configuration sets where curves are sent.

    Resumed training continues the same run there: trackio finds it by name, Weights & Biases by id.
    """

    def __init__(self, module: Any, options: Mapping[str, str]) -> None:
        self._module = module
        self._options = options
        self._started = False
        self._new = _NewPoints()

    def show(self, progress: Progress) -> None:
        """Log the new points, one call per step."""
        if not self._started:
            self._module.init(project=PROJECT, resume="allow", **self._options)
            self._started = True
        by_step: dict[int, dict[str, float]] = {}
        for name, step, value in self._new.of(progress):
            by_step.setdefault(step, {})[name] = value
        for step, values in by_step.items():
            self._module.log(values, step=step)

    def close(self) -> None:
        """Finish the run there."""
        if self._started:
            self._module.finish()


def install_tracker(kind: TrackerName) -> str:
    """What to type to install a tracker."""
    wanted = "tensorboard" if kind == "tensorboard" else f"'rushes[{kind}]'"
    return f"pip install -c constraints.txt {wanted}"


def make_tracker(kind: TrackerName, folder: Path, name: str) -> Tracker:
    """The recipe's tracker.

    Args:
        kind: `runtime.train.tracker`.
        folder: where TensorBoard's files go. Its name, letters and digits, identifies this training within the run and
            is the same after a resume.
        name: the run's name in other trackers.

    Raises:
        RecipeError: the requested tracker is not installed.
    """
    if kind == "none":
        return NoTracker()
    try:
        module = importlib.import_module(kind)
        if kind == "tensorboard":
            return TensorBoardTracker(folder)
        named = {"name": f"{name} {folder.name}"}
        return ServiceTracker(module, {**named, "id": folder.name} if kind == "wandb" else named)
    except ImportError as error:
        raise RecipeError(
            f"the tracker {kind!r} needs the package {kind}, which is not installed",
            next_step=f"{install_tracker(kind)}, or --set runtime.train.tracker=none",
        ) from error
