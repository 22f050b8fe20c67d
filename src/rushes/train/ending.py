"""Ends training processes that were asked to stop and do not: after a bounded wait, by killing their process groups.

Nothing stored is lost: a state is written whole or not at all, and the next run goes on from the last one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

GRACE_S: Final = 3.0
"""How long processes may take to stop where waiting longer gains nothing."""
SAVING_S: Final = 300.0
"""How long they may take at least to store their state, once they know that they are to stop."""
_POLL_S: Final = 0.2


@dataclass
class Patience:
    """How long training processes that were asked to stop are waited for; used by two threads."""

    clock: Callable[[], float] = time.monotonic
    has_ended_them: bool = False
    """They were killed, since they did not stop."""
    _begun: float = field(init=False)
    _asked: float | None = None
    _last: float | None = None
    _longest: float = 0.0
    _least: float = GRACE_S

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def step_done(self) -> None:
        """A step was reported: the next one may take as long as any before, the start and what it showed included."""
        now = self.clock()
        self._longest = max(self._longest, now - (self._begun if self._last is None else self._last))
        self._last = now

    def told(self) -> None:
        """They know that they are to stop, and store their state."""
        self._last, self._least = self.clock(), SAVING_S

    def is_over(self, *, is_frozen: bool) -> bool:
        """Whether to wait no more for processes that were asked to stop: since the first call, at the latest.

        Args:
            is_frozen: one of them is halted by a signal, and would never stop by itself.
        """
        now = self.clock()
        if self._asked is None:
            self._asked = now
        if is_frozen or self._last is None:  # before the first step there is nothing to lose
            return now - self._asked > GRACE_S
        return now - max(self._asked, self._last) > max(self._least, self._longest)


@contextlib.contextmanager
def ending(folder: Path, patience: Patience, should_stop: Callable[[], bool]) -> Iterator[None]:
    """Meanwhile, kill the processes that work in `folder` if they are asked to stop and the patience is over."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_POLL_S):
            if should_stop() and patience.is_over(is_frozen=any(map(_is_halted, processes(folder)))):
                patience.has_ended_them = True
                for pid in processes(folder):
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)  # the launcher lets each lead a group of its own

    thread = threading.Thread(target=watch, name="rushes-ending", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def processes(folder: Path) -> list[int]:
    """Numbers of the processes that were started with `folder` as an argument; only Linux tells."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def _is_halted(pid: int) -> bool:
    """Whether a process is halted (SIGSTOP), so that it handles nothing."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1] == [b"T"]
    return False
