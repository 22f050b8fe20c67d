"""What happens beside the steps of training: progress, curves, previews."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from rushes.train.assignment import Assignment
from rushes.train.network import Network
from rushes.train.preview import Previews
from rushes.train.state import Progress
from rushes.train.tracker import make_tracker


@dataclass(frozen=True)
class Hooks:
    """The loop's callbacks; by default they do nothing."""

    on_step: Callable[[Progress], None] = lambda progress: None
    """Called after every step."""
    should_stop: Callable[[], bool] = lambda: False
    """Called after that; the first process's answer counts."""
    on_average: Callable[[Network, Mapping[str, Tensor], int], None] = lambda network, average, step: None
    """Called with the averaged parameters before step 1 and after every step; it must not change them."""


@contextlib.contextmanager
def beside(
    assignment: Assignment, on_step: Callable[[Progress], None], should_stop: Callable[[], bool]
) -> Iterator[Hooks]:
    """The hooks of the process that shows training to people: curves and previews, if the recipe enables them.

    Raises:
        RecipeError: the requested tracker is not installed.
    """
    tracker = make_tracker(assignment.runtime.tracker, assignment.curves, assignment.name)
    previews = Previews(assignment.previews, assignment.log.write, shown=tracker.show_preview)
    with contextlib.closing(tracker):

        def step_done(progress: Progress) -> None:
            tracker.show(progress)
            on_step(progress)

        yield Hooks(step_done, should_stop, previews.make)
