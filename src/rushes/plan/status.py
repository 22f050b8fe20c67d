"""The progress of a run: per stage the items done, left and failed, the time spent and the time left.

The time left is the remaining work (`counts`, `totals`) times the cost of a record so far (`measured.spent`). It reads
the run's database and event log, writes nothing, and does not disturb a running process.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from rushes.errors import RecipeError
from rushes.plan.counts import WATCH_TABLES, planned_totals
from rushes.plan.measured import Spent, spent
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.store.shortfall import failed_words
from rushes.store.table import Table

State = Literal["finished", "running", "stopped"]
"""Finished; a process works on it now; neither (the same command resumes it)."""

_STAGE_EVENTS: Final = frozenset(
    {"stage_planned", "stage_started", "progress", "stage_stopped", "stage_finished", "stage_failed"}
)
_NOTHING: Final = Spent(0.0, 0)
"""The cost of a stage without an entry in the cost ledger."""


@dataclass(frozen=True)
class StageStatus:
    """One stage of a run."""

    stage: str
    """Its name: a table of the run ("clips"), or its name in the event log."""
    num_done: int
    """Items that exist."""
    num_total: int | None
    """Total number of items; None if unknown."""
    is_total_exact: bool
    """False if the total is an upper bound from the recipe: the screen may let fewer pass."""
    num_failed: int
    """Items that failed and have not succeeded since."""
    seconds: float | None
    """Wall-clock seconds spent, over all sessions; None where they count as another stage's (training steps: those of
    their checkpoint)."""
    left_s: float | None
    """Expected seconds left at the speed so far; None if the speed or the total is unknown."""

    @property
    def num_left(self) -> int | None:
        """Items that are neither done nor failed; None if the total is unknown."""
        return None if self.num_total is None else max(0, self.num_total - self.num_done - self.num_failed)


@dataclass(frozen=True)
class RunStatus:
    """The state of a run."""

    home: str
    """The run folder."""
    name: str
    """Name of its recipe."""
    state: State
    """Whether it is finished, running, or stopped."""
    pid: int | None
    """Process that works on it; None if there is none."""
    rushes_version: str
    """Version that started it."""
    started_at: datetime
    """When it was started."""
    last_event_at: datetime | None
    """Time of the last event; None for an empty log."""
    stages: tuple[StageStatus, ...]
    """In the order in which the run reached them."""
    last_failure: str | None
    """The last failure; None if there was none."""
    failures: tuple[str, ...]
    """How much of a stage failed and has not succeeded since, and the commonest reason, for each such stage."""

    @property
    def seconds(self) -> float:
        """Wall-clock seconds spent, over all stages."""
        return sum(stage.seconds for stage in self.stages if stage.seconds is not None)

    @property
    def left_s(self) -> float | None:
        """Expected seconds left; None while a stage's speed or total is unknown."""
        if self.state == "finished":
            return 0.0
        parts = [stage.left_s for stage in self.stages]
        return None if None in parts else sum(part for part in parts if part is not None)

    def as_json(self) -> dict[str, object]:
        """The same as JSON values."""
        stages = [{**asdict(stage), "num_left": stage.num_left} for stage in self.stages]
        values = {**asdict(self), "stages": stages, "seconds": self.seconds, "left_s": self.left_s}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def read_status(home: Path) -> RunStatus:
    """The status of a run folder.

    Raises:
        StoreError: not a run folder, made by a newer version, or damaged.
    """
    with Run.view(home) as run:
        log = _read_log(run)
        pid = working_pid(home / "lock")
        return RunStatus(
            home=str(home),
            name=_recipe_name(home),
            state="finished" if run.is_done else "running" if pid is not None else "stopped",
            pid=pid,
            rushes_version=run.header.rushes_version,
            started_at=run.header.started_at,
            last_event_at=_time_of(log.last) if log.last else None,
            stages=_stages(run, log.stages),
            last_failure=log.last_failure,
            failures=_failures(run),
        )


# ---------------------------------------------------------------------------------------------- stages


@dataclass
class _Logged:
    """What the event log says about a stage: the last value of each of its numbers."""

    planned: int | None = None
    is_bound: bool = False
    num_total: int | None = None
    num_done: int | None = None
    num_failed: int | None = None
    left_s: float | None = None

    def add(self, event: Mapping[str, Any]) -> None:
        """The next event of the stage."""
        for name in ("num_total", "num_done", "num_failed"):
            if isinstance(event.get(name), int):
                setattr(self, name, event[name])
        if isinstance(event.get("left_s"), (int, float)):
            self.left_s = float(event["left_s"])
        if event["event"] == "stage_planned":
            self.is_bound = event.get("is_exact") is False
            if isinstance(event.get("num_total"), int):
                self.planned = event["num_total"]


