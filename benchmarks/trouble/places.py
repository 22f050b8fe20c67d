"""Places where a process can die: before and after each call that changes a file, counted and named.

A named place is the operation and the file, without what differs between runs, such as `after fsync scratch/*/x`.
All places of one file, or of one table, are a kind of write.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_VARIES: Final = re.compile(r"(?<=blobs/)[0-9a-f]{2}\b|(?<=derived/)[^/]+|[0-9a-f]{8,}|[0-9]+")
_ON_PATHS: Final = ("replace", "rename", "unlink", "remove", "truncate", "mkdir", "rmdir")
_ON_DESCRIPTORS: Final = ("fsync", "write", "ftruncate")
_PLACE: Final = re.compile(r"(?:before|after|half of) (?P<operation>\S+) (?P<what>.*)")
_PASSING: Final = re.compile(r"(?:^|(?<=/))\.+|(?:\.sha\*)?\.\*\.tmp$")
"""What the name of a temporary file or of a checksum has beyond that of the file itself."""

OnPlace = Callable[[str], None]
"""Called at each place with its name."""


class Die:
    """Kills this process when it arrives at a place for the `nth` time."""

    def __init__(self, place: str, nth: int) -> None:
        self.place, self.left = place, nth

    def __call__(self, place: str) -> None:
        if place == self.place:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Note:
    """Remembers the places that a process passes, and writes them to a file when `save` is called."""

    def __init__(self) -> None:
        self.passed: list[str] = []

    def __call__(self, place: str) -> None:
        self.passed.append(place)

    def save(self, file: Path) -> None:
        file.write_text("".join(f"{place}\n" for place in self.passed))


def read_places(file: Path) -> tuple[str, ...]:
    """What `Note.save` wrote: the places in the order in which they were passed."""
    return tuple(file.read_text().splitlines())


def kind_of(place: str) -> str:
    """The kind of write: the file or the table, whatever the operation and its side."""
    parts = _PLACE.fullmatch(place)
    operation, what = (parts["operation"], parts["what"]) if parts else ("", place)
    if operation == "sql":
        words = what.split() or [""]
        rows = f"rows of {words[-1]}"
        named = {"INSERT": rows, "DELETE": rows, "BEGIN": "a commit", "COMMIT": "a commit"}
        return named.get(words[0], "tables of the database")
    if operation in ("mkdir", "rmdir"):
        return "folders"
    name = _PASSING.sub("", what)
    folder = name.split("/")[0]
    return folder if folder in ("blobs", "derived") else name


def watch(folder: Path, on_place: OnPlace) -> None:
    """From now on, report every change of a file in `folder` by this process. For a child: it cannot be undone."""
    home = os.path.abspath(folder)
    for name in _ON_PATHS:
        setattr(os, name, _reporting(name, getattr(os, name), home, on_place))
    for name in _ON_DESCRIPTORS:
        setattr(os, name, _reporting(name, getattr(os, name), home, on_place))
    _watch_database(on_place)


def _reporting(name: str, real: Callable[..., Any], home: str, on_place: OnPlace) -> Callable[..., Any]:
    def call(first: Any, *others: Any, **named: Any) -> Any:
        place = _named(name, first, home)
        if place is None:
            return real(first, *others, **named)
        if name == "write" and others and len(others[0]) > 1:
            real(first, others[0][: len(others[0]) // 2])
            on_place(f"half of {place}")
            return len(others[0]) // 2
        on_place(f"before {place}")
        result = real(first, *others, **named)
        on_place(f"after {place}")
        return result

    return call


def _named(name: str, what: Any, home: str) -> str | None:
    """The place's name without its side; None for files elsewhere."""
    path = ""
    if isinstance(what, int):
        with contextlib.suppress(OSError):
            path = os.readlink(f"/proc/self/fd/{what}")
    else:
        path = os.path.abspath(os.fsdecode(what))
    if not path.startswith(home + os.sep):
        return None
    return f"{name} {_VARIES.sub('*', path[len(home) + 1 :])}"


def _watch_database(on_place: OnPlace) -> None:
    """Report each statement that changes a database."""
    real = sqlite3.connect

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *others: Any) -> Any:  # type: ignore[override]
            return self._reported(super().execute, sql, *others)

        def executemany(self, sql: str, *others: Any) -> Any:  # type: ignore[override]
            return self._reported(super().executemany, sql, *others)

        def _reported(self, do: Callable[..., Any], sql: str, *others: Any) -> Any:
            word = " ".join(sql.split()[:3])
            if word.upper().startswith(("SELECT", "PRAGMA")):
                return do(sql, *others)
            on_place(f"before sql {word}")
            result = do(sql, *others)
            on_place(f"after sql {word}")
            return result

    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        return real(*arguments, **{"factory": Watched, **named})

    sqlite3.connect = connect  # type: ignore[assignment]
