"""Everything of a finished run that must be the same however often it was interrupted, read without the store's help
where that is possible."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

TIMES: Final = frozenset({"seconds"})
"""Fields of records that hold wall-clock times."""


def contents(home: Path) -> dict[str, str]:
    """By name: a hash of each record without its times, of each derived file, of the scorecard and of each blob.

    A blob whose content does not have the hash in its name is under a name of its own, so that no good run equals one
    with it.
    """
    found = dict(_records(home))
    for path in sorted([home / "scorecard.json", *(home / "derived").glob("*.json")]):
        if path.is_file():
            found[path.relative_to(home).as_posix()] = _hash(path.read_bytes())
    for path in sorted((home / "blobs").glob("??/*")):
        actual = _hash(path.read_bytes())
        is_good = path.name.split(".")[0] == actual
        found[f"blobs/{path.name}" if is_good else f"blobs/{path.name} damaged"] = actual
    return found


def _records(home: Path) -> list[tuple[str, str]]:
    try:
        try:
            rows = _rows(home, "ro")
        except sqlite3.OperationalError:  # SQLite first removes a foreign journal beside it, which takes writing
            rows = _rows(home, "rw")
    except sqlite3.Error as error:
        return [("records unreadable", str(error))]
    # Numbered, so that a record which is there twice is not the same as once.
    seen = Counter[tuple[bytes, bytes]]()
    found = []
    for name, key, body in rows:
        seen[name, key] += 1
        found.append((f"{name!r} {key!r} {seen[name, key]}", _of_body(body)))
    return found


def _rows(home: Path, mode: str) -> list[tuple[bytes, bytes, bytes]]:
    with closing(sqlite3.connect(f"file:{home / 'records.sqlite'}?mode={mode}", uri=True)) as database:
        database.text_factory = bytes
        return database.execute("SELECT name, key, body FROM records").fetchall()


def _of_body(body: bytes) -> str:
    try:
        return _hash(json.dumps(_timeless(json.loads(body)), sort_keys=True))
    except ValueError:
        return "not a record"


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in value.items() if name not in TIMES}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def _hash(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def difference(expected: dict[str, str], got: dict[str, str]) -> str:
    """In words; empty if both are equal."""
    missing, extra = expected.keys() - got.keys(), got.keys() - expected.keys()
    changed = sorted(name for name in expected.keys() & got.keys() if expected[name] != got[name])
    parts = {"missing": sorted(missing), "extra": sorted(extra), "changed": changed}
    return "; ".join(
        f"{len(names)} {what} ({', '.join(n[:60] for n in names[:3])})" for what, names in parts.items() if names
    )
