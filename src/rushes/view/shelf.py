"""Which run folders the studio shows, and under which names: an address holds a name, never a path."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_DEPTH: Final = 4
"""How many folders below a given one are searched for runs."""
_FRESH_S: Final = 2.0
"""How long a list of runs is used before the folders are searched again."""
_MARKS: Final = ("header.json", "records.sqlite")
"""The files by which a run folder is known."""


class Shelf:
    """The runs below some folders. Links to folders are not followed, so that nothing outside is ever shown."""

    def __init__(self, homes: Sequence[Path]) -> None:
        """Args: homes: run folders, or folders with runs below them; those that do not exist yet hold none."""
        self.homes = tuple(home.absolute() for home in homes)
        """What is searched."""
        self._lock = threading.Lock()
        self._found: dict[str, Path] = {}
        self._searched_at = float("-inf")

    def runs(self) -> dict[str, Path]:
        """Name of each run -> its folder, sorted by folder; searched again every two seconds."""
        with self._lock:
            if time.monotonic() - self._searched_at > _FRESH_S:
                found = {folder for home in self.homes for folder in _below(home, _DEPTH)}
                self._found = {name_of(folder): folder for folder in sorted(found)}
                self._searched_at = time.monotonic()
            return dict(self._found)

    def home(self, name: str) -> Path | None:
        """The run folder with that name; None where there is none, whatever the name holds."""
        return self.runs().get(name)

    def label(self, home: Path) -> str:
        """A run's path for people: below the folder that was given, with that folder's own name."""
        for each in self.homes:
            if home.is_relative_to(each):
                return str(home.relative_to(each.parent))
        return str(home)


def name_of(home: Path) -> str:
    """The name of a run folder in addresses: its last part, and a hash of the whole path, so that no two collide."""
    words = re.sub(r"[^a-z0-9]+", "-", home.name.lower()).strip("-")[:40] or "run"
    return f"{words}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:8]}"


def is_run(folder: Path) -> bool:
    """Whether it has the files that every run folder has."""
    return all((folder / mark).is_file() for mark in _MARKS)


def _below(folder: Path, depth: int) -> Iterator[Path]:
    if is_run(folder):
        yield folder
        return
    if depth == 0:
        return
    try:
        inner = [Path(each.path) for each in os.scandir(folder) if each.is_dir(follow_symlinks=False)]
    except OSError:  # no permission, or gone since
        return
    for each in inner:
        if not each.name.startswith("."):
            yield from _below(each, depth - 1)
