"""Harm to the database of a run: what failing disks, torn writes, bad copies and careless tools leave behind.

Each harm is one way in which the file, its log or its rows can be wrong, at a place that is drawn.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PAGE_SIZE: Final = slice(16, 18)
_INDEX_LEAF: Final = 10
"""The first byte of a page with entries of an index."""
_TABLES: Final = ("meta", "records", "failures", "costs")
_CREATE: Final = (b"CREATE TABLE records", b"CREATE TABLE meta", b"CREATE TABLE costs")

Change = Callable[[Path, random.Random], None]
"""Harms a database file; nobody has it open."""


@dataclass(frozen=True)
class Harm:
    """One way in which a database is damaged."""

    name: str
    do: Change
    in_training: bool = False
    """In a run that was stopped while it trained: its last rows are still in the log beside the file."""
    must_show: bool = True
    """A check must find it. Without this it can hit bytes that hold nothing, and must only change no result."""


# ---------------------------------------------------------------------------------------------- bytes of the file


def _bytes(change: Callable[[bytearray, random.Random], bytes | None], ending: str = "") -> Change:
    """A change of the file's bytes, or of the file with that ending beside it; in place if it returns nothing."""

    def do(path: Path, rng: random.Random) -> None:
        file = path.with_name(path.name + ending)
        data = bytearray(file.read_bytes())
        changed = change(data, rng)
        file.write_bytes(data if changed is None else changed)

    return do


def _other(data: bytearray, at: int, rng: random.Random) -> None:
    data[at] ^= rng.randrange(1, 256)


def _one_of(first: int, end: int) -> Change:
    """Another value in one of these bytes."""
    return _bytes(lambda data, rng: _other(data, rng.randrange(first, end), rng))


def _size(data: bytes) -> int:
    return int.from_bytes(data[_PAGE_SIZE], "big")


def _page(data: bytes, rng: random.Random, *, fits: Callable[[bytes], bool] = bool) -> int:
    """Where a page begins that is not the first one; one that fits, by its bytes."""
    size = _size(data)
    return rng.choice([at for at in range(size, len(data), size) if fits(data[at : at + size])])


def _has_entries(page: bytes) -> bool:
    """Whether it is a page of an index that has entries."""
    return page[0] == _INDEX_LEAF and any(page[3:5])


def _noise(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 16, 64, 4096))):
        _other(data, rng.randrange(len(data)), rng)


def _noise_in_a_page(data: bytearray, rng: random.Random) -> None:
    at = _page(data, rng)
    data[at : at + _size(data)] = rng.randbytes(_size(data))


def _zeroed_page(data: bytearray, rng: random.Random) -> None:
    at = _page(data, rng)
    data[at : at + _size(data)] = bytes(_size(data))


def _page_elsewhere(data: bytearray, rng: random.Random) -> None:
    """A page that was written over another one."""
    source, target = _page(data, rng), _page(data, rng)
    data[target : target + _size(data)] = data[source : source + _size(data)]


def _half_page(data: bytearray, rng: random.Random) -> None:
    """A page of which the second half was never written."""
    half = _size(data) // 2
    at = _page(data, rng, fits=lambda page: any(page[half:]))
    data[at + half : at + 2 * half] = bytes(half)


def _entry_lost(data: bytearray, rng: random.Random) -> None:
    """An index that has lost an entry."""
    at = _page(data, rng, fits=_has_entries)
    num = int.from_bytes(data[at + 3 : at + 5], "big")
    data[at + 3 : at + 5] = (num - 1).to_bytes(2, "big")


