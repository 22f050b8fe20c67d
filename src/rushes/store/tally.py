"""The counts of one stage while `advance` works on it: what is missing, what failed how often, what is given up."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

from rushes.errors import StageFailed, Stopped, StoreError, UserError
from rushes.execute.progress import ProgressUpdate
from rushes.execute.work import Done, Failed
from rushes.records import CostEntry, Failure, KeyedRecord
from rushes.store.mean import Mean
from rushes.store.shortfall import failed_words, may_try_again, reason_of
from rushes.store.table import Table
from rushes.store.work import Made, Place, Work

R = TypeVar("R", bound=KeyedRecord)
P = TypeVar("P")

MAX_LOSSES: Final = 5
"""How often the worker of a piece of work may be lost in a run before the work counts as failed."""
_MAX_FAILED_CHUNKS: Final = 3
"""Number of completely failed chunks in a row after which the stage fails."""
_MAX_LOST_CHUNKS: Final = 16
"""The same for chunks whose workers were lost: one machine that goes away takes several workers with it."""


class Tally(Generic[P, R]):
    """The counts of one stage with missing records, and the storing of results."""

    def __init__(
        self, table: Table[R], work: Sequence[Work[P]], missing: set[str], place: Place, max_tries: int
    ) -> None:
        """Look up what earlier runs could not do.

        Args:
            table: of the stage.
            work: all work of the stage.
            missing: keys without a record; not empty.
            place: where to report.
            max_tries: tries of each piece in this run; 1 for work that must succeed, which is also never given up.
        """
        self.table, self.work, self.missing, self.place, self.max_tries = table, work, missing, place, max_tries
        self.before = {each.work_key: each for each in table.failures() if each.work_key in missing}
        self.given_up = {key for key, each in self.before.items() if max_tries > 1 and not may_try_again(each)}
        self.settled: set[str] = set()
        """Keys that this run tries no more."""
        self.failures: dict[str, Failure] = {}
        """The last failure of each key in this run."""
        self._alone = table.apart()
        """Keys that failed in a call of their own, beside others that did not; or that an error left without a result,
        after others had one."""
        self.num_before = len(work) - len(missing)
        self.start = time.perf_counter()
        self._mean = Mean()
        self._tries: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._failed_in_a_row = self._lost_in_a_row = 0
        self._is_first_turn = True
        self.ended_by: UserError | Stopped | None = None
        """The error that ends the stage, raised beside results that were stored."""

    @property
    def is_broken(self) -> bool:
        """Whether so many chunks in a row failed completely that continuing makes no sense."""
        return self._failed_in_a_row >= _MAX_FAILED_CHUNKS or self._lost_in_a_row >= _MAX_LOST_CHUNKS

    @property
    def num_done(self) -> int:
        """Existing records."""
        return len(self.work) - len(self.missing)

    @property
    def num_failed(self) -> int:
        """Pieces without a record that are tried no more."""
        return len(self.missing & (self.given_up | self.settled))

    def pending(self, chunks: Sequence[Sequence[Work[P]]]) -> list[Sequence[Work[P]]]:
        """What to try of each chunk: all of it, or only what failed in a call of its own.

        A whole chunk has the arithmetic of an undisturbed run. Where its pieces were made one by one, that is gone, and
        making the others again would only cost.
        """
        return [part for chunk in chunks if (part := self._part(chunk))]

    def _part(self, chunk: Sequence[Work[P]]) -> Sequence[Work[P]]:
        wanted = [piece for piece in chunk if self._is_wanted(piece.key)]
        return wanted if all(piece.key in self._alone for piece in wanted) else chunk

    @contextlib.contextmanager
    def reported(self) -> Iterator[None]:
        """Report the start of work to the log and the display, and to the log what ended it early."""
        given_up = len(self.given_up)
        self._write("stage_started", num_total=len(self.work), num_done=self.num_before, given_up=given_up)
        self._show()
        try:
            yield
        except UserError as error:
            with contextlib.suppress(StoreError):  # the log may be on the disk that is full
                self._write("stage_failed", problem=str(error), num_done=self.num_done)
            raise

    def land(self, chunk: Sequence[Work[P]], done: Done[Made[R]]) -> None:
        """Store a chunk's results; pieces that existed before, or were given up, keep their state."""
        outcome = done.result
        results = [outcome] * len(chunk) if isinstance(outcome, Failed) else outcome.results
        records: list[R] = []
        for piece, result in zip(chunk, results, strict=True):
            if isinstance(result, Failed):
                if result.ends is not None:
                    self.ended_by = self.ended_by or result.ends
                elif self._is_wanted(piece.key):
                    self._count(piece.key, result)
                if result.was_alone and not all(isinstance(each, Failed) for each in results):
                    self._alone.add(piece.key)
            elif piece.key in self.missing:
                records.append(result)
        seconds = 0.0 if isinstance(outcome, Failed) else outcome.seconds
        cost = CostEntry(stage=self.table.name, seconds=seconds, num_items=len(records), device=self.place.device)
        self.table.land(records, cost=cost if seconds and self.place.is_counted else None)
        self.missing -= {record.key for record in records}
        self._mean.take(records)
        left = [piece.key for piece, each in zip(chunk, results, strict=True) if isinstance(each, Failed) and each.ends]
        if records and left:
            self.table.set_apart(left)
        self.failures = {key: each for key, each in self.failures.items() if key in self.missing}
        # A resumed run begins with what failed before, and may have nothing else left.
        if self._is_first_turn and any(piece.key not in self.before for piece in chunk):
            self._count_in_a_row([each for each in results if isinstance(each, Failed)], len(results))
        self._show()

    def raise_ended(self) -> None:
        """Raise the error that ends the stage, if there is one: all that came before it is stored by now."""
        if self.ended_by is not None:
            raise self.ended_by

    def begin_again(self) -> None:
        """What failed is tried again: chunks that fail in a row no longer mean that the stage is broken."""
        self._is_first_turn = False

    def finish(self, *, was_stopped: bool) -> None:
        """Record what stayed failed, and report how the stage ended.

        Where the whole stage fails, or the user stops it, no failure is recorded: an outage must not use up the
        attempts of work that was never at fault.

        Raises:
            StageFailed: it is broken, everything failed, or work that must succeed did not.
            Stopped: work is left because the user stopped the run.
        """
        if self.is_broken:
            num = max(self._failed_in_a_row, self._lost_in_a_row)
            self._raise_failed(f"{num} chunks in a row failed completely")
        if was_stopped:
            self._write("stage_stopped", num_done=self.num_done)
            done = f"{self.num_done} of {len(self.work)}"
            raise Stopped(f"stopped in {self.table.name!r} with {done} done; run the same command again to resume")
        if self.missing and (self.max_tries == 1 or not self.num_done):
            self._raise_failed(f"{len(self.missing)} of {len(self.work)} are missing")
        self.table.land([], list(self.failures.values()))
        self._write("stage_finished", num_done=self.num_done, num_failed=self.num_failed)

    def left(self) -> list[Failure]:
        """The failures of everything that has no record."""
        return [self.failures.get(key) or self.before[key] for key in sorted(self.missing)]

    def _is_wanted(self, key: str) -> bool:
        return key in self.missing and key not in self.given_up and key not in self.settled

    def _count(self, key: str, failed: Failed) -> None:
        """Count a failure; after the last try it is settled."""
        counts, most = (self._losses, MAX_LOSSES) if failed.retry == "free" else (self._tries, self.max_tries)
        counts[key] += 1
        failure = self.failures[key] = self._failure(key, failed)
        is_settled = failed.retry == "useless" or counts[key] >= most
        if is_settled:
            self.settled.add(key)
        event = "item_failed" if is_settled else "item_lost" if failed.retry == "free" else "item_tried"
        self._write(event, **failure.model_dump(mode="json", exclude={"stage", "trace"}))

    def _count_in_a_row(self, failed: Sequence[Failed], num: int) -> None:
        if len(failed) < num:
            self._failed_in_a_row = self._lost_in_a_row = 0
        elif any(each.retry == "free" for each in failed):
            self._lost_in_a_row += 1
        else:
            self._failed_in_a_row += 1

    def _failure(self, key: str, failed: Failed) -> Failure:
        before = self.before.get(key)
        return Failure(
            work_key=key,
            stage=self.table.name,
            attempt=before.attempt + 1 if before else 1,
            error_type=failed.error_type,
            message=failed.message,
            trace=failed.trace,
            is_final=failed.retry == "useless",
        )

    def _raise_failed(self, problem: str) -> None:
        failures = list(self.failures.values()) or list(self.before.values())
        words = f"; {failed_words(self.table.name, len(self.work), failures)}" if failures else ""
        trace = next((each.trace for each in reversed(failures) if each.trace), "")
        self._write("stage_failed", problem=problem + words, num_done=self.num_done)
        raise StageFailed(
            f"stage {self.table.name!r}: {problem}{words}" + (f"\n{trace}" if trace else ""),
            next_step="correct what the reason names; the same command then resumes the run",
        )

    def _show(self) -> None:
        if self.place.on_progress is None:
            return
        settled = [each for key, each in {**self.before, **self.failures}.items() if not self._is_wanted(key)]
        self.place.on_progress(
            ProgressUpdate(
                stage=self.table.name,
                num_total=len(self.work),
                num_before=self.num_before,
                num_done=self.num_done,
                num_failed=self.num_failed,
                elapsed_s=time.perf_counter() - self.start,
                problem=reason_of(settled[0]) if settled else "",
                note=self._mean.words,
                during=self.place.during,
            )
        )

    def _write(self, event: str, **fields: object) -> None:
        if self.place.log is not None:
            self.place.log.write(event, stage=self.table.name, **fields)
