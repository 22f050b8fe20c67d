"""What of a run folder changes while it works, and values that are kept until it does."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar, cast

T = TypeVar("T")
Fingerprint = tuple[tuple[str, int, int], ...]
"""Path, size and time of each file."""

_FILES: Final = ("records.sqlite", "records.sqlite-wal", "events.jsonl", "recipe.yaml", "done", "lock", "derived")
_MOST_KEPT: Final = 256
"""Values kept at once; the one that was asked for longest ago goes first."""


def fingerprint(homes: Iterable[Path]) -> Fingerprint:
    """Size and time of what runs write as they go: another value means that there is something new to see."""
    found = []
    for home in homes:
        for name in _FILES:
            try:
                status = os.stat(home / name)
            except OSError:
                continue
            found.append((f"{home}/{name}", status.st_size, status.st_mtime_ns))
    return tuple(found)


class Kept:
    """Values made from a run folder, each kept until one of its files changes. Safe to use from several threads."""

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[str, str], tuple[Fingerprint, object]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, home: Path, what: str, make: Callable[[], T]) -> T:
        """The value of that name, made now if there is none or the run has changed since."""
        now, key = fingerprint([home]), (str(home), what)
        with self._lock:
            known = self._values.get(key)
            if known is not None and known[0] == now:
                self._values.move_to_end(key)
                return cast("T", known[1])
        value = make()
        with self._lock:
            self._values[key] = (now, value)
            self._values.move_to_end(key)
            while len(self._values) > _MOST_KEPT:
                self._values.popitem(last=False)
        return value
