"""The file `done`: it is written last of all, and removed as soon as something of the run must be computed again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rushes.store.files import explained, write_atomic


def is_done(home: Path) -> bool:
    """True if the run in that folder is finished: running it again does nothing."""
    return _file(home).is_file()


def mark_done(home: Path) -> None:
    """Mark a run as finished, with the time.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_atomic(_file(home), f"{datetime.now(UTC).isoformat(timespec='seconds')}\n".encode())


def reopen(home: Path) -> None:
    """The run is not finished any more: something must be computed again.

    Raises:
        StoreError: the folder cannot be written.
    """
    with explained(home):
        _file(home).unlink(missing_ok=True)


def _file(home: Path) -> Path:
    return home / "done"
