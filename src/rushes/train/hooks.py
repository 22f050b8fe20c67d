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
    """What the loop calls; by default nothing happens."""

    on_step: Callable[[Progress], None] = lambda progress: None
    """Told after every step."""
    should_stop: Callable[[], bool] = lambda: False
    """Asked after that; the first process's answer counts."""
    on_average: Callable[[Network, Mapping[str, Tensor], int], None] = lambda network, average, step: None
    """Shown the averaged parameters before step 1 and after every step; it must leave them as they are."""


@contextlib.contextmanager
def beside(
    assignment: Assignment, on_step: Callable[[Progress], None], should_stop: Callable[[], bool]
) -> Iterator[Hooks]:
    """The hooks of the process that shows training to people: curves and previews where the recipe wants them.

    Raises:
        RecipeError: the tracker that is asked for by name is not installed.
    """
    previews = Previews(assignment.previews, assignment.log.write)
    tracker = make_tracker(assignment.runtime.tracker, assignment.curves, assignment.name)
    with contextlib.closing(tracker):

        def step_done(progress: Progress) -> None:
            tracker.show(progress)
            on_step(progress)

        yield Hooks(step_done, should_stop, previews.make)
