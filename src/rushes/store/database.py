"""One SQLite file per run: records as JSON under their work keys. One writer, one transaction per batch."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rushes.errors import DatabaseCorrupt, RecordCorrupt, StoreError
from rushes.store.files import disk_full, no_locks
from rushes.store.sums import row_sum

SCHEMA_VERSION: Final = 2
"""Version of the tables below; a file with a higher one was made by a newer Rushes, which has other tables. Version 1
had no sums."""

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

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "meta": ("name", "value"),
    "records": ("name", "key", "body"),
    "failures": ("name", "key", "attempt", "body"),
    "costs": ("stage", "body"),
}
"""Tables, and the columns that the sum of a row covers."""
DAMAGE: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What SQLite raises for a damaged file; the latter where its message would quote bytes that are no text."""


def _sum_of(table: str) -> str:
    """The SQL expression for the sum of a stored row; damaged text may be no text in UTF-8, so it gets bytes."""
    return f"row_sum({', '.join(f'CAST({name} AS BLOB)' for name in COLUMNS[table])})"


@dataclass(frozen=True)
class DamagedRow:
    """A row that does not match its sum."""

    table: str
    """One of `COLUMNS`."""
    position: int
    """Its number in the table."""
    label: str
    """What it is, for people: "clips/2d2d..."."""


