"""One SQLite file per run: records as JSON under their work keys. One writer, one transaction per batch."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rushes.errors import StoreError
from rushes.store.files import disk_full

SCHEMA_VERSION: Final = 1
"""Version of the tables below; a file with a higher one was made by a newer Rushes."""

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE records (
    position INTEGER PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (name, key)
);
CREATE TABLE failures (
    position INTEGER PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL, attempt INTEGER NOT NULL, body TEXT NOT NULL,
    UNIQUE (name, key, attempt)
);
CREATE TABLE costs (position INTEGER PRIMARY KEY, stage TEXT NOT NULL, body TEXT NOT NULL);
"""


class Database:
    """The SQLite file of a run."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file, and create it if it does not exist.

        Args:
            path: the file.
            read_only: True to read a run without changing it, also while another process works in it.

        Raises:
            StoreError: not a database, made by a newer version, no permission, disk full.
        """
        self.path = path
        with self.explained():
            self._connection = _connect(path, read_only)
            try:
                self._prepare(read_only)
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self, read_only: bool) -> None:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} was made by a newer version of Rushes",
                expected=f"schema version {SCHEMA_VERSION} or lower",
                got=version,
                next_step="upgrade Rushes: git pull and make setup in its checkout",
            )
        if read_only:
            return
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        if version == 0:
            with self.transaction():
                for statement in _SCHEMA.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Convert SQLite's errors about the file into a `StoreError`; errors in our own statements stay bugs."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            text = str(error)
            if "full" in text:
                raise disk_full(self.path) from error
            if "readonly" in text or "unable to open" in text:
                raise StoreError(
                    f"no permission to use {self.path}",
                    got=text,
                    next_step="name another run folder, or change its permissions",
                ) from error
            if "locked" in text:
                raise StoreError(
                    f"{self.path} is in use by another program", got=text, next_step="close it and run again"
                ) from error
            if "malformed" in text or "not a database" in text or "I/O" in text:
                raise StoreError(
                    f"{self.path} is damaged or the disk fails",
                    got=text,
                    next_step="check the disk; then move this run folder away and run again, or restore a backup",
                ) from error
            raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside are committed together or not at all."""
        with self.explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        """Run one statement."""
        with self.explained():
            self._connection.execute(statement, values)

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement once per row."""
        with self.explained():
            self._connection.executemany(statement, rows)

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.explained():
            return self._connection.execute(statement, values).fetchall()

    def meta(self, name: str) -> str | None:
        """A named text of the run; None if it was never set."""
        found = self.rows("SELECT value FROM meta WHERE name = ?", (name,))
        return str(found[0][0]) if found else None

    def set_meta(self, name: str, value: str) -> None:
        """Set a named text of the run."""
        self.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
        )

    def close(self) -> None:
        """Close the file; the write-ahead log is merged into it."""
        self._connection.close()


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=30.0, isolation_level=None)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        if not read_only or not path.exists():
            raise
        # SQLite cannot use a write-ahead log in a folder without write permission, but it can read the file alone.
        connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?immutable=1", uri=True, isolation_level=None)
    return connection