@dataclass
class _Log:
    """The event log, read once from start to end; a long one is never in memory."""

    stages: dict[str, _Logged] = field(default_factory=dict)
    last: Mapping[str, Any] | None = None
    last_failure: str | None = None


def _read_log(run: Run) -> _Log:
    found = _Log()
    for event in run.log.each():
        found.last, found.last_failure = event, _failure_in(event) or found.last_failure
        if event["event"] in _STAGE_EVENTS and isinstance(event.get("stage"), str):
            found.stages.setdefault(event["stage"], _Logged()).add(event)
    return found


def _stages(run: Run, logged: Mapping[str, _Logged]) -> tuple[StageStatus, ...]:
    for name, kind in WATCH_TABLES.items():
        run.table(name, kind)
    tables, costs, nums = run.tables(), spent(run.costs()), run.database.counts()
    bounds = _bounds(run.home)
    names = dict.fromkeys([*bounds, *logged, *costs, *(name for name in tables if nums.get(name))])
    return tuple(
        _of_table(
            tables[name],
            nums.get(name, 0),
            logged.get(name, _Logged()),
            costs.get(name, _NOTHING),
            bounds.get(name),
            is_done=run.is_done,
        )
        if name in tables
        else _of_events(name, logged.get(name, _Logged()), costs.get(name))
        for name in names
    )


def _of_table(
    table: Table[Any], num_done: int, logged: _Logged, cost: Spent, bound: int | None, *, is_done: bool
) -> StageStatus:
    """A stage whose items are records. Its total is the last planned one in the log, or the recipe's upper bound."""
    num_failed = len(table.failures())
    num_total = num_done + num_failed if is_done else bound if logged.planned is None else logged.planned
    num_left = None if num_total is None else max(0, num_total - num_done - num_failed)
    return StageStatus(
        stage=table.name,
        num_done=num_done,
        num_total=num_total,
        is_total_exact=is_done or (logged.planned is not None and not logged.is_bound),
        num_failed=num_failed,
        seconds=cost.seconds,
        left_s=0.0 if num_left == 0 else None if num_left is None or cost.each_s is None else num_left * cost.each_s,
    )


def _of_events(name: str, logged: _Logged, cost: Spent | None) -> StageStatus:
    """A stage that is only in the event log (the steps of a training run): its last reported state."""
    num_done = logged.num_done or 0
    return StageStatus(
        stage=name,
        num_done=num_done,
        num_total=logged.num_total,
        is_total_exact=True,
        num_failed=logged.num_failed or 0,
        seconds=None if cost is None else cost.seconds,
        left_s=0.0 if num_done == logged.num_total else logged.left_s,
    )


def _bounds(home: Path) -> dict[str, int]:
    """Upper bounds of the totals, from the run's copy of its recipe; empty if this version cannot read it."""
    try:
        return planned_totals(recipe_of(home))
    except RecipeError:
        return {}


# ---------------------------------------------------------------------------------------------- the rest


def _failures(run: Run) -> tuple[str, ...]:
    failed = {name: found for name, table in run.tables().items() if (found := table.failures())}
    nums = run.database.counts() if failed else {}
    return tuple(failed_words(name, nums.get(name, 0) + len(found), found) for name, found in failed.items())


def _failure_in(event: Mapping[str, Any]) -> str | None:
    if event["event"] == "item_failed":
        return f"{event.get('stage')}: {event.get('error_type')}: {event.get('message')}"
    if event["event"] == "stage_failed":
        return f"{event.get('stage')}: {event.get('problem')}"
    return str(event.get("problem")) if event["event"] == "run_failed" else None


def _time_of(event: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(event["at"])
    except (KeyError, TypeError, ValueError):
        return None


def _recipe_name(home: Path) -> str:
    """The recipe's name from the spec in the header."""
    name = json.loads((home / "header.json").read_bytes())["spec"].get("name")
    return name if isinstance(name, str) else home.name


def working_pid(lock: Path) -> int | None:
    """The process that holds a run's lock; None if there is none."""
    try:
        pid = int(lock.read_text(encoding="ascii").strip())
        os.kill(pid, 0)
    except PermissionError:
        return pid  # another user's process, so it is alive
    except (OSError, ValueError):
        return None
    # The pid may have been reused by another process since. Trying the lock decides; it is held only for a moment.
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return pid
    except OSError:  # a disk without locks, on which no run can work
        return None
    finally:
        os.close(descriptor)
    return None
