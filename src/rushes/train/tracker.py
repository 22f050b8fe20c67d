"""Curves shown while training runs: TensorBoard, or trackio or Weights & Biases when asked for.

They are a view. The run folder has every value in any case.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from rushes.errors import RecipeError
from rushes.recipe.runtime import TrackerName
from rushes.train.state import Progress

PROJECT: Final = "rushes"
"""Under which trackio and Weights & Biases file a run."""


class Tracker(Protocol):
    """Is told about every step."""

    def show(self, progress: Progress) -> None:
        """Show what is new in `progress`."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class NoTracker:
    """Shows nothing."""

    def show(self, progress: Progress) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class _NewPoints:
    """Tells new points of the curves from those shown before; what an earlier process had shown is not shown again."""

    def __init__(self) -> None:
        self._num_shown: dict[str, int] | None = None

    def of(self, progress: Progress) -> list[tuple[str, int, float]]:
        """(curve, step, value) of the points since the last call; of the last step only on the first."""
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
        """Write the new points; on going on after a kill, those that will come again are purged."""
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
    """trackio or Weights & Biases, which share their verbs; where they send curves is set up with them.

    A training that was stopped goes on in the same run there: trackio finds it by its name, Weights & Biases by its id.
    """

    def __init__(self, module: Any, options: Mapping[str, str]) -> None:
        self._module = module
        self._options = options
        self._started = False
        self._new = _NewPoints()

    def show(self, progress: Progress) -> None:
        """Log the new points, a call per step."""
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


def make_tracker(kind: TrackerName, folder: Path, name: str) -> Tracker:
    """The tracker that a recipe asks for.

    Args:
        kind: `runtime.train.tracker`.
        folder: where TensorBoard's files go. Its own name, letters and digits, tells this training from others of the
            run and is the same when it goes on.
        name: what the run is called elsewhere.

    Raises:
        RecipeError: the tracker that is asked for by name is not installed.
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
        wanted = "tensorboard" if kind == "tensorboard" else f"'rushes[{kind}]'"
        raise RecipeError(
            f"the tracker {kind!r} needs the package {kind}, which is not installed",
            next_step=f"pip install -c constraints.txt {wanted}, or set runtime.train.tracker: none",
        ) from error
