"""Shows progress: bars with the time left on a terminal, plain lines elsewhere, events in the run's log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self, TextIO

from rushes.execute.progress import ProgressUpdate, progress_line

if TYPE_CHECKING:
    from rushes.execute.bars import Bars

_PLAIN_INTERVAL_S: Final = 10.0


class ProgressDisplay:
    """Shows updates of any number of stages: bars on a terminal, rate-limited lines elsewhere."""

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
        self._bars: Bars | None = None

    def __call__(self, update: ProgressUpdate) -> None:
        """Show one update."""
        now = self._clock()
        is_due = update.is_last or now - self._last.get(update.label, float("-inf")) >= _PLAIN_INTERVAL_S
        if is_due:
            self._last[update.label] = now
            self._write_event(update)
        if self._stream.isatty():
            if self._bars is None:
                from rushes.execute.bars import Bars

                self._bars = Bars(self._stream)
            self._bars.show(update)
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

    def close(self) -> None:
        """Leave the terminal as it was; the finished bars stay visible."""
        if self._bars is not None:
            self._bars.close()
            self._bars = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
