"""The files of a ledger of what a server's replies cost, and what becomes of damaged lines.

`cost-NAME.jsonl` has a line per reply, each with a checksum; lines of older versions have none. A last line that a kill
cut off is no damage: its request is among the reservations. A damaged line is set aside, and a line of an unknown
amount takes its place, so that from then on the sum is known to be a lower bound.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rushes.store.files import explained, make_folder, write_atomic
from rushes.store.heal import remove
from rushes.store.sums import closed, opened

PATTERNS: Final = ("cost-*.jsonl", "cost-*.held.json")
"""Names of a ledger and of its reservations."""
Mark = Literal["unfinished", "unknown"]
"""A reply that never came and may have been billed; a line whose amount was lost."""

_NAMES: Final = ("input", "output", "usd")
_FORMS: Final = (_NAMES, (*_NAMES, "unfinished"), (*_NAMES, "unknown"))
_CUT_OFF: Final = re.compile(rb'(\{[a-z0-9": ,.+-]{0,200})?')
"""The beginning of a line."""

Held = dict[str, tuple[float, float]]
"""Reservations by name: US dollars, and until when in seconds since 1970."""


@dataclass(frozen=True)
class Expense:
    """A line of a ledger."""

    usd: float
    """US dollars, at least 0."""
    is_unknown: bool = False
    """The amount was lost; `usd` is 0."""


@contextmanager
def locked(ledger: Path) -> Iterator[None]:
    """Exclusive access to a ledger's files. The system frees it when a process dies.

    Raises:
        StoreError: the folder cannot be used.
    """
    make_folder(ledger.parent)
    path = ledger.with_suffix(".lock")
    with explained(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with explained(path):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


# ---------------------------------------------------------------------------------------------- lines


def line_of(num_input: int, num_output: int, usd: float, mark: Mark | None = None) -> bytes:
    """The line of an expense, with its checksum."""
    value: dict[str, object] = {"input": num_input, "output": num_output, "usd": usd}
    return closed(value if mark is None else {**value, mark: True}) + b"\n"


def lines_in(data: bytes) -> list[bytes]:
    """The lines of a ledger, or of its end, without their line breaks; not one that a kill cut off."""
    *lines, last = data.split(b"\n")
    return lines if _CUT_OFF.fullmatch(last) else [*lines, last]


def expense(line: bytes) -> Expense | None:
    """What a line says; nothing was spent in an empty one. None if it is damaged."""
    if not line.strip():
        return Expense(0.0)
    value = next((found for names in _FORMS if (found := opened(line, names)) is not None), None)
    usd = None if value is None else _amount(value["usd"])
    return None if value is None or usd is None else Expense(usd, bool(value.get("unknown")))


def _amount(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


# ---------------------------------------------------------------------------------------------- reservations


def held_path(ledger: Path) -> Path:
    """Where a ledger's reservations are."""
    return ledger.with_suffix(".held.json")


def write_held(path: Path, held: Mapping[str, tuple[float, float]]) -> None:
    """Write reservations, with a checksum.

    Raises:
        StoreError: disk full or read-only.
    """
    write_atomic(path, closed({"held": {name: list(each) for name, each in held.items()}}))


def held_in(data: bytes) -> Held | None:
    """Reservations, also those of an older version, which have no checksum; None if they are damaged."""
    value = opened(data, ("held",))
    try:
        found = json.loads(data) if value is None else value["held"]
        return {str(name): (float(usd), float(until)) for name, (usd, until) in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


# ---------------------------------------------------------------------------------------------- damage


def damage_of(path: Path) -> str | None:
    """What is wrong with a file of a ledger, in words; None if nothing is.

    Raises:
        StoreError: it cannot be read.
    """
    if path.is_dir():
        return "a folder: what was spent is unknown"
    with explained(path):
        data = path.read_bytes()
    if path.suffix == ".json":
        return "altered: the cost of requests in flight is unknown" if held_in(data) is None else None
    found = [expense(line) for line in lines_in(data)]
    num, usd = found.count(None), sum(each.usd for each in found if each is not None)
    if num == 0:
        return None
    return f"{num} of {len(found)} lines altered: at least {usd:.4f} US dollars are spent"


def set_aside(path: Path) -> None:
    """Take what is damaged out of a file of a ledger; the ledger then says that an amount is unknown.

    Damaged lines are kept beside it, in `cost-NAME.damaged`.

    Raises:
        StoreError: the folder cannot be written.
    """
    ledger = path.with_name(path.name.removesuffix(".held.json") + ".jsonl") if path.suffix == ".json" else path
    with locked(ledger):
        if damage_of(path) is None:
            return
        if path.is_dir() or path != ledger:
            remove(path)
        with explained(ledger):
            lines = lines_in(ledger.read_bytes()) if ledger.exists() else []
        bad = [line for line in lines if expense(line) is None]
        if bad:
            with explained(ledger), ledger.with_suffix(".damaged").open("ab") as kept:
                kept.write(b"\n".join([*bad, b""]))
        unknown = line_of(0, 0, 0.0, "unknown")
        told = [unknown if line in bad else line + b"\n" for line in lines if line.strip()]
        write_atomic(ledger, b"".join(told if path == ledger and bad else [*told, unknown]))
