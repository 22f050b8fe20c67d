"""`advance`: make the missing records. The one place where work is resumed, chunked, tried again, stopped and counted.

The whole work list is cut into chunks once, by position. A chunk with anything missing is computed completely, as in an
uninterrupted run, so that batched arithmetic gives the same bits after a kill. Existing records are not changed. All
records of a chunk are stored in one transaction, after their blobs. What failed is tried again after the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Generic, TypeVar

from rushes.execute.stop import StopSignal
from rushes.execute.turns import waited_s
from rushes.execute.work import MAX_TRIES, Failed
from rushes.records import KeyedRecord
from rushes.store.shortfall import MAX_ATTEMPTS
from rushes.store.table import Table
from rushes.store.tally import MAX_LOSSES, Tally
from rushes.store.work import Made, Place, Work

R = TypeVar("R", bound=KeyedRecord)
P = TypeVar("P")

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

    What fails is tried again once everything else is done, up to `MAX_TRIES` times; if it still fails, it is recorded
    as failed, the stage goes on without it, and the next run tries it again, up to `MAX_ATTEMPTS` runs. Work whose
    worker was lost is tried again without counting.

    Args:
        table: where the records are stored.
        work: all work of the stage, in a fixed order; keys are unique.
        do: makes one chunk; use `Lazily` so that nothing is loaded if nothing is missing. An exception (other than
            `UserError` and `Stopped`) fails the whole chunk.
        chunk_size: pieces of work per call of `do`, and per transaction; at least 1.
        place: where it runs and reports; None for this process, without reports.
        must_finish: True raises if anything is still missing at the end (training: no checkpoint, no run). It is tried
            once, and never given up between runs.

    Returns:
        The records of `work` that exist, in the order of `work`; failed work has none (see `Table.failures`).

    Raises:
        Stopped: stopped by the user with work left.
        StageFailed: everything failed, or three chunks in a row failed completely, or `must_finish` and something is
            missing.
        UserError: raised by `do` or by the store.
        ValueError: two pieces of work with one key, or a chunk size below 1.
    """
    keys = [piece.key for piece in work]
    if chunk_size < 1 or len(set(keys)) != len(keys):
        raise ValueError(f"{table.name}: expected unique keys and chunk_size >= 1, got chunk_size={chunk_size!r}")
    place = place or Place()
    missing = set(table.missing(keys))
    if missing:
        chunks = [work[i : i + chunk_size] for i in range(0, len(work), chunk_size)]
        tally: Tally[P, R] = Tally(table, work, missing, place, 1 if must_finish else MAX_TRIES)
        was_stopped = False
        with tally.reported():
            for _ in range(MAX_TRIES + MAX_LOSSES):
                pending = tally.pending(chunks)
                drawn = _Drawn(pending, tally, place.stop)
                for done in place.executor.map(partial(_make, do), drawn, needs=place.needs):
                    tally.land(pending[done.index], done)
                was_stopped = drawn.num < len(pending)
                tally.raise_ended()
                if was_stopped or not tally.pending(chunks):
                    break
                tally.begin_again()
        tally.finish(was_stopped=was_stopped)
        place.shortfall.note(table.name, keys, tally.left())
    else:
        place.shortfall.note(table.name, keys, [])
    return list(table.each_of(keys))


def _make(do: Do[P, R], chunk: Sequence[Work[P]]) -> Made[R]:
    """Compute one chunk in the executor; check that the results match the work."""
    start = time.perf_counter() - waited_s()
    results = tuple(do(chunk))
    if len(results) != len(chunk):
        raise TypeError(f"expected {len(chunk)} results for {len(chunk)} pieces of work, got {len(results)}")
    for piece, result in zip(chunk, results, strict=True):
        if not isinstance(result, Failed) and getattr(result, "key", None) != piece.key:
            raise TypeError(f"expected a record with key {piece.key!r} or a Failed, got {result!r}")
    return Made(results, time.perf_counter() - waited_s() - start)


class _Drawn(Generic[P]):
    """Chunks as the executor requests them: none after a stop, or once the stage is broken or ended by an error."""

    def __init__(self, pending: Sequence[Sequence[Work[P]]], tally: Tally[P, R], stop: StopSignal) -> None:
        self._pending, self._tally, self._stop = pending, tally, stop
        self.num = 0
        """How many were requested."""

    def __iter__(self) -> Iterator[Sequence[Work[P]]]:
        for chunk in self._pending:
            if self._stop.requested or self._tally.is_broken or self._tally.ended_by is not None:
                return
            self.num += 1
            yield chunk


__all__ = ["MAX_ATTEMPTS", "MAX_LOSSES", "MAX_TRIES", "Do", "Place", "Work", "advance"]
