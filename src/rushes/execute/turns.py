"""Turns: two pieces of work in flight whose parts take turns, and the time that each of them waited.

One batch is sampled while the one before it is decoded and stored; two are never sampled at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rushes.execute.local import LocalExecutor
from rushes.execute.work import Done, Needs

Item = TypeVar("Item")
Result = TypeVar("Result")

_waited = threading.local()


def waited_s() -> float:
    """Seconds that this thread has waited for turns so far: none of the cost of its work."""
    return float(getattr(_waited, "seconds", 0.0))


@dataclass(frozen=True, eq=False)
class Turn:
    """What one thread may do at a time."""

    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> None:
        """Wait for it."""
        began = time.perf_counter()
        self._lock.acquire()
        _waited.seconds = waited_s() + time.perf_counter() - began

    def leave(self) -> None:
        """Let the next thread have it."""
        self._lock.release()


@dataclass(frozen=True, eq=False)
class Turns:
    """The two parts of a piece of work."""

    first: Turn = field(default_factory=Turn)
    """Of the part that comes first: sampling."""
    second: Turn = field(default_factory=Turn)
    """Of the part after it: decoding."""

    @contextmanager
    def in_first(self) -> Iterator[Callable[[], None]]:
        """A context for both parts; what it gives is called between them, and lets the next thread begin.

        The second turn is taken before the first is left, so that pieces of work stay in their order.
        """
        held = [self.first]
        self.first.take()

        def go_on() -> None:
            self.second.take()
            held.append(self.second)
            held.remove(self.first)
            self.first.leave()

        try:
            yield go_on
        finally:
            for turn in held:
                turn.leave()


@dataclass(frozen=True)
class TwoAtOnce:
    """An `Executor` in this process with two pieces of work in flight, whose results come in the order of the work."""

    def map(
        self, call: Callable[[Item], Result], items: Iterable[Item], *, needs: Needs | None = None
    ) -> Iterator[Done[Result]]:
        """As `Executor`, in order."""
        waiting: dict[int, Done[Result]] = {}
        num = 0
        try:
            for done in LocalExecutor(2).map(call, items, needs=needs):
                waiting[done.index] = done
                while num in waiting:
                    yield waiting.pop(num)
                    num += 1
        except Exception:
            for index in sorted(waiting):  # what was finished is stored before the error is raised
                yield waiting[index]
            raise
