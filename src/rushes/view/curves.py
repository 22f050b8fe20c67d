"""The curves of a run's training, also while it trains: from its checkpoints, and from the state it last saved."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rushes.errors import StoreError
from rushes.store.run import Run

Points = Sequence[tuple[int, float]]
"""(step, value), ascending."""
BIN: Final = "error_at_sigma_"
"""Prefix of the error by noise level, which the report shows as one picture."""


@dataclass(frozen=True)
class Training:
    """The curves of one round of training.

    Example: `Training("Training", {"real_flow": [(1, 0.3), (2, 0.28)]}, is_live=False)`.
    """

    title: str
    curves: Mapping[str, Points]
    is_live: bool
    """Whether they come from the state of a training without its last checkpoint."""

    @property
    def last_step(self) -> int:
        """The last step that any curve has."""
        return max((points[-1][0] for points in self.curves.values() if points), default=0)


def trainings(run: Run) -> list[Training]:
    """Every training of the run in the order of its rounds, each to the last step that is known."""
    longest: dict[str | None, tuple[int, Mapping[str, Points]]] = {}
    for each in sorted(run.checkpoints.all(), key=lambda checkpoint: checkpoint.step):
        if each.curves is not None:
            try:
                known = _parsed(json.loads(run.blobs.read_bytes(each.curves)))
            except StoreError:  # damaged; `rushes check` says so
                continue
            longest[each.parent] = (each.step, known)
    found = [Training("", curves, False) for _, curves in longest.values()]
    states: Iterable[Path] = [] if run.is_done else (run.home / "scratch").glob("*/state.safetensors")
    for state in sorted(states, key=_time_of):
        live = Training("", _parsed(_progress(state).get("curves", {})), True)
        beside = [index for index, each in enumerate(found) if _is_same(each, live)]
        if not live.curves or any(found[index].last_step >= live.last_step for index in beside):
            continue
        found = [each for index, each in enumerate(found) if index not in beside] + [live]
    titles = ["Training"] if len(found) == 1 else [f"Training {number}" for number in range(1, len(found) + 1)]
    return [Training(title, each.curves, each.is_live) for title, each in zip(titles, found, strict=True)]


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # deleted since: its training is finished
        return 0.0


def _is_same(one: Training, other: Training) -> bool:
    """Whether two are of one training: they begin with the same values."""
    both = one.curves.keys() & other.curves.keys()
    return bool(both) and all(one.curves[name][:1] == other.curves[name][:1] for name in both)


def _parsed(values: Mapping[str, Any]) -> dict[str, Points]:
    return {name: [(int(step), float(value)) for step, value in points] for name, points in values.items() if points}


def _progress(path: Path) -> dict[str, Any]:
    """The progress in a saved state, from the head of the file alone; empty where it cannot be read."""
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            head = json.loads(stream.read(min(length, 64 * 2**20)))
        found: dict[str, Any] = json.loads(head["__metadata__"]["progress"])
        return found
    except (OSError, ValueError, KeyError, struct.error):
        return {}
