"""Healing: a record whose stored file is damaged is dropped and computed again, and the event log records it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rushes.errors import BlobCorrupt
from rushes.records import BlobRef
from rushes.store.files import explained
from rushes.store.run import Run


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
    """Drop every record that names a damaged file, and delete the file and `done`; the next run computes them again.

    Args:
        run: an open run.
        damage: the damaged file.

    Returns:
        Names of the dropped records, "clips/2d2d..."; empty if no record names the file.
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


def healing(run: Run) -> Iterator[Attempt]:
    """Attempts at a job on a run: a new one after each damaged file, since running again is resuming.

        for attempt in healing(run):
            with attempt:
                return job()

    Records that name the damaged file are dropped before the next attempt. A file that is damaged a second time (a
    failing disk), or that no record names, ends the job: its `BlobCorrupt` is raised.
    """
    seen: set[str] = set()
    while True:
        yield Attempt(run, seen)


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job; see `healing`."""

    run: Run
    seen: set[str]
    """Hashes of the files that were damaged before."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Heal the run after a damaged file, so that the next attempt computes it again."""
        if not isinstance(error, BlobCorrupt) or error.sha256 in self.seen or not heal(self.run, error):
            return False
        self.seen.add(error.sha256)
        return True


def check(run: Run) -> list[BlobCorrupt]:
    """Check every stored file of a run, and that every file named by a record exists.

    Returns:
        The damaged or missing files; `heal` each of them to have it computed again.
    """
    rows: list[tuple[Any, ...]] = run.database.rows("SELECT name, body FROM records")
    tables = run.tables()
    refs = [ref for name, body in rows if name in tables for ref in blob_refs(tables[name].parse(body))]
    return run.blobs.verify_all(refs)
