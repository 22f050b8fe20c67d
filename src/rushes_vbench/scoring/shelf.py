"""Where the scores of a folder are kept: `CLIPS.scores/`, beside the clips, with one record per clip and dimension.

CLIPS.scores/
  lock  records.sqlite      the working process; the scores so far, one checksum each
  llm/                      replies of servers, so that none is paid for twice
  scores.json               the result of the last call that came to its end

What is damaged is dropped and scored again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from rushes.errors import DatabaseCorrupt, FileCorrupt, InputError, RunLocked, StoreError, command
from rushes.store.database import Database
from rushes.store.files import explained, make_folder, visible
from rushes.store.lock import ProcessLock
from rushes.store.sums import read_summed, write_summed
from rushes.store.table import Table
from rushes_vbench.scoring.records import FileScore, FolderScores

RESULT: Final = "scores.json"
DATABASE: Final = "records.sqlite"
_AGAIN: Final = "again"
_OWN: Final = frozenset({RESULT, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}.damaged", "lock", "llm"})


def shelf_of(folder: Path) -> Path:
    """Where the scores of a folder of clips are kept, unless the user names another place."""
    whole = folder.resolve()
    return folder.with_name(f"{folder.name}.scores") if folder.name == whole.name else Path(f"{whole}.scores")


@dataclass(frozen=True)
class Shelf:
    """An open folder of scores."""

    folder: Path
    """Where they are."""
    table: Table[FileScore]
    """The scores so far."""
    healed: str = ""
    """What was damaged and is scored again, in words; empty for nothing."""

    def remember(self, again: str) -> None:
        """Keep the command that goes on, for errors that name it.

        Raises:
            StoreError: disk full or read-only.
        """
        self.table.database.set_meta(_AGAIN, again)

    def keep(self, result: FolderScores) -> None:
        """Write the result.

        Raises:
            StoreError: disk full or read-only.
        """
        write_summed(self.folder / RESULT, result.model_dump_json(indent=1).encode() + b"\n")


@contextlib.contextmanager
def opened_shelf(folder: Path, clips: Path) -> Iterator[Shelf]:
    """Open a folder of scores to work in; it is created if it does not exist.

    Args:
        folder: where the scores are to be.
        clips: the folder that is scored.

    Raises:
        InputError: the folder has other files, or is that of the clips.
        RunLocked: another process works there.
        StoreError: it cannot be written.
    """
    _refuse(folder, clips)
    try:
        make_folder(folder)
    except StoreError as error:
        raise InputError(error.problem, next_step="name another folder with --out") from error
    try:
        lock = ProcessLock(folder / "lock")
    except RunLocked as error:
        raise RunLocked(error.problem, next_step="wait for it, or name another folder with --out") from None
    try:
        database, healed = _healed(folder / DATABASE)
        try:
            yield Shelf(folder, Table(database, "scores", FileScore), healed)
        finally:
            database.close()
    finally:
        lock.release()


def _refuse(folder: Path, clips: Path) -> None:
    inside = clips.resolve() in (folder.resolve(), *folder.resolve().parents)
    with explained(folder):
        strange = [path.name for path in visible(folder) if path.name not in _OWN] if folder.is_dir() else []
    if inside or strange or (folder.exists() and not folder.is_dir()):
        raise InputError(
            f"{folder} cannot hold the scores" + (": it is among the clips" if inside else ""),
            expected="a new folder, or one that holds nothing but scores",
            got=", ".join(map(repr, strange[:3])) or str(folder),
            next_step="name another folder with --out",
        )


def _healed(path: Path) -> tuple[Database, str]:
    """The database without damaged rows; one that is damaged as a whole is set aside and begun again."""
    try:
        database = Database(path)
        try:
            rows = database.damaged_rows()
            database.drop_rows(rows)
        except BaseException:
            database.close()
            raise
        return database, f"{len(rows)} damaged scores" if rows else ""
    except DatabaseCorrupt:
        with explained(path):
            path.replace(path.with_name(f"{path.name}.damaged"))
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        return Database(path), f"a damaged database (kept as {path.name}.damaged)"


def read_scores(folder: Path) -> FolderScores:
    """The result of a folder that was scored.

    Args:
        folder: the clips, or their scores.

    Raises:
        InputError: it was not scored to the end, or the result is not what was written.
    """
    if not folder.exists():
        raise InputError(
            f"there is no folder {folder}", expected="a folder of clips that was scored, its scores, or a run"
        )
    shelf = folder if (folder / RESULT).exists() or (folder / DATABASE).exists() else shelf_of(folder)
    if not (shelf / DATABASE).exists():
        raise InputError(
            f"{folder} was never scored",
            expected="a folder of clips that was scored, its scores, or a run",
            got=str(folder),
            next_step=f"score it first, by its suite: {command('vbench', 'score', folder)}",
        )
    if not (shelf / RESULT).exists():
        raise InputError(f"{folder} was not scored to the end", next_step=_go_on(shelf))
    try:
        return FolderScores.model_validate_json(read_summed(shelf / RESULT, shelf))
    except (ValidationError, FileCorrupt) as error:
        raise InputError(
            f"{shelf / RESULT} is not what was written", got=str(error).splitlines()[0], next_step=_go_on(shelf)
        ) from error


def _go_on(shelf: Path) -> str:
    """The command that scored, in words; the folder's default one if it is lost."""
    with contextlib.suppress(StoreError):
        database = Database(shelf / DATABASE, read_only=True)
        try:
            return f"run the command again that scored it: {database.meta(_AGAIN)}"
        finally:
            database.close()
    return "run the command again that scored it"
