"""`advance`: make the missing records. The one place where work is resumed, chunked, stopped and counted.

The whole work list is cut into chunks once, by position. A chunk with anything missing is computed completely, as in an
uninterrupted run, so that batched arithmetic gives the same bits after a kill. Existing records are not changed. All
records of a chunk are stored in one transaction, after their blobs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeVar

from rushes.errors import StageFailed, Stopped, StoreError, UserError
from rushes.execute.local import LocalExecutor
from rushes.execute.progress import OnProgress, ProgressUpdate
from rushes.execute.stop import StopSignal
from rushes.execute.work import Done, Executor, Failed, Needs
from rushes.records import CostEntry, Failure, KeyedRecord
from rushes.store.events import EventLog
from rushes.store.table import Table

R = TypeVar("R", bound=KeyedRecord)
P = TypeVar("P")
PayloadT_co = TypeVar("PayloadT_co", covariant=True)

MAX_ATTEMPTS: Final = 3
"""How many runs may try a piece of work before it is given up."""

_MAX_FAILED_CHUNKS: Final = 3
"""Number of completely failed chunks in a row after which the stage fails."""


@dataclass(frozen=True)
class Work(Generic[PayloadT_co]):
    """A piece of work: the key of its record, and the input for making it."""

    key: str
    """Work key, known before the work."""
    payload: PayloadT_co
    """The input of `do`; must be picklable if work is sent to other processes."""


@dataclass(frozen=True)
class Place:
    """Where chunks are computed, and where progress is reported. Does not affect results."""

    executor: Executor = field(default_factory=LocalExecutor)
    """Runs the chunks; by default one after the other in this process."""
    needs: Needs | None = None
    """Resources per worker, for executors that share machines."""
    device: str = "cpu"
    """Where the time is spent, for the cost ledger."""
    stop: StopSignal = field(default_factory=StopSignal)
    """Checked between chunks."""
    on_progress: OnProgress | None = None
    """Called before the first chunk and after each."""
    log: EventLog | None = None
    """The run's event log; failures and the start and end of the stage are written there."""


Do = Callable[[Sequence[Work[P]]], Sequence[R | Failed]]
"""Makes one chunk: for each piece of work, in order, a record with its key or a `Failed`. Writes blobs, not records."""


def advance(
    table: Table[R],
    work: Sequence[Work[P]],
    do: Do[P, R],
    *,
    chunk_size: int,
    place: Place | None = None,
    must_finish: bool = False,
) -> list[R]:
    """Make the missing records of `work` and return all that exist.

    Args:
        table: where the records are stored.
        work: all work of the stage, in a fixed order; keys are unique.
        do: makes one chunk; use `Lazily` so that nothing is loaded if nothing is missing. An exception (other than
            `UserError` and `Stopped`) fails the whole chunk.
        chunk_size: pieces of work per call of `do`, and per transaction; at least 1.
        place: where it runs and reports; None for this process, without reports.
        must_finish: True raises if anything is still missing at the end (training: no checkpoint, no run), and never
            gives up between runs.

    Returns:
        The records of `work` that exist, in the order of `work`; failed work has none (see `Table.failures`).

    Raises:
        Stopped: stopped by the user with work left.
        StageFailed: three chunks in a row failed completely, or `must_finish` and something is missing.
        UserError: raised by `do` or by the store.
        ValueError: two pieces of work with one key, or a chunk size below 1.
    """
    keys = [piece.key for piece in work]
    if chunk_size < 1 or len(set(keys)) != len(keys):
        raise ValueError(f"{table.name}: expected unique keys and chunk_size >= 1, got chunk_size={chunk_size!r}")
    missing = set(table.missing(keys))
    if missing:
        place = place or Place()
        tally: _Tally[P, R] = _Tally(table, len(work), missing, place, None if must_finish else MAX_ATTEMPTS)
        pending = tally.pending([work[i : i + chunk_size] for i in range(0, len(work), chunk_size)])
        drawn = _Drawn(pending, tally, place.stop)
        with tally.reported():
            for done in place.executor.map(partial(_make, do), drawn, needs=place.needs):
                tally.land(pending[done.index], done)
        tally.finish(was_stopped=drawn.num < len(pending), must_finish=must_finish)
    return list(table.get_many(keys).values())


@dataclass(frozen=True)
class _Made(Generic[R]):
    """What a worker returns for one chunk."""

    results: tuple[R | Failed, ...]
    seconds: float


def _make(do: Do[P, R], chunk: Sequence[Work[P]]) -> _Made[R]:
    """Compute one chunk in the executor; check that the results match the work."""
    start = time.perf_counter()
    results = tuple(do(chunk))
    if len(results) != len(chunk):
        raise TypeError(f"expected {len(chunk)} results for {len(chunk)} pieces of work, got {len(results)}")
    for piece, result in zip(chunk, results, strict=True):
        if not isinstance(result, Failed) and getattr(result, "key", None) != piece.key:
            raise TypeError(f"expected a record with key {piece.key!r} or a Failed, got {result!r}")
    return _Made(results, time.perf_counter() - start)


