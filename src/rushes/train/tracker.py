"""Curves shown while training runs: TensorBoard, or on request trackio or Weights & Biases.

They are only a view. The run folder always has every value.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from rushes.errors import RecipeError
from rushes.recipe.runtime import TrackerName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rushes.train.state import Progress

PROJECT: Final = "rushes"
"""The project name in trackio and Weights & Biases."""
WATCH: Final = "watch"
"""How the folder of a watch ends, which stands beside the one of its training."""


_NUM_STILLS: Final = 4
"""Frames of a preview that TensorBoard shows side by side; its videos need a package of their own."""


@dataclass(frozen=True, eq=False)
class Preview:
    """A clip that was sampled while training runs."""

    step: int
    """Optimiser steps done."""
    index: int
    """Which of the preview prompts, from 0."""
    text: str
    """The prompt."""
    path: Path
    """Its mp4 file."""
    frames_THWC: NDArray[np.uint8]
    """Its pixels, T, H, W, 3, RGB."""

    @property
    def name(self) -> str:
        """Its name in trackers, the same at every step."""
        return f"preview/{self.index + 1}"

    def stills(self) -> NDArray[np.uint8]:
        """First frame, last frame and two between them, side by side: H, W, 3."""
        num = len(self.frames_THWC)
        wanted = {round(part * (num - 1) / (_NUM_STILLS - 1)) for part in range(_NUM_STILLS)}
        import numpy

        return numpy.concatenate([self.frames_THWC[at] for at in sorted(wanted)], axis=1)


class Tracker(Protocol):
    """Receives every step."""

    def show(self, progress: Progress) -> None:
        """Show what is new in `progress`."""
        ...

    def show_preview(self, preview: Preview) -> None:
        """Show a clip that was sampled while training runs."""
        ...

    def close(self) -> None:
        """Finish: no further steps will follow."""
        ...


class NoTracker:
    """Shows nothing."""

    def show(self, progress: Progress) -> None:
        """Nothing to do."""

    def show_preview(self, preview: Preview) -> None:
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
        points, writer = self._new.of(progress), self._open(progress.step)
        for name, step, value in points:
            writer.add_scalar(name, value, step)

    def show_preview(self, preview: Preview) -> None:
        """Write four of its frames side by side, and at its first time the prompt."""
        writer = self._open(preview.step)
        writer.add_image(preview.name, preview.stills(), preview.step, dataformats="HWC")
        if preview.step == 0:
            writer.add_text(preview.name, preview.text, 0)

    def _open(self, step: int) -> Any:
        if self._writer is None:
            self._writer = self._make(str(self._folder), purge_step=step if step > 1 else None)
        return self._writer

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
        self._start()
        by_step: dict[int, dict[str, float]] = {}
        for name, step, value in self._new.of(progress):
            by_step.setdefault(step, {})[name] = value
        for step, values in by_step.items():
            self._module.log(values, step=step)

    def show_preview(self, preview: Preview) -> None:
        """Log the clip with its prompt."""
        self._start()
        video = self._module.Video(str(preview.path), caption=preview.text, format="mp4")
        self._module.log({preview.name: video}, step=preview.step)

    def _start(self) -> None:
        if not self._started:
            self._module.init(project=PROJECT, resume="allow", **self._options)
            self._started = True

    def close(self) -> None:
        """Finish the run there."""
        if self._started:
            self._module.finish()


def run_name(recipe: str, home: Path) -> str:
    """A run's name in trackers, to be told apart there: "sandbox in runs/seed-2".

    Args:
        recipe: the recipe's name.
        home: the run folder.
    """
    return f"{recipe} in {home.parent.name}/{home.name}" if home.parent.name else f"{recipe} in {home.name}"


def install_tracker(kind: TrackerName) -> str:
    """What to type to install a tracker."""
    wanted = "tensorboard" if kind == "tensorboard" else f"'rushes[{kind}]'"
    return f"pip install -c constraints.txt {wanted}"


def make_tracker(kind: TrackerName, folder: Path, name: str) -> Tracker:
    """The recipe's tracker.

    Args:
        kind: `runtime.train.tracker`.
        folder: where TensorBoard's files go. Its name, the recipe's and a hash, identifies this training within the run
            and is the same after a resume.
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
        if kind == "trackio":  # which finds a run by its name alone
            return ServiceTracker(module, {"name": f"{name} {folder.name}"})
        told = f"{name}, {WATCH}" if folder.name.endswith(WATCH) else name
        return ServiceTracker(module, {"name": told, "id": folder.name})
    except ImportError as error:
        raise RecipeError(
            f"the tracker {kind!r} needs the package {kind}, which is not installed",
            next_step=f"{install_tracker(kind)}, or --set runtime.train.tracker=none",
        ) from error
