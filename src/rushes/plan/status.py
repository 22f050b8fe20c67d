"""How far a run is: per stage what is done, left and failed, the time spent and the time to come.

The time to come is what is left to do (`counts`, `totals`) times what a record has cost so far (`measured.spent`).
Reads the run's database and event log; nothing is written, and a run at work is not disturbed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from rushes.errors import RecipeError
from rushes.plan.counts import planned_totals
from rushes.plan.measured import Spent, spent
from rushes.recipe.load import load_recipe
from rushes.store.run import Run
from rushes.store.table import Table

State = Literal["finished", "running", "stopped"]
"""Done; a process works on it now; neither (the same command goes on)."""

_STAGE_EVENTS: Final = frozenset(
    {"stage_planned", "stage_started", "progress", "stage_stopped", "stage_finished", "stage_failed"}
)
_NOTHING: Final = Spent(0.0, 0)
"""What a stage without an entry in the cost ledger has taken."""


@dataclass(frozen=True)
class StageStatus:
    """One stage of a run."""

    stage: str
    """Its name: a table of the run ("clips"), or what the event log calls it."""
    num_done: int
    """Items that exist."""
    num_total: int | None
    """Items there will be; None where nothing tells."""
    is_total_exact: bool
    """False where the total is an upper bound from the recipe: the screen may let fewer pass."""
    num_failed: int
    """Items that failed and have not been made since."""
    seconds: float
    """Wall-clock spent, over all sessions."""
    left_s: float | None
    """Expected seconds to the end at the pace so far; None where the pace or the total is unknown."""

    @property
    def num_left(self) -> int | None:
        """Items that are neither done nor failed; None where the total is unknown."""
        return None if self.num_total is None else max(0, self.num_total - self.num_done - self.num_failed)


@dataclass(frozen=True)
class RunStatus:
    """A run as it stands."""

    home: str
    """The run folder."""
    name: str
    """Name of its recipe."""
    state: State
    """Whether it is finished, at work, or waiting to be started again."""
    pid: int | None
    """Process that works on it; None when nobody does."""
    rushes_version: str
    """Version that began it."""
    started_at: datetime
    """When it was begun."""
    last_event_at: datetime | None
    """When something last happened; None for an empty log."""
    stages: tuple[StageStatus, ...]
    """In the order in which the run came to them."""
    last_failure: str | None
    """What went wrong last; None when nothing did."""

    @property
    def seconds(self) -> float:
        """Wall-clock spent, over all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def left_s(self) -> float | None:
        """Expected seconds to the end; None while a stage's pace or total is unknown."""
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
    """What a run folder tells.

    Raises:
        StoreError: not a run folder, made by a newer version, or damaged.
    """
    with Run.view(home) as run:
        events = run.log.read()
        pid = working_pid(home / "lock")
        return RunStatus(
            home=str(home),
            name=_recipe_name(home),
            state="finished" if run.is_done else "running" if pid is not None else "stopped",
            pid=pid,
            rushes_version=run.header.rushes_version,
            started_at=run.header.started_at,
            last_event_at=_time_of(events[-1]) if events else None,
            stages=_stages(run, events),
            last_failure=_last_failure(events),
        )


# ---------------------------------------------------------------------------------------------- stages


def _stages(run: Run, events: Sequence[Mapping[str, Any]]) -> tuple[StageStatus, ...]:
    tables, costs, told = run.tables(), spent(run), _by_stage(events)
    bounds = _bounds(run.home)
    with_records = [name for name, table in tables.items() if table.num_records()]
    names = dict.fromkeys([*bounds, *told, *costs, *with_records])
    return tuple(
        _of_table(tables[name], told.get(name, []), costs.get(name, _NOTHING), bounds.get(name), is_done=run.is_done)
        if name in tables
        else _of_events(name, told.get(name, []), costs.get(name, _NOTHING))
        for name in names
    )


def _of_table(
    table: Table[Any], events: Sequence[Mapping[str, Any]], cost: Spent, bound: int | None, *, is_done: bool
) -> StageStatus:
    """A stage whose items are records. Its total is what the run has said it plans, else the recipe's upper bound."""
    num_done, num_failed = table.num_records(), len(table.failures())
    plans = [event for event in events if event["event"] == "stage_planned"]
    planned = _last(plans, "num_total")
    is_bound = bool(plans) and plans[-1].get("is_exact") is False
    num_total = num_done + num_failed if is_done else bound if planned is None else planned
    num_left = None if num_total is None else max(0, num_total - num_done - num_failed)
    return StageStatus(
        stage=table.name,
        num_done=num_done,
        num_total=num_total,
        is_total_exact=is_done or (planned is not None and not is_bound),
        num_failed=num_failed,
        seconds=cost.seconds,
        left_s=0.0 if num_left == 0 else None if num_left is None or cost.each_s is None else num_left * cost.each_s,
    )


def _of_events(name: str, events: Sequence[Mapping[str, Any]], cost: Spent) -> StageStatus:
    """A stage that only the event log knows (the steps of a training run): as it was last told."""
    num_total = _last(events, "num_total")
    num_done = _last(events, "num_done") or 0
    left = [event["left_s"] for event in events if isinstance(event.get("left_s"), (int, float))]
    return StageStatus(
        stage=name,
        num_done=num_done,
        num_total=num_total,
        is_total_exact=True,
        num_failed=_last(events, "num_failed") or 0,
        seconds=cost.seconds,
        left_s=0.0 if num_done == num_total else float(left[-1]) if left else None,
    )


def _bounds(home: Path) -> dict[str, int]:
    """Upper bounds of the totals, from the recipe that the run keeps; empty where this version cannot read it."""
    try:
        return planned_totals(load_recipe(home / "recipe.yaml"))
    except RecipeError:
        return {}


def _by_stage(events: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event.get("event") in _STAGE_EVENTS and isinstance(event.get("stage"), str):
            found.setdefault(event["stage"], []).append(event)
    return found


def _last(events: Sequence[Mapping[str, Any]], name: str) -> int | None:
    values = [event[name] for event in events if isinstance(event.get(name), int)]
    return values[-1] if values else None


# ---------------------------------------------------------------------------------------------- the rest


def _last_failure(events: Sequence[Mapping[str, Any]]) -> str | None:
    for event in reversed(events):
        if event.get("event") == "item_failed":
            return f"{event.get('stage')}: {event.get('error_type')}: {event.get('message')}"
        if event.get("event") == "stage_failed":
            return f"{event.get('stage')}: {event.get('problem')}"
    return None


def _time_of(event: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(event["at"])
    except (KeyError, TypeError, ValueError):
        return None


def _recipe_name(home: Path) -> str:
    """The recipe's name from the header, whose spec holds it."""
    name = json.loads((home / "header.json").read_bytes())["spec"].get("name")
    return name if isinstance(name, str) else home.name


def working_pid(lock: Path) -> int | None:
    """The process that holds a run's lock; None when nobody does."""
    try:
        pid = int(lock.read_text(encoding="ascii").strip())
        os.kill(pid, 0)
    except PermissionError:
        return pid  # somebody else's process, so it is alive
    except (OSError, ValueError):
        return None
    # The number may have gone to another process since. Asking for the lock itself tells, and only for a moment.
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return pid
    finally:
        os.close(descriptor)
    return None
