"""The file `done`: it is written last of all, and removed as soon as something of the run must be computed again.

It holds the time and how many records there were: a record that is lost as a whole leaves no wrong checksum behind.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rushes.store.database import Database
from rushes.store.files import explained, write_atomic


def is_done(home: Path) -> bool:
    """True if the run in that folder is finished: running it again does nothing."""
    return _file(home).is_file()


def mark_done(home: Path, database: Database) -> None:
    """Mark a run as finished, with the time and the number of records of each table.

    Raises:
        StoreError: the folder cannot be written.
    """
    counts = database.counts().items()
    lines = [datetime.now(UTC).isoformat(timespec="seconds"), *(f"{name} {num}" for name, num in counts)]
    write_atomic(_file(home), "".join(f"{line}\n" for line in lines).encode())


def lost_records(home: Path, database: Database) -> tuple[str, ...]:
    """What was there when the run was finished and is no more, "3 of 40 clips"; nothing for an unfinished run.

    Raises:
        StoreError: a file cannot be read.
    """
    if not is_done(home):
        return ()
    with explained(_file(home)):
        lines = _file(home).read_text(encoding="utf-8", errors="replace").splitlines()
    lost, counts = [], database.counts()
    for name, _, text in (line.rpartition(" ") for line in lines[1:]):  # an older version wrote only the time
        num = counts.get(name, 0)
        if text.isdecimal() and num < int(text):
            lost.append(f"{int(text) - num} of {text} {name.replace('_', ' ')}")
    return tuple(lost)


def reopen(home: Path) -> None:
    """The run is not finished any more: something must be computed again.

    Raises:
        StoreError: the folder cannot be written.
    """
    with explained(_file(home)):
        _file(home).unlink(missing_ok=True)


def _file(home: Path) -> Path:
    return home / "done"