class Database:
    """The SQLite file of a run."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file, and create it if it does not exist.

        Args:
            path: the file.
            read_only: True to read a run without changing it, also while another process works in it.

        Raises:
            DatabaseCorrupt: not a database, or not one with these tables.
            StoreError: made by a newer version, no permission, disk full.
        """
        self.path = path
        if path.is_dir():
            raise DatabaseCorrupt(path, "a folder is in its place")
        with self.explained():
            self._connection = _connect(path, read_only)
            self._connection.create_function("row_sum", -1, row_sum, deterministic=True)
            try:
                self._prepare(read_only)
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self, read_only: bool) -> None:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if (version == SCHEMA_VERSION) != self._has_these_tables():
            found = "tables or columns are missing" if version == SCHEMA_VERSION else f"its schema version is {version}"
            raise DatabaseCorrupt(self.path, found)
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} was made by a newer version of Rushes",
                expected=f"schema version {SCHEMA_VERSION} or lower",
                got=version,
                next_step="upgrade Rushes: git pull and make setup in its checkout",
            )
        is_new = version == 0 and not self._connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        if version < 1 and not is_new:
            raise DatabaseCorrupt(self.path, f"its schema version is {version}")
        if read_only:
            if version == 1:  # an older run is read as it is: these tables stand in front of its own
                for name in COLUMNS:
                    view = f"SELECT *, {_sum_of(name)} AS sum FROM main.{name}"
                    self._connection.execute(f"CREATE TEMP VIEW {name} AS {view}")
            return
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        if version < SCHEMA_VERSION:
            with self.transaction():
                if is_new:
                    _make_tables(self._connection)
                else:
                    for name in COLUMNS:
                        self._connection.execute(f"ALTER TABLE {name} ADD COLUMN sum TEXT")
                        self._connection.execute(f"UPDATE {name} SET sum = {_sum_of(name)}")
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _has_these_tables(self) -> bool:
        found = {name: self._connection.execute(f"PRAGMA table_info({name})").fetchall() for name in COLUMNS}
        return all(
            [*columns, "sum"] == [row[1] for row in found[name] if row[1] != "position"]
            for name, columns in COLUMNS.items()
        )

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Convert SQLite's errors about the file into a `StoreError`; errors in our own statements stay bugs."""
        try:
            yield
        except UnicodeDecodeError as error:
            raise DatabaseCorrupt(self.path, "its tables have names that are no text") from error
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
            if "locking protocol" in text:
                raise no_locks(self.path) from error
            if self._is_damaged(text):
                raise DatabaseCorrupt(self.path, text) from error
            raise

    def _is_damaged(self, text: str) -> bool:
        """Whether the file, rather than a statement of ours, is the cause of an error."""
        if any(sign in text for sign in ("malformed", "not a database", "I/O", "decode", "raised exception")):
            return True
        try:
            for name, columns in COLUMNS.items():
                self._connection.execute(f"SELECT {', '.join(columns)}, sum FROM {name} LIMIT 1").fetchone()
            return bool(self._connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
        except (*DAMAGE, AttributeError):  # the connection could not even be opened
            return True

    def check_whole(self) -> None:
        """Check the structure of the file, and how its tables are declared. Reads everything.

        Raises:
            DatabaseCorrupt: it is damaged.
        """
        ((found,),) = self.rows("PRAGMA integrity_check(1)")
        if found != "ok":
            raise DatabaseCorrupt(self.path, str(found))
        ((version,),) = self.rows("PRAGMA user_version")
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
            _make_tables(new)
            with self.explained():
                if version == SCHEMA_VERSION and _declared(self._connection) != _declared(new):
                    raise DatabaseCorrupt(self.path, "its tables are declared in another way")

    def damaged_rows(self) -> list[DamagedRow]:
        """Rows that do not match their sums. Reads everything.

        Raises:
            StoreError: the file is damaged as a whole.
        """
        found: list[DamagedRow] = []
        for table in COLUMNS:
            label = ", ".join(f"CAST({each} AS BLOB)" for each in COLUMNS[table][:2] if each not in ("value", "body"))
            wrong = f"sum IS NOT {_sum_of(table)}"
            for position, *parts in self.rows(f"SELECT rowid, {label} FROM {table} WHERE {wrong}"):
                text = "/".join(bytes(part or b"").decode(errors="backslashreplace") for part in parts)
                found.append(DamagedRow(table, int(position), text if table == "records" else f"{table}/{text}"))
        return found

    def drop_rows(self, rows: Sequence[DamagedRow]) -> None:
        """Delete rows; what they said is then unknown, or computed again."""
        with self.transaction():
            for row in rows:
                self.execute(f"DELETE FROM {row.table} WHERE rowid = ?", (row.position,))

    def insert(self, table: str, rows: Sequence[Sequence[str | int]], on_conflict: str) -> None:
        """Add rows with their sums.

        Args:
            table: one of `COLUMNS`.
            rows: values of its columns, in their order.
            on_conflict: what becomes of a row that is there: "NOTHING", or "UPDATE SET ...".
        """
        names = ", ".join((*COLUMNS[table], "sum"))
        marks = ", ".join("?" * (len(COLUMNS[table]) + 1))
        summed = [(*row, row_sum(*row)) for row in rows]
        self.execute_many(f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO {on_conflict}", summed)

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

    def each(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query one after the other: however many there are, memory holds one.

        Nothing may be written before the last one is read.
        """
        with self.explained():
            yield from self._connection.execute(statement, values)

    def counts(self) -> dict[str, int]:
        """How many records each table has, by its name; tables without records are left out."""
        return dict(self.rows("SELECT name, count(*) FROM records GROUP BY name ORDER BY name"))

    def num_before(self, name: str, key: str) -> int:
        """How many records were stored before this one and are still there; by the index alone, the texts stay unread.

        A deleted record's place in the order is not given to a later one while one that was stored after it is there.
        """
        statement = (
            "SELECT count(*) FROM records INDEXED BY sqlite_autoindex_records_1 WHERE name > '' AND position < "
            "(SELECT position FROM records WHERE name = ? AND key = ?)"
        )
        return int(self.rows(statement, (name, key))[0][0])

    def meta(self, name: str) -> str | None:
        """A named text of the run; None if it was never set."""
        found = self.rows(f"SELECT value, sum IS NOT {_sum_of('meta')} FROM meta WHERE name = ?", (name,))
        if found and found[0][1]:
            raise RecordCorrupt(self.path.parent, "meta", name)
        return str(found[0][0]) if found else None

    def set_meta(self, name: str, value: str) -> None:
        """Set a named text of the run."""
        self.insert("meta", [(name, value)], "UPDATE SET value = excluded.value, sum = excluded.sum")

    def close(self) -> None:
        """Close the file; the write-ahead log is merged into it."""
        self._connection.close()


def _make_tables(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    for name in COLUMNS:
        connection.execute(f"ALTER TABLE {name} ADD COLUMN sum TEXT")


def _declared(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """The columns of all tables with their types, and what is unique: a wrong type would change what is stored."""
    return [
        row
        for name in COLUMNS
        for pragma in (f"table_info({name})", f"index_list({name})", f"index_info(sqlite_autoindex_{name}_1)")
        for row in connection.execute(f"PRAGMA {pragma}")
    ]


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
