"""Saving what can still be read of a damaged SQLite file: every row that matches its sum goes into a new file."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rushes.store.database import COLUMNS, DAMAGE, Database
from rushes.store.files import explained
from rushes.store.sums import row_sum

_MAX_PROBES: Final = 1_000_000
"""Rows between two readable parts that are tried one by one."""


def salvage(path: Path) -> None:
    """Replace a damaged database by one with its readable rows; the old file is kept as `<name>.damaged`.

    Args:
        path: the SQLite file; nobody else has it open.

    Raises:
        StoreError: disk full or read-only.
    """
    temporary = path.with_name(f".{path.name}.salvage.tmp")
    logs = [path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-shm")]
    with explained(path):
        temporary.unlink(missing_ok=True)
        new = Database(temporary)
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=rw", uri=True)) as old:
            for table in COLUMNS:
                rows = {position: row for position, row in _rows(old, table) if row is not None}
                marks = ", ".join("?" * (len(COLUMNS[table]) + 2))
                names = ", ".join(("rowid", *COLUMNS[table], "sum"))
                new.execute_many(
                    f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})",
                    [(position, *row, row_sum(*row)) for position, row in sorted(rows.items())],
                )
        new.close()
        shutil.copyfile(path, path.with_name(f"{path.name}.damaged"))
        for log in logs:  # SQLite would play an old log into the new file
            log.unlink(missing_ok=True)
        temporary.replace(path)


def _rows(old: sqlite3.Connection, table: str) -> Iterator[tuple[int, tuple[Any, ...] | None]]:
    """Readable rows: from the start, from the end, and one by one between these."""
    select = f"SELECT rowid, {', '.join(f'CAST({name} AS BLOB)' for name in COLUMNS[table])}"
    try:
        old.execute(f"SELECT sum FROM {table} LIMIT 1").fetchone()
        select += ", coalesce(sum, '')"
    except sqlite3.OperationalError:  # an older version's table
        select += ", NULL"
    except DAMAGE:
        select += ", coalesce(sum, '')"
    ends: list[int] = []
    for order in ("ASC", "DESC"):
        last = 0
        try:
            for row in old.execute(f"{select} FROM {table} ORDER BY rowid {order}"):
                last = int(row[0])
                yield last, _checked(table, row[1:])
        except DAMAGE:
            ends.append(last)
            continue
        return
    for position in range(ends[0] + 1, min(ends[1], ends[0] + _MAX_PROBES)):
        with contextlib.suppress(*DAMAGE):
            for row in old.execute(f"{select} FROM {table} WHERE rowid = ?", (position,)):
                yield position, _checked(table, row[1:])


def _checked(table: str, row: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The columns as text, if they match their sum, or, without one, if the body is JSON."""
    *columns, stored = row
    try:
        if stored is None:
            json.loads(columns[-1]) if table != "meta" else None
        elif stored != row_sum(*columns):
            return None
        return tuple(bytes(each).decode() for each in columns)
    except (ValueError, TypeError):
        return None
