"""Graceful stop on Ctrl-C and SIGTERM: finish the current work, store it, then stop."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

HEARD: Final = "\nstopping after the current item; press Ctrl-C again to stop at once\n"
"""Printed at the first Ctrl-C, because a long item may take minutes to finish."""


_listening: list[StopSignal] = []
"""The signals that Ctrl-C and SIGTERM reach now, in this process."""


_told = threading.Event()
"""Set in a worker whose user asked another process to stop."""


def is_stopping() -> bool:
    """Whether the user asked this process to stop, or the one it works for: what only waits ends then."""
    return _told.is_set() or any(each.requested for each in _listening)


def tell_to_stop() -> None:
    """Called in a worker, which hears no Ctrl-C itself: what only waits there ends."""
    _told.set()


class StopSignal:
    """Whether the user asked to stop. The second Ctrl-C stops at once; nothing stored is lost either way."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    @property
    def requested(self) -> bool:
        """True once a stop was requested."""
        return self._requested.is_set()

    def request(self) -> None:
        """Request a stop after the current work."""
        self._requested.set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopSignal]:
        """Handle SIGINT and SIGTERM inside a `with` block; outside the main thread this does nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        _listening.append(self)
        try:
            yield self
        finally:
            _listening.remove(self)
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
