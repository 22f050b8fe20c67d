"""Tables as spreadsheets write them: CSV with commas, semicolons, tabs or bars, in UTF-8 or UTF-16.

Every row comes back: with its cells, or with what is wrong with it.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_DELIMITERS: Final = (",", ";", "\t", "|")
_AGAIN: Final = "\0again:"
"""Before the name of a column that another one has already."""


class NotText(ValueError):
    """Bytes that are no text; the message says why, after the name of the file."""


@dataclass(frozen=True)
class TableRow:
    """A row of a table."""

    line: int
    """The line of the file that it begins on, from 1."""
    cells: Mapping[str, str] = field(default_factory=dict[str, str])
    """Its cells that are not empty, by the name of their column."""
    problem: str = ""
    """Why it cannot be read, in words; empty if it can."""


@dataclass(frozen=True)
class Spreadsheet:
    """A table with its columns."""

    columns: tuple[str, ...]
    """Names in its first line, in lower case where no two become the same; those of the wrong mark if none fits."""
    rows: Iterator[TableRow] | None
    """Its rows, in order; None if it lacks columns, whatever mark is taken for the one between cells."""


def as_utf8(data: bytes) -> bytes:
    """A text file as UTF-8: spreadsheets also write UTF-16, with or without a mark. Other bytes stay as they are.

    Raises:
        NotText: it begins like UTF-16 or UTF-32 and is not.
    """
    marks = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
    marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    encoding = next((name for mark, name in marks.items() if data.startswith(mark)), None)
    if encoding is None and 0 in data[:2]:
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        return data if encoding is None else data.decode(encoding).encode("utf-8")
    except UnicodeError:
        raise NotText(f"begins like {encoding} and is not: save it as UTF-8") from None


def plain_names(names: Sequence[str]) -> list[str]:
    """Names of columns in lower case without spaces around them, the first of those that become the same.

    A name that is written exactly so comes before all others; the rest keep their own spelling.
    """
    taken = set(names)
    plain = list(names)
    for i, name in enumerate(names):
        folded = name.strip().lower()
        if folded not in taken:
            plain[i] = folded
            taken.add(folded)
    return plain


def read_spreadsheet(data: bytes, fits: Callable[[Collection[str]], bool]) -> Spreadsheet:
    """A CSV file; the mark between its cells is the first with which its columns fit.

    Bytes that are not UTF-8 are surrogates in the cells, so that they are refused with their row.

    Args:
        data: as `as_utf8` returns it.
        fits: whether a table has the columns that it needs.
    """
    text = data.decode("utf-8-sig", "surrogateescape")
    readers = [_reader(text, delimiter) for delimiter in _DELIMITERS]
    columns = [_columns(reader) for reader in readers]
    reader = next((reader for reader, names in zip(readers, columns, strict=True) if fits(names)), None)
    if reader is None:
        most = max(range(len(columns)), key=lambda i: len(columns[i]))
        return Spreadsheet(tuple(columns[most]), None)
    return Spreadsheet(tuple(name for name in reader.fieldnames or () if not name.startswith(_AGAIN)), _rows(reader))


def _rows(reader: csv.DictReader[str]) -> Iterator[TableRow]:
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield TableRow(line, problem=f"not valid CSV: {error}")
            continue
        if None in row:
            yield TableRow(line, problem="it has more cells than there are columns")
        elif twice := _contradicted(row):
            yield TableRow(line, problem=f"there are several columns {twice!r}, and they differ in it")
        else:
            yield TableRow(line, {name: cell for name, cell in row.items() if cell and not name.startswith(_AGAIN)})


def _contradicted(row: Mapping[str, str]) -> str | None:
    """The name of a column that is there more than once, with other cells; None if there is none."""
    names = {name: name[name.rindex(_AGAIN) + len(_AGAIN) :] for name in row if name.startswith(_AGAIN)}
    return next((name for again, name in names.items() if row[again] != row[name]), None)


def _reader(text: str, delimiter: str) -> csv.DictReader[str]:
    """A reader of a table; where its header has a space after each mark, so have its cells."""
    is_spaced = f"{delimiter} " in text.partition("\n")[0]
    stream = io.StringIO(text, newline="")
    return csv.DictReader(stream, delimiter=delimiter, skipinitialspace=is_spaced, strict=True)


def _columns(reader: csv.DictReader[str]) -> list[str]:
    """The names in a table's first line, which the reader's rows have from now on; none if it cannot be read."""
    try:
        names = plain_names([column or "" for column in reader.fieldnames or ()])
    except csv.Error:
        return []
    # A reader of rows as mappings would keep the last of several columns of one name, and nobody would be told.
    reader.fieldnames = [_AGAIN * names[:i].count(name) + name if name else name for i, name in enumerate(names)]
    return names