class _Drawn(Generic[P]):
    """Chunks as the executor requests them: none after a stop, or once the stage is broken."""

    def __init__(self, pending: Sequence[Sequence[Work[P]]], tally: _Tally[P, R], stop: StopSignal) -> None:
        self._pending, self._tally, self._stop = pending, tally, stop
        self.num = 0
        """How many were requested."""

    def __iter__(self) -> Iterator[Sequence[Work[P]]]:
        for chunk in self._pending:
            if self._stop.requested or self._tally.is_broken:
                return
            self.num += 1
            yield chunk


class _Tally(Generic[P, R]):
    """The counts of one stage with missing records, and the storing of results."""

    def __init__(
        self, table: Table[R], num_total: int, missing: set[str], place: Place, max_attempts: int | None
    ) -> None:
        self.table, self.num_total, self.missing, self.place = table, num_total, missing, place
        self.attempts = table.attempts(sorted(missing))
        self.given_up = {key for key, n in self.attempts.items() if max_attempts is not None and n >= max_attempts}
        self.num_before = num_total - len(missing)
        self.num_failed = len(self.given_up)
        self.chunks_failed_in_a_row = 0
        self.start = time.perf_counter()

    @property
    def is_broken(self) -> bool:
        """Whether so many chunks in a row failed completely that continuing makes no sense."""
        return self.chunks_failed_in_a_row >= _MAX_FAILED_CHUNKS

    @property
    def num_done(self) -> int:
        """Existing records."""
        return self.num_total - len(self.missing)

    def pending(self, chunks: Sequence[Sequence[Work[P]]]) -> list[Sequence[Work[P]]]:
        """The chunks with something to try."""
        return [chunk for chunk in chunks if any(self._is_wanted(piece.key) for piece in chunk)]

    @contextlib.contextmanager
    def reported(self) -> Iterator[None]:
        """Report the start of work to the log and the display, and to the log what ended it early."""
        self._write("stage_started", num_total=self.num_total, num_done=self.num_before, given_up=len(self.given_up))
        self._show()
        try:
            yield
        except UserError as error:
            with contextlib.suppress(StoreError):  # the log may be on the disk that is full
                self._write("stage_failed", problem=str(error), num_done=self.num_done)
            raise

    def land(self, chunk: Sequence[Work[P]], done: Done[_Made[R]]) -> None:
        """Store a chunk's results; pieces that existed before, or were given up, keep their state."""
        outcome = done.result
        results = [outcome] * len(chunk) if isinstance(outcome, Failed) else outcome.results
        records: list[R] = []
        failures: list[Failure] = []
        for piece, result in zip(chunk, results, strict=True):
            if isinstance(result, Failed):
                if self._is_wanted(piece.key):
                    failures.append(self._failure(piece.key, result))
            elif piece.key in self.missing:
                records.append(result)
        seconds = 0.0 if isinstance(outcome, Failed) else outcome.seconds
        cost = CostEntry(stage=self.table.name, seconds=seconds, num_items=len(records), device=self.place.device)
        self.table.land(records, failures, cost if seconds else None)
        landed = {record.key for record in records}
        self.num_failed += len(failures) - len(landed & self.given_up)
        self.missing -= landed
        failed_whole = all(isinstance(result, Failed) for result in results)
        self.chunks_failed_in_a_row = self.chunks_failed_in_a_row + 1 if failed_whole else 0
        for failure in failures:
            self._write("item_failed", **failure.model_dump(mode="json", exclude={"stage", "trace"}))
        self._show()

    def finish(self, *, was_stopped: bool, must_finish: bool) -> None:
        """Report how the stage ended.

        Raises:
            StageFailed: it is broken, or a required record is missing.
            Stopped: work is left because the user stopped the run.
        """
        if self.is_broken:
            self._raise_failed(f"{self.chunks_failed_in_a_row} chunks in a row failed completely")
        if was_stopped:
            self._write("stage_stopped", num_done=self.num_done)
            done = f"{self.num_done} of {self.num_total}"
            raise Stopped(f"stopped in {self.table.name!r} with {done} done; run the same command again to resume")
        self._write("stage_finished", num_done=self.num_done, num_failed=self.num_failed)
        if must_finish and self.missing:
            self._raise_failed(f"{len(self.missing)} of {self.num_total} are missing")

    def _is_wanted(self, key: str) -> bool:
        return key in self.missing and key not in self.given_up

    def _failure(self, key: str, failed: Failed) -> Failure:
        return Failure(
            work_key=key,
            stage=self.table.name,
            attempt=self.attempts.get(key, 0) + 1,
            error_type=failed.error_type,
            message=failed.message,
            trace=failed.trace,
        )

    def _raise_failed(self, problem: str) -> None:
        failures = [failure for failure in self.table.failures() if failure.work_key in self.missing]
        last = failures[-1] if failures else None
        self._write("stage_failed", problem=problem, num_done=self.num_done)
        detail = f"; the last error was {last.error_type}: {last.message}\n{last.trace}" if last else ""
        raise StageFailed(f"stage {self.table.name!r}: {problem}{detail}")

    def _show(self) -> None:
        if self.place.on_progress is None:
            return
        self.place.on_progress(
            ProgressUpdate(
                stage=self.table.name,
                num_total=self.num_total,
                num_before=self.num_before,
                num_done=self.num_done,
                num_failed=self.num_failed,
                elapsed_s=time.perf_counter() - self.start,
            )
        )

    def _write(self, event: str, **fields: object) -> None:
        if self.place.log is not None:
            self.place.log.write(event, stage=self.table.name, **fields)
