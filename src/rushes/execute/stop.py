"""Graceful stop on Ctrl-C and SIGTERM: finish the current work, store it, then stop."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

HEARD: Final = "\nstopping after the current item; press Ctrl-C again to stop at once\n"
"""Printed at the first Ctrl-C, because a long item may take minutes to finish."""
AT_ONCE: Final = "\nstopped at once; run the same command to resume\n"
"""Printed where the second Ctrl-C has to end the process."""
LAST_S = 3.0
"""How long the program may take to end by itself after the second Ctrl-C, seconds."""
_TURN_S: Final = 0.1
"""How long the main thread may take to handle a signal itself; in a long call of a library it cannot."""
_SHOW_CURSOR: Final = "\x1b[?25h"

_shown_by: list[object] = []
"""Who shows on the terminal that a stop was heard; then nothing is written there past it."""

_listening: list[StopSignal] = []
"""The signals that Ctrl-C and SIGTERM reach now, in this process."""


_told = threading.Event()
"""Set in a worker whose user asked another process to stop."""

_status: list[int] = []
"""The exit status, where this process belongs to a command of ours and may be ended."""


def is_stopping() -> bool:
    """Whether the user asked this process to stop, or the one it works for: what only waits ends then."""
    return _told.is_set() or any(each.requested for each in _listening)


def shown_by(whoever: object | None) -> None:
    """From now on `whoever` draws on the terminal, and shows there that a stop was heard; None for nobody."""
    _shown_by[:] = [] if whoever is None else [whoever]


def tell_to_stop() -> None:
    """Called in a worker, which hears no Ctrl-C itself: what only waits there ends."""
    _told.set()


@contextlib.contextmanager
def exiting(status: int) -> Iterator[None]:
    """Meanwhile, the second Ctrl-C ends the process with that status if nothing else does: a kill loses nothing."""
    _status.append(status)
    try:
        yield
    finally:
        _status.pop()


class StopSignal:
    """Whether the user asked to stop. The second Ctrl-C stops at once; nothing stored is lost either way."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._answer = threading.Lock()  # held by whoever has answered the first signal
        self._was_handled = False
        self._insisted = threading.Event()
        self._raised = threading.Event()

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
        self._was_handled, is_over = self.requested, threading.Event()
        hears, told = socket.socketpair()
        told.setblocking(False)
        threading.Thread(target=self._count, args=(hears, is_over), name="rushes-stop", daemon=True).start()
        wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        _listening.append(self)
        try:
            yield self
        finally:
            _listening.remove(self)
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            is_over.set()
            told.shutdown(socket.SHUT_RDWR)  # a forked process may hold it open
            told.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._insisted.is_set() or (self._was_handled and number == signal.SIGINT):
            self._raised.set()
            raise KeyboardInterrupt
        self._was_handled = True  # not `requested`: the thread below may have heard this signal first
        self._hear()

    def _hear(self) -> None:
        if not self.requested and self._answer.acquire(blocking=False) and not _shown_by:
            _say(HEARD)
        self.request()

    def _count(self, hears: socket.socket, is_over: threading.Event) -> None:
        """Hear every signal, in a thread: the main one hears nothing in a long call of a library, and of two it hears
        one."""
        num = int(self.requested)
        with hears:
            for (number,) in iter(lambda: hears.recv(1), b""):
                if number in (signal.SIGINT, signal.SIGTERM):
                    num += 1
                    time.sleep(_TURN_S)
                    self._hear()
                    if num > 1 and number == signal.SIGINT:
                        self._insist(is_over)

    def _insist(self, is_over: threading.Event) -> None:
        """End what the second Ctrl-C was to end: by an exception, or if that does not come out, by an exit."""
        self._insisted.set()
        if not self._raised.is_set():
            _thread.interrupt_main(signal.SIGINT)
        if not is_over.wait(LAST_S) and _status:
            _say(AT_ONCE + (_SHOW_CURSOR if os.isatty(2) else ""))
            os._exit(_status[-1])


def _say(line: str) -> None:
    """Write to standard error past Python's buffers: a handler may have interrupted a print, which must not nest."""
    with contextlib.suppress(OSError):
        os.write(2, line.encode())


def _deaf() -> None:
    """A forked process would tell its parent of its own signals, and Ctrl-C reaches both."""
    if _listening:
        signal.set_wakeup_fd(-1)


os.register_at_fork(after_in_child=_deaf)
