"""Healing: what is damaged is dropped and computed again, with the records that name it; the event log records it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rushes.errors import BlobCorrupt, Damage, FileCorrupt, RecordCorrupt
from rushes.records import Scorecard
from rushes.store.files import explained
from rushes.store.named import drop_all_of_removed, refs_named, removed_files
from rushes.store.run import Run
from rushes.store.sums import sum_path


def heal(run: Run, damage: Damage) -> list[str]:
    """Drop what is damaged, and every record that names it, and `done`; the next run computes it again.

    Args:
        run: an open run.
        damage: a damaged stored file, record or derived file.

    Returns:
        Names of what was dropped, "clips/2d2d..."; empty if nothing can be computed again.
    """
    if isinstance(damage, BlobCorrupt):
        dropped = _drop_naming(run, damage)
    elif isinstance(damage, RecordCorrupt):
        rows = run.database.damaged_rows()
        run.database.drop_rows(rows)
        dropped = [row.label for row in rows]
    elif isinstance(damage, FileCorrupt):
        remove(damage.path)
        dropped = [damage.path.relative_to(run.home).as_posix()]
    else:
        return []
    run.log.write("damaged", place=damage.place, problem=damage.problem, dropped=dropped)
    run.reopen_work()
    return dropped


def _drop_naming(run: Run, damage: BlobCorrupt) -> list[str]:
    """Drop the records that name a stored file, and the file."""
    if damage.reason == "missing" and damage.sha256 in removed_files(run.database):
        return [f"{name}/{key}" for name, key in drop_all_of_removed(run.database)]
    pattern = f'%"{damage.sha256}"%'
    rows = run.database.rows("SELECT name, key FROM records WHERE body LIKE ?", (pattern,))
    with run.database.transaction():
        run.database.execute("DELETE FROM records WHERE body LIKE ?", (pattern,))
    path = Path(damage.path)
    if path.is_relative_to(run.blobs.folder):
        remove(path)
    return [f"{name}/{key}" for name, key in rows]


def remove(path: Path) -> None:
    """Delete a damaged file, or a folder in its place, and its sum.

    Raises:
        StoreError: no permission.
    """
    for each in (path, sum_path(path)):
        with explained(each):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            each.unlink(missing_ok=True)


def reread(run: Run) -> None:
    """Check what this session may not have read, before a run is marked as done: rows, and stored files.

    Files of earlier sessions are read whole; of its own ones this session only looks at the size. What is damaged is
    dropped, so that the next attempt makes it again.

    Raises:
        RecordCorrupt, BlobCorrupt: something that records need is damaged.
    """
    for row in run.database.damaged_rows():
        table, _, key = row.label.partition("/")
        raise RecordCorrupt(run.home, table, key)
    refs, removed = refs_named(run.database), removed_files(run.database)
    needed_ones = {ref.sha256 for ref in refs}
    needed: list[BlobCorrupt] = []
    for damage in run.blobs.verify_all(refs, written_before=run.opened_at):
        if damage.reason == "missing" and damage.sha256 in removed:
            continue
        if not needed and damage.sha256 in needed_ones:
            needed.append(damage)
        else:
            heal(run, damage)
    if needed:
        raise needed[0]


def result(run: Run) -> Scorecard | None:
    """The scorecard of a finished run that owes no work; if it is damaged, it is dropped, and the run has to go on."""
    try:
        return None if run.owes_work else run.scorecard()
    except FileCorrupt as damage:
        heal(run, damage)
        return None


def healing(run: Run) -> Iterator[Attempt]:
    """Attempts at a job on a run: a new one after each damage, since running again is resuming.

        for attempt in healing(run):
            with attempt:
                return job()

    What is damaged, and records that name it, is dropped before the next attempt. What is damaged a second time (a
    failing disk), or what no record names, ends the job: its `Damage` is raised.
    """
    seen: set[str] = set()
    while True:
        yield Attempt(run, seen)


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job; see `healing`."""

    run: Run
    seen: set[str]
    """Places of what was damaged before."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Heal the run after damage, so that the next attempt computes it again."""
        if not isinstance(error, Damage) or error.place in self.seen or not heal(self.run, error):
            return False
        self.seen.add(error.place)
        return True
