"""A run folder: header first, `done` last, one process at a time; records, blobs, events and costs in between.

run/
  lock  header.json  recipe.yaml     the working process; what runs (written first); the resolved recipe
  records.sqlite  blobs/             the expensive records and their files
  events.jsonl                       the event log, one JSON object per line
  derived/  scratch/                 safe to delete: derived records; state of unfinished work
  done                               written last: the run is finished

Single files that are read again have their sums beside them, see `rushes.store.sums`.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from rushes.errors import FileCorrupt, StoreError, UserError
from rushes.execute.local import LocalExecutor
from rushes.execute.progress import OnProgress
from rushes.execute.stop import StopSignal
from rushes.execute.work import Executor, Needs
from rushes.records import (
    Answer,
    Checkpoint,
    Clip,
    CostEntry,
    Failure,
    KeyedRecord,
    Measurement,
    Prompt,
    Rating,
    Record,
    RunHeader,
    Scorecard,
    Vote,
)
from rushes.store import derived
from rushes.store.advance import Place
from rushes.store.blobs import Blobs
from rushes.store.database import Database
from rushes.store.done import is_done, lost_records, mark_done, reopen
from rushes.store.events import EventLog
from rushes.store.files import explained, make_folder
from rushes.store.header import Recipe, open_header, read_header
from rushes.store.ledger import costs_in
from rushes.store.lock import ProcessLock
from rushes.store.places import misplaced, unreadable
from rushes.store.provenance import commit
from rushes.store.recipe_copy import keep_recipe
from rushes.store.shortfall import Shortfall, may_try_again
from rushes.store.sums import read_summed, write_summed
from rushes.store.table import Table
from rushes.store.wal import LOG, damage_of_log

R = TypeVar("R", bound=KeyedRecord)
D = TypeVar("D", bound=Record)
T = TypeVar("T")

SCORECARD: Final = "scorecard.json"
"""The result of a run, in its folder."""

_BUILT_IN_TABLES: Final[Mapping[str, type[KeyedRecord]]] = {
    "prompts": Prompt,
    "clips": Clip,
    "answers": Answer,
    "ratings": Rating,
    "votes": Vote,
    "measurements": Measurement,
    "checkpoints": Checkpoint,
}


class Run:
    """An open run folder. Use as a context manager, or `close()` it."""

    def __init__(self, home: Path, lock: ProcessLock | None, database: Database, header: RunHeader) -> None:
        """For internal use; call `Run.open` or `Run.view`."""
        self.home = home
        """The run folder."""
        self.database = database
        """Its SQLite file."""
        self.header = header
        """What the run is."""
        self.blobs = Blobs(home / "blobs")
        """Its stored files."""
        self.log = EventLog(home / "events.jsonl")
        """Its event log."""
        self.stop = StopSignal()
        """Checked between chunks; replace it, or let `run.stop.listening()` handle Ctrl-C."""
        self.on_progress: OnProgress | None = None
        """Called after every stored chunk; set it to a `ProgressDisplay`."""
        self.shortfall = Shortfall()
        """What stayed failed since the run was opened."""
        self.opened_at = time.time()
        """When, seconds since 1970."""
        self._lock = lock
        self._tables: dict[str, Table[Any]] = {}
        for name, record_type in _BUILT_IN_TABLES.items():
            self.table(name, record_type)

    # ---------------------------------------------------------------- opening and closing

    @classmethod
    def open(cls, home: Path, recipe: Recipe, *, allow_change: bool = False) -> Run:
        """Open a run folder to work in it; create it if it does not exist.

        Args:
            home: the run folder.
            recipe: the resolved recipe; its `Runtime` parts may differ between openings.
            allow_change: True accepts a different recipe from the one that made the folder. Work keys make that safe:
                exactly what depends on the difference is computed again, the rest is reused.

        Raises:
            RunLocked: another process works here.
            RecipeChanged: made by another recipe, and `allow_change` is False.
            StoreError: not a run folder, made by another version, read-only, disk full, damaged.
            FileCorrupt: a folder is in the place of a file, or a file in that of a folder.
        """
        _refuse_foreign_folder(home)
        make_folder(home)
        for path, kind in misplaced(home, at_top=True).items():
            raise FileCorrupt(home, path, kind)
        lock = ProcessLock(home / "lock")
        try:
            log = EventLog(home / "events.jsonl")
            header = open_header(home, recipe, log, allow_change=allow_change)
            if lost := damage_of_log(home):  # before SQLite opens it, and takes it for what was written
                log.write("damaged", place=LOG, problem=lost, dropped=[])
            run = cls(home, lock, Database(home / "records.sqlite"), header)
            keep_recipe(home, run.database)
        except BaseException:
            lock.release()
            raise
        run.blobs.clear_temporary()
        for pattern in (".*.tmp", "derived/.*.tmp", "scratch/*/.*.tmp"):  # half-written files of a killed process
            for left in home.glob(pattern):
                left.unlink(missing_ok=True)
        run.log.write("run_opened", rushes_version=header.rushes_version, commit=commit()[0], is_done=run.is_done)
        return run

    @classmethod
    def view(cls, home: Path) -> Run:
        """Open a run folder for reading, also while another process works in it; nothing is written.

        Raises:
            StoreError: not a run folder, made by a newer version, or damaged.
            FileCorrupt: a pipe, a device or a loop of links is in the place of a file.
        """
        for path, kind in unreadable(home).items():
            raise FileCorrupt(home, path, kind)
        header = read_header(home)
        if header is None or not (home / "records.sqlite").exists():
            raise StoreError(
                f"{home} is not a run folder",
                expected="a folder made by: rushes run",
                got=sorted(path.name for path in home.iterdir())[:8] if home.is_dir() else "no such folder",
                next_step="name the run folder (runs print it when they start), or make one: rushes run sandbox",
            )
        return cls(home, None, Database(home / "records.sqlite", read_only=True), header)

    def close(self) -> None:
        """Release the lock and close the files; may be called twice."""
        self.database.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, UserError) and self._lock is not None:
            with contextlib.suppress(StoreError):  # the log may be on the disk that is full
                self.log.write("run_failed", problem=str(error))
        self.close()

    # ---------------------------------------------------------------- tables and work

    def table(self, name: str, record_type: type[R]) -> Table[R]:
        """The table with that name; a stage may have its own besides the built-in ones.

        Raises:
            ValueError: the name is in use for a different record type.
        """
        known = self._tables.setdefault(name, Table(self.database, name, record_type))
        if known.record_type is not record_type:
            raise ValueError(f"table {name!r} holds {known.record_type.__name__}, not {record_type.__name__}")
        return known

    def tables(self) -> dict[str, Table[Any]]:
        """All tables used so far, by name."""
        return dict(self._tables)

    @property
    def prompts(self) -> Table[Prompt]:
        """Prompts of every origin."""
        return self.table("prompts", Prompt)

    @property
    def clips(self) -> Table[Clip]:
        """Clips of every model, and real ones."""
        return self.table("clips", Clip)

    @property
    def answers(self) -> Table[Answer]:
        """The judge's answers."""
        return self.table("answers", Answer)

    @property
    def ratings(self) -> Table[Rating]:
        """The judge's values on named scales."""
        return self.table("ratings", Rating)

    @property
    def votes(self) -> Table[Vote]:
        """The judge's preferences between takes."""
        return self.table("votes", Vote)

    @property
    def measurements(self) -> Table[Measurement]:
        """The measurer's results."""
        return self.table("measurements", Measurement)

    @property
    def checkpoints(self) -> Table[Checkpoint]:
        """Tuned weights."""
        return self.table("checkpoints", Checkpoint)

    def place(
        self, executor: Executor | None = None, needs: Needs | None = None, device: str = "cpu", during: str = ""
    ) -> Place:
        """Where chunks of this run are computed: with its stop signal, progress and log.

        Args:
            executor: runs the chunks; None for one after the other in this process.
            needs: resources per worker.
            device: where the time is spent, for the cost ledger.
            during: the stage of the run, for the display.
        """
        return Place(
            executor=executor or LocalExecutor(),
            needs=needs,
            device=device,
            stop=self.stop,
            on_progress=self.on_progress,
            during=during,
            log=self.log,
            shortfall=self.shortfall,
        )

    def failures(self) -> list[Failure]:
        """Failed work without a record, of all tables used so far."""
        return [failure for table in self._tables.values() for failure in table.failures()]

    # ---------------------------------------------------------------- costs

    def costs(self) -> list[CostEntry]:
        """The cost ledger, summed per stage and device, in the order in which they first appeared."""
        return costs_in(self.database, self.home)

    # ---------------------------------------------------------------- derived records and work in hand

    def write_derived(self, name: str, records: Iterable[Record]) -> Path:
        """Write derived records beside the expensive ones, for inspection; safe to delete. Returns the file.

        It is a JSON list with one record in each line, written and read one after the other.
        """
        make_folder(self.home / "derived")
        path = self.home / "derived" / f"{name}.json"
        write_summed(path, derived.lines(records))
        return path

    def read_derived(self, name: str, record_type: type[D]) -> list[D] | None:
        """Derived records of an earlier run; None if they were never written, or deleted.

        Raises:
            FileCorrupt: they are not what was written; a run writes them again.
        """
        path = self.home / "derived" / f"{name}.json"
        if not path.exists():
            return None
        return list(self.each_derived(name, record_type))

    def each_derived(self, name: str, record_type: type[D]) -> Iterator[D]:
        """The same one after the other; none if they were never written, or deleted.

        Raises:
            FileCorrupt: they are not what was written; a run writes them again.
        """
        path = self.home / "derived" / f"{name}.json"
        return derived.records_in(path, self.home, record_type) if path.exists() else iter(())

    def _parsed(self, path: Path, adapter: TypeAdapter[T]) -> T:
        data = read_summed(path, self.home)
        try:
            return adapter.validate_json(data)
        except ValidationError as error:
            raise FileCorrupt(
                self.home, path, f"damaged, or of another version ({error.errors()[0]['msg']})"
            ) from error

    def scratch(self, key: str) -> Path:
        """A folder for the state of one piece of long work (a training run's optimiser); it survives a kill.

        Write into it with `rushes.store.files.write_atomic`; call `clear_scratch` once the record is stored.
        """
        folder = self.home / "scratch" / key
        make_folder(folder)
        return folder

    def clear_scratch(self, key: str) -> None:
        """Remove the folder of finished work."""
        shutil.rmtree(self.home / "scratch" / key, ignore_errors=True)

    # ---------------------------------------------------------------- the end

    @property
    def is_done(self) -> bool:
        """True if the run is finished; running it again does nothing."""
        return is_done(self.home)

    def finish(self, scorecard: Scorecard) -> Scorecard:
        """Store the result and write `done`, last of all; without `done` if failed work should be tried again."""
        write_summed(self.home / SCORECARD, f"{scorecard.model_dump_json(indent=1)}\n".encode())
        if self.shortfall.may_try_again:
            self.log.write("run_unfinished", failed=self.shortfall.words())
            reopen(self.home)
            return scorecard
        self._forget_other_failures()
        self.log.write("run_finished")
        mark_done(self.home, self.database)
        return scorecard

    def failed_at_the_end(self) -> tuple[str, ...]:
        """What failed where the last session came to the end without `done`: one note for each stage; else nothing."""
        failed: tuple[str, ...] = ()
        for event in self.log.each():
            if event["event"] == "run_opened":
                failed = ()
            elif event["event"] == "run_unfinished":
                failed = tuple(map(str, event["failed"])) if isinstance(event.get("failed"), list) else ()
        return failed

    @property
    def owes_work(self) -> bool:
        """True if the run is to go on even if it was marked as done: failed work should be tried again, or records are
        lost."""
        return any(may_try_again(each) for each in self.failures()) or bool(lost_records(self.home, self.database))

    def _forget_other_failures(self) -> None:
        """Drop failures of work that the recipe no longer has: those that it has were tried again, or are given up."""
        others = [(each.stage, each.work_key) for each in self.failures() if may_try_again(each)]
        with self.database.transaction():
            self.database.execute_many("DELETE FROM failures WHERE name = ? AND key = ?", others)

    def scorecard(self) -> Scorecard | None:
        """The result; None before `finish`.

        Raises:
            FileCorrupt: it is not what was written, or missing.
        """
        if not self.is_done:
            return None
        path = self.home / SCORECARD
        if not path.exists():
            raise FileCorrupt(self.home, path, "missing")
        return self._parsed(path, TypeAdapter(Scorecard))

    def reopen_work(self) -> None:
        """Remove `done`: something must be computed again."""
        reopen(self.home)


_OWN_FILES: Final = frozenset({"lock", "header.json", "events.jsonl"})


def _refuse_foreign_folder(home: Path) -> None:
    """Do not turn a folder with other files into a run by mistake."""
    if not home.exists():
        return
    if not home.is_dir():
        raise StoreError(f"{home} is a file", expected="a folder", next_step="name another run folder")
    with explained(home):
        names = {path.name for path in home.iterdir() if not path.name.startswith(".")}
    if not names & {"header.json", "records.sqlite"} and not names <= _OWN_FILES:
        raise StoreError(
            f"{home} holds other files and is not a run folder",
            expected="an empty folder, a new one, or a run folder (with header.json)",
            got=sorted(names)[:8],
            next_step="name another run folder",
        )
