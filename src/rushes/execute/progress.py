"""Progress of a stage: a bar with the time left on a terminal, plain lines elsewhere, events in the run's log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PLAIN_INTERVAL_S: Final = 10.0


@dataclass(frozen=True)
class ProgressUpdate:
    """The progress of a stage."""

    stage: str
    """Name of the stage."""
    num_total: int
    """Items in all."""
    num_before: int
    """Items that were done before this call and are not repeated."""
    num_done: int
    """Items done, those before included."""
    num_failed: int
    """Items that failed in this call or were abandoned; those that are tried again do not count yet."""
    elapsed_s: float
    """Seconds since this call began."""
    problem: str = ""
    """Why an item failed, on one line; empty if none did."""
    note: str = ""
    """What the last item gave: a loss, a mean score; empty where there is nothing to say."""

    @property
    def is_last(self) -> bool:
        """True when nothing is left to try."""
        return self.num_done + self.num_failed >= self.num_total

    @property
    def left_s(self) -> float | None:
        """Expected seconds to the end at the pace of this call; None before the first item is done."""
        num_now = self.num_done - self.num_before + self.num_failed
        if num_now <= 0:
            return None
        return self.elapsed_s / num_now * max(0, self.num_total - self.num_done - self.num_failed)


OnProgress = Callable[[ProgressUpdate], None]
"""Called after every finished chunk, and once before the first."""


def duration_text(seconds: float) -> str:
    """Seconds for people: "4 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def progress_line(update: ProgressUpdate) -> str:
    """One line for logs: "clips 12/40, 1 failed, 30 s, 1 min 10 s left"."""
    words = [f"{update.stage} {update.num_done}/{update.num_total}"]
    if update.num_before and update.num_before < update.num_total:
        words.append(f"{update.num_before} from before")
    if update.num_failed:
        words.append(f"{update.num_failed} failed")
    words.append(duration_text(update.elapsed_s))
    if update.left_s is not None and not update.is_last:
        words.append(f"{duration_text(update.left_s)} left")
    if update.note:
        words.append(update.note)
    if update.num_failed and update.problem:
        words.append(update.problem)
    return ", ".join(words)


class ProgressDisplay:
    """Shows updates of any number of stages: one bar each on a terminal, rate-limited lines elsewhere."""

    def __init__(
        self,
        stream: TextIO | None = None,
        log: Callable[..., None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Choose how to show.

        Args:
            stream: output; the default is standard error, which keeps results on standard output clean.
            log: `EventLog.write`, for a "progress" event with each plain line; None for no log.
            clock: monotonic seconds; replaced in tests.
        """
        self._stream = stream or sys.stderr
        self._log = log
        self._clock = clock
        self._last: dict[str, float] = {}
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, update: ProgressUpdate) -> None:
        """Show one update."""
        now = self._clock()
        is_due = update.is_last or now - self._last.get(update.stage, float("-inf")) >= _PLAIN_INTERVAL_S
        if is_due:
            self._last[update.stage] = now
            self._write_event(update)
        if self._stream.isatty():
            self._show_bar(update)
        elif is_due:
            print(progress_line(update), file=self._stream, flush=True)

    def _write_event(self, update: ProgressUpdate) -> None:
        if self._log is None:
            return
        left_s = None if update.left_s is None else round(update.left_s, 1)
        self._log(
            "progress",
            stage=update.stage,
            num_done=update.num_done,
            num_total=update.num_total,
            num_failed=update.num_failed,
            left_s=left_s,
        )

    def _show_bar(self, update: ProgressUpdate) -> None:
        if self._bars is None:
            self._bars = _make_bars(self._stream)
            self._bars.start()
        task = self._tasks.get(update.stage)
        if task is None:
            task = self._tasks[update.stage] = self._bars.add_task(update.stage, total=update.num_total, note="")
        left = "" if update.left_s is None or update.is_last else f"{duration_text(update.left_s)} left"
        failed = f"{update.num_failed} failed" if update.num_failed else ""
        note = ", ".join(word for word in (failed, left, update.note) if word)
        self._bars.update(task, total=update.num_total, completed=update.num_done, note=note)
        if update.is_last:
            self._bars.stop_task(task)

    def close(self) -> None:
        """Leave the terminal as it was; the finished bars stay visible."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make_bars(stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(file=stream),
    )
