"""A life: a forked child that does one thing and ends well, badly, by a kill, or not in time.

Forking saves the seconds that importing takes. Only these children are ever killed, by their own number.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TRACEBACK: Final = "Traceback (most recent call last)"
_HUNG: Final = -1


@dataclass(frozen=True)
class Life:
    """How a child ended."""

    status: int
    """Exit status as `os.waitpid` gives it; -1 if it had to be ended for taking too long."""
    said: str
    """Everything that it printed."""

    @property
    def was_killed(self) -> bool:
        return self.status == signal.SIGKILL

    @property
    def exit_code(self) -> int | None:
        """None if a signal ended it."""
        return os.WEXITSTATUS(self.status) if self.status >= 0 and os.WIFEXITED(self.status) else None

    @property
    def bug(self) -> str | None:
        """What a user would report as a bug: a traceback, a crash or a hang; None if there is none."""
        if self.status == _HUNG:
            return f"no end in time; last words: {self.last_line}"
        if TRACEBACK in self.said:
            return self.last_line
        return None if self.exit_code is not None or self.was_killed else f"ended by signal {self.status}"

    @property
    def last_line(self) -> str:
        """The last line that is not empty, shortened."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        return lines[-1][:200] if lines else "nothing was printed"


def live(do: Callable[[], object], log: Path, limit_s: float = 120.0) -> Life:
    """Do something in a child and wait for its end.

    Args:
        do: what to do; an `int` that it returns becomes the exit code.
        log: where the child's output goes.
        limit_s: seconds after which it is ended.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _be_child(do, log)
    until = time.monotonic() + limit_s
    while True:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            break
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            status = _HUNG
            break
        time.sleep(0.002)
    return Life(status, log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")


def _be_child(do: Callable[[], object], log: Path) -> None:
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        # Whatever the parent has put in their place, such as a test's capture, the child's go to the log.
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
        returned = do()
        code = returned if isinstance(returned, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