def _entry_noise(data: bytearray, rng: random.Random) -> None:
    at = _page(data, rng, fits=_has_entries)
    for _ in range(8):
        _other(data, rng.randrange(at + _size(data) // 2, at + _size(data)), rng)


def _free_pages(data: bytearray, rng: random.Random) -> None:
    """A list of free pages that leads to pages in use."""
    data[32:36] = (_page(data, rng) // _size(data) + 1).to_bytes(4, "big")
    data[36:40] = rng.randrange(1, 99).to_bytes(4, "big")


def _schema(data: bytearray, rng: random.Random) -> None:
    """A letter of the tables' definitions."""
    name = rng.choice([each for each in _CREATE if each in data])
    data[data.index(name) + rng.randrange(len(name))] ^= 1 << rng.randrange(7)


def _cut_at_a_page(data: bytearray, rng: random.Random) -> bytes:
    return bytes(data[: _page(data, rng)])


def _cut_anywhere(data: bytearray, rng: random.Random) -> bytes:
    return bytes(data[: rng.randrange(1, len(data))])


def _gone(path: Path, _: random.Random) -> None:
    path.unlink()


def _folder(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _beside(ending: str) -> Change:
    """Noise in a file that SQLite would play into the database if it were one of its own."""

    def do(path: Path, rng: random.Random) -> None:
        path.with_name(f"{path.name}{ending}").write_bytes(rng.randbytes(9000))

    return do


def _no_log(path: Path, _: random.Random) -> None:
    path.with_name(f"{path.name}-wal").unlink()


# ---------------------------------------------------------------------------------------------- rows


def _rows(statement: str, table: str = "records", where: str = "1") -> Change:
    """A statement on a drawn row of a table; `:row` is that one and `:other` another."""

    def do(path: Path, rng: random.Random) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            found = [row for (row,) in database.execute(f"SELECT rowid FROM {table} WHERE {where}")]
            row, other = rng.sample(found, 2) if len(found) > 1 else (found[0], found[0])
            names = {"row": row, "other": other, "hex": f"{rng.randrange(16**8):08x}", "at": rng.randrange(20, 60)}
            database.execute(statement, {name: value for name, value in names.items() if f":{name}" in statement})

    return do


def _set(column: str, value: str, table: str = "records", where: str = "1") -> Change:
    return _rows(f"UPDATE {table} SET {column} = {value} WHERE rowid = :row", table, where)


def _swap(columns: str) -> Change:
    """Two rows with each other's columns."""
    chosen = ", ".join(
        f"(SELECT {name} FROM records AS r WHERE r.rowid = :other + :row - records.rowid)"
        for name in columns.split(", ")
    )
    return _rows(f"UPDATE records SET ({columns}) = ({chosen}) WHERE rowid IN (:row, :other)")


def _table(statement: str, tables: tuple[str, ...] = _TABLES) -> Change:
    """A statement on a drawn table."""

    def do(path: Path, rng: random.Random) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(statement.format(rng.choice(tables)))

    return do


_LETTER: Final = "substr(body, 1, :at) || char(unicode(substr(body, :at + 1, 1)) + 1) || substr(body, :at + 2)"
_DIGIT: Final = """replace(body, '"p_yes":0.', '"p_yes":0.1')"""

HARMS: Final = (
    Harm("the file's first bytes", _one_of(0, 16)),
    Harm("the size of its pages", _one_of(16, 18)),
    Harm("other bytes of its header", _one_of(18, 100), must_show=False),
    Harm("the encoding of its texts", _one_of(59, 60), must_show=False),
    Harm("its version", _one_of(60, 64)),
    Harm("noise anywhere", _bytes(_noise), must_show=False),
    Harm("a page of noise", _bytes(_noise_in_a_page), must_show=False),
    Harm("a page of zeros", _bytes(_zeroed_page), must_show=False),
    Harm("half a page", _bytes(_half_page), must_show=False),
    Harm("a page written over another", _bytes(_page_elsewhere), must_show=False),
    Harm("cut at a page", _bytes(_cut_at_a_page)),
    Harm("cut anywhere", _bytes(_cut_anywhere)),
    Harm("empty", _bytes(lambda data, rng: b"")),
    Harm("longer", _bytes(lambda data, rng: bytes(data) + rng.randbytes(9)), must_show=False),
    Harm("another file in its place", _bytes(lambda data, rng: rng.randbytes(len(data)))),
    Harm("no file", _gone),
    Harm("a folder in its place", _folder),
    Harm("an index without an entry", _bytes(_entry_lost)),
    Harm("noise in an index", _bytes(_entry_noise), must_show=False),
    Harm("its list of free pages", _bytes(_free_pages)),
    Harm("the definition of a table", _bytes(_schema)),
    Harm("a table dropped", _table("DROP TABLE {}")),
    Harm("a table emptied", _table("DELETE FROM {}", ("records",))),
    Harm("a column dropped", _table("ALTER TABLE {} DROP COLUMN sum")),
    Harm("a column under another name", _table("ALTER TABLE {} RENAME COLUMN body TO text", _TABLES[1:])),
    Harm("a digit of an answer", _set("body", _DIGIT, where="""body LIKE '%"p_yes":0.%'""")),
    Harm("a letter of a record", _set("body", _LETTER)),
    Harm("a record that is no text", _set("body", "CAST(CAST(body AS BLOB) || X'fffe' AS TEXT)")),
    Harm("a number in the place of a record", _set("body", "7")),
    Harm("an empty record", _set("body", "''")),
    Harm("half a record", _set("body", "substr(body, 1, length(body) / 2)")),
    Harm("a record's key", _set("key", ":hex || substr(key, 9)")),
    Harm("a record's table", _set("name", "CASE name WHEN 'clips' THEN 'answers' ELSE 'clips' END")),
    Harm("another sum", _set("sum", ":hex")),
    Harm("no sum", _set("sum", "NULL")),
    Harm("a letter of a record, and no sum", _set("(body, sum)", f"({_LETTER}, NULL)")),
    Harm("two records swapped", _swap("body")),
    Harm("two records swapped with their sums", _swap("body, sum")),
    Harm("a deleted record", _rows("DELETE FROM records WHERE rowid = :row")),
    Harm("the last records deleted", _rows("DELETE FROM records WHERE rowid >= :row")),
    Harm(
        "a stage's records deleted",
        _rows("DELETE FROM records WHERE name = (SELECT name FROM records WHERE rowid = :row)"),
    ),
    Harm("an entry of the ledger", _set("body", "replace(body, ':', ':1')", "costs")),
    Harm("a sum of the ledger", _set("sum", "NULL", "costs")),
    Harm("a named text", _set("value", "value || '1'", "meta")),
    Harm("a log of noise beside it", _beside("-wal"), must_show=False),
    Harm("a journal of noise beside it", _beside("-journal"), must_show=False),
    Harm("its log cut off", _bytes(_cut_anywhere, "-wal"), in_training=True, must_show=False),
    Harm("its log with other bytes", _bytes(_noise, "-wal"), in_training=True, must_show=False),
    Harm("no log", _no_log, in_training=True, must_show=False),
    Harm("noise in the index of its log", _bytes(_noise, "-shm"), in_training=True, must_show=False),
)
"""Every harm, in the order in which they are tried."""
