"""Ctrl-C and SIGTERM as a polite request: finish the work in hand, store it, then stop."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

HEARD: Final = "\nstopping after the item in hand; press Ctrl-C again to stop at once\n"
"""What the first Ctrl-C is answered with; long items would leave it unanswered for minutes."""


class StopSignal:
    """Whether the user asked to stop. The second Ctrl-C stops at once; nothing stored is lost either way."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    @property
    def requested(self) -> bool:
        """True once somebody asked to stop."""
        return self._requested.is_set()

    def request(self) -> None:
        """Ask to stop after the work in hand."""
        self._requested.set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopSignal]:
        """Listen to SIGINT and SIGTERM inside a `with` block; outside the main thread there is nothing to listen to."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.requested:
            _say(HEARD)
        self.request()


def _say(line: str) -> None:
    """Write to standard error past Python's buffers: a handler may have interrupted a print, which must not nest."""
    with contextlib.suppress(OSError):
        os.write(2, line.encode())
