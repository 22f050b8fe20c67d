"""Healing: a record whose stored file is damaged is dropped and made again, and the event log says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from rushes.errors import BlobCorrupt
from rushes.records import BlobRef
from rushes.store.files import explained

if TYPE_CHECKING:
    from rushes.store.run import Run

Result = TypeVar("Result")

_MAX_ROUNDS: Final = 100


def blob_refs(value: object) -> list[BlobRef]:
    """Every stored file that a record names, at any depth."""
    if isinstance(value, BlobRef):
        return [value]
    if isinstance(value, BaseModel):
        return [ref for name in type(value).model_fields for ref in blob_refs(getattr(value, name))]
    if isinstance(value, (list, tuple)):
        return [ref for item in value for ref in blob_refs(item)]
    return []


def heal(run: Run, damage: BlobCorrupt) -> list[str]:
    """Drop every record that names a damaged file, remove it, and take back `done`; the next run makes them again.

    Args:
        run: an open run.
        damage: what was found.

    Returns:
        Names of the dropped records, "clips/2d2d...": empty when no record names the file.
    """
    pattern = f'%"{damage.sha256}"%'
    rows = run.database.rows("SELECT name, key FROM records WHERE body LIKE ?", (pattern,))
    with run.database.transaction():
        run.database.execute("DELETE FROM records WHERE body LIKE ?", (pattern,))
    path = Path(damage.path)
    if path.is_relative_to(run.blobs.folder):
        with explained(path):
            path.unlink(missing_ok=True)
    dropped = [f"{name}/{key}" for name, key in rows]
    run.log.write("blob_damaged", sha256=damage.sha256, reason=damage.reason, dropped=dropped)
    run.reopen_work()
    return dropped


def with_healing(run: Run, job: Callable[[], Result]) -> Result:
    """Run `job`, and when it meets a damaged file, drop what names the file and run `job` again: running is resuming.

    Raises:
        BlobCorrupt: the same file is damaged again after it was made again (a failing disk), or no record names it.
    """
    seen: set[str] = set()
    for _ in range(_MAX_ROUNDS):
        try:
            return job()
        except BlobCorrupt as damage:
            if damage.sha256 in seen or not heal(run, damage):
                raise
            seen.add(damage.sha256)
    return job()


def check(run: Run) -> list[BlobCorrupt]:
    """Read every stored file of a run and check it, and look for every file that a record names.

    Returns:
        What is damaged or missing; `heal` each of them to have it made again.
    """
    rows: list[tuple[Any, ...]] = run.database.rows("SELECT name, body FROM records")
    tables = run.tables()
    refs = [ref for name, body in rows if name in tables for ref in blob_refs(tables[name].parse(body))]
    return run.blobs.verify_all(refs)
