"""A run in one row: state, stage, progress, time, alarms and gain. Made from what `rushes status` reads."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from rushes.errors import RecipeError, UserError
from rushes.plan.status import RunStatus, StageStatus, read_status
from rushes.records import Scorecard
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.watch.look import current
from rushes.watch.rules import Course
from rushes.watch.words import courses


@dataclass(frozen=True)
class Summary:
    """A run as a list shows it."""

    name: str
    """In addresses."""
    label: str
    """Its folder, for people."""
    status: RunStatus | None = None
    """Stages and times; None where the folder cannot be read."""
    problem: str = ""
    """Why it cannot be read."""
    scorecard: Scorecard | None = None
    """Its result; None before the end."""
    alarms: tuple[tuple[int, str], ...] = ()
    """Step and text of each alarm of the watch."""

    stage: StageStatus | None = None
    """The stage that it is in, or stopped in; None where it has not begun, or is finished."""

    @property
    def share(self) -> float | None:
        """How much of that stage is done, 0 to 1; None where its size is unknown."""
        if self.status is not None and self.status.state == "finished":
            return 1.0
        if self.stage is None or not self.stage.num_total:
            return None
        return min(1.0, self.stage.num_done / self.stage.num_total)

    @property
    def left_s(self) -> float | None:
        """Expected seconds left, of the stages of which it is known; None where nothing is."""
        known = [] if self.status is None else [each.left_s for each in self.status.stages if each.left_s is not None]
        return sum(known) if known else None

    @property
    def is_left_whole(self) -> bool:
        """Whether `left_s` is of all stages."""
        return self.status is not None and self.status.left_s is not None


def summary(name: str, label: str, home: Path) -> Summary:
    """A run in one row; a folder that cannot be read is a row with the problem."""
    try:
        status = read_status(home)
        with Run.view(home) as run:
            scorecard, found = run.scorecard(), watched(run)
            last = deque((each["stage"] for each in run.log.each() if isinstance(each.get("stage"), str)), maxlen=1)
    except UserError as error:
        return Summary(name, label, problem=error.problem)
    now = None if status.state == "finished" else next((each for each in status.stages if each.stage in last), None)
    return Summary(name, label, status, scorecard=scorecard, alarms=alarms(found), stage=now)


def watched(run: Run) -> tuple[Course, ...]:
    """The looks of a run by round; empty if its recipe has no watch, or is one of another version."""
    try:
        spec = recipe_of(run.home).watch
    except RecipeError:
        return ()
    return () if spec is None else courses(current(run), spec)


def alarms(found: tuple[Course, ...]) -> tuple[tuple[int, str], ...]:
    """Step and text of every alarm, in order."""
    return tuple(
        (point.step, alarm.text)
        for course in found
        for index, point in enumerate(course.points)
        for alarm in course.alarms(index)
    )
