"""Which names in a run folder are files and which are folders, and what stands in the place of one of them."""

from __future__ import annotations

import errno
import itertools
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

LOCK: Final = "lock"
EVENTS: Final = "events.jsonl"
_BESIDE_DATABASE: Final = ("records.sqlite-wal", "records.sqlite-shm")
_ALWAYS_FILES: Final = (LOCK, EVENTS, "done", "report.html", *_BESIDE_DATABASE)
"""What no run makes again by itself, as it does with a damaged scorecard."""
_READ: Final = ("header.json", "recipe.yaml", "scorecard.json", "records.sqlite", *_ALWAYS_FILES)
_FOLDERS: Final = ("audit", "blobs", "derived", "llm", "previews", "report", "scratch", "tensorboard")
_FILES_BELOW: Final = (
    ".*.sha256",
    "audit/*.json*",
    "derived/.*.sha256",
    "llm/*.lock",
    "llm/*/*.answered",
    "scratch/*/*.safetensors",
)
_FOLDERS_BELOW: Final = ("blobs/tmp", "blobs/[0-9a-f][0-9a-f]", "llm/*/[0-9a-f][0-9a-f]", "scratch/[0-9a-f]*")


def misplaced(home: Path, *, at_top: bool = False) -> dict[Path, str]:
    """What is no file where a file belongs, or no folder where a folder belongs, each with what it is.

    Files that a check reads are not among them: it finds these itself.

    Args:
        home: the run folder.
        at_top: only what lies in the run folder itself, and would end any run.
    """
    files = _found(home, _ALWAYS_FILES if at_top else (*_ALWAYS_FILES, *_FILES_BELOW))
    folders = _found(home, _FOLDERS if at_top else (*_FOLDERS, *_FOLDERS_BELOW))
    no_files = {path: "a folder" if path.is_dir() else "not a file" for path in files if not path.is_file()}
    no_files |= unreadable(home)
    return no_files | dict.fromkeys((path for path in folders if not path.is_dir()), "not a folder")


def unreadable(home: Path) -> dict[Path, str]:
    """What a reader of the run would wait at for ever: a pipe, a device, a loop of links in the place of a file."""
    found = (home / name for name in _READ)
    return {path: "not a file" for path in found if is_odd(path)}


def is_odd(path: Path) -> bool:
    """Whether something stands there that is neither a file nor a folder, and no link to where something may come."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return error.errno == errno.ELOOP
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def run_folder_of(path: Path) -> Path | None:
    """The run folder that `path` belongs to, if a check looks at it there; otherwise None."""
    for home in path.parents:
        if (home / "header.json").exists() or (home / "records.sqlite").exists():
            at = path.relative_to(home)
            names = ("header.json", "recipe.yaml", "scorecard.json", "derived/*.json")
            known = (*names, *_ALWAYS_FILES, *_FILES_BELOW, *_FOLDERS, *_FOLDERS_BELOW)
            return home if any(at.match(each) and len(at.parts) == each.count("/") + 1 for each in known) else None
    return None


def closes_database(path: Path) -> bool:
    """Whether SQLite cannot open the database while something stands in this place."""
    return path.name in (*_BESIDE_DATABASE, "records.sqlite")


def _found(home: Path, patterns: Iterable[str]) -> Iterator[Path]:
    return (path for path in itertools.chain.from_iterable(map(home.glob, patterns)) if path.exists() or is_odd(path))
