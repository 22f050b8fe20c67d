"""The table of a folder of videos: `metadata.jsonl` or `metadata.csv`, in the common dialects.

Nothing here opens a video. Every row is returned: usable, or as a `BadEntry` with its problem.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rushes.errors import InputError
from rushes.prompts.clip_files import CAPTION_SUFFIX, captioned
from rushes.prompts.rows import BadRow, parse_line, questions_of, text_of
from rushes.prompts.stated import COLUMNS, BadValue, stated_of
from rushes.records import UNSTATED, Question, Stated
from rushes.store.files import read_file
from rushes.store.spreadsheet import NotText, as_utf8, read_spreadsheet

FILE_COLUMNS: Final = ("file_name", "video", "video_path", "file_path", "path")
"""Columns that may hold the file's name, in order of preference."""
TEXT_COLUMNS: Final = ("text", "caption", "prompt", "cap")
"""Columns that may hold the caption, in order of preference."""
REAL: Final = "Real"
"""Dimension of a real clip whose row has none."""
METADATA_NAMES: Final = ("metadata.jsonl", "metadata.csv")
_EXAMPLE: Final = '{"file_name": "clip_0001.mp4", "text": "a red circle moves to the left"}'


@dataclass(frozen=True)
class MetadataRow:
    """A row that names a file and its caption."""

    where: str
    """Its place: "metadata.jsonl line 3"."""
    file_name: str
    """As written; not checked."""
    text: str
    """The caption, as written; not blank."""
    dimension: str
    """Quality dimension; empty when the row has none."""
    questions: tuple[Question, ...]
    """Questions; empty when the row has none."""
    stated: Stated | BadValue = UNSTATED
    """Its score, weight and preferences, with files by name as written; or why they cannot be used."""


@dataclass(frozen=True)
class BadEntry:
    """A row that cannot be used."""

    name: str
    """The file that it names, or its place if it names none."""
    reason: str
    """Short tag."""
    detail: str
    """What is wrong, in words."""


def read_metadata(folder: Path) -> list[MetadataRow | BadEntry]:
    """Every row of the folder's metadata, in order. If both files exist, the `.jsonl` is read and the other reported.

    Names of columns count in any case. A CSV has commas, semicolons, tabs or bars between its cells.

    Raises:
        InputError: no such folder, no metadata file, one that cannot be read, or a CSV without the columns needed.
    """
    names = metadata_files(folder)
    name = names[0]
    try:
        data = read_file(folder / name)
    except OSError as error:
        raise InputError(f"cannot read {folder / name}", got=error.strerror, next_step="check that file") from error
    try:
        data = as_utf8(data)
    except NotText as error:
        raise InputError(f"{folder / name} {error}", next_step="save it as UTF-8") from None
    entries = list(_jsonl(name, data) if name.endswith(".jsonl") else _csv(name, data, folder))
    unread = [BadEntry(other, "unused_metadata", f"{name} is read instead") for other in names[1:]]
    return [*entries, *unread]


def metadata_files(folder: Path) -> list[str]:
    """Names of the folder's metadata files; the first is the one that is read. None if caption files take its place.

    Raises:
        InputError: no such folder, or neither a metadata file nor a caption file.
    """
    try:
        there = set(os.listdir(folder))
    except OSError as error:
        raise InputError(
            f"there is no folder of videos at {folder}",
            expected=f"a folder with videos and {' or '.join(METADATA_NAMES)}, or captions in {CAPTION_SUFFIX} files",
            got=error.strerror,
            next_step="create it with metadata.jsonl in it, or correct prompts.real.folder",
        ) from error
    names: list[str] = [name for name in METADATA_NAMES if name in there]
    if not names and next(captioned(folder), None) is None:
        raise InputError(
            f"{folder} holds no metadata file",
            expected=f"{' or '.join(METADATA_NAMES)}, or a {CAPTION_SUFFIX} file with its caption beside each video",
            got=sorted(name for name in there if not name.startswith("."))[:5],
            next_step=f"write metadata.jsonl into it, one line per video, like {_EXAMPLE}",
        )
    return names


def stated_columns(folder: Path) -> list[str]:
    """The columns that say how videos are to be trained on and are filled in in some row.

    Raises:
        InputError: see `read_metadata`; a folder with caption files alone has none.
    """
    if not metadata_files(folder):
        return []
    said = [row.stated for row in read_metadata(folder) if isinstance(row, MetadataRow)]
    stated = [each for each in said if isinstance(each, Stated)]
    bad = {each.column for each in said if isinstance(each, BadValue)}
    return [name for name in COLUMNS if name in bad or any(getattr(each, name) not in (None, ()) for each in stated)]


def _jsonl(name: str, data: bytes) -> Iterator[MetadataRow | BadEntry]:
    # Only the line feed ends a line: captions and file names may hold any other character.
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            where = f"{name} line {number}"
            try:
                row = parse_line(line)
            except BadRow as error:
                yield BadEntry(where, error.reason, str(error))
            else:
                yield _entry(row, where)


def _csv(name: str, data: bytes, folder: Path) -> Iterator[MetadataRow | BadEntry]:
    table = read_spreadsheet(data, lambda names: any(each in names for each in FILE_COLUMNS) and _has_text(names))
    if table.rows is None:
        raise InputError(
            f"{folder / name} lacks a column",
            expected=f"one of {', '.join(FILE_COLUMNS)} and one of {', '.join(TEXT_COLUMNS)} in its first line",
            got=list(table.columns[:10]),
            next_step="write the names of the columns into its first line: file_name,text",
        )
    for row in table.rows:
        where = f"{name} line {row.line}"
        yield BadEntry(where, "broken_row", row.problem) if row.problem else _entry(row.cells, where)


def _has_text(names: Collection[str]) -> bool:
    return any(each in names for each in TEXT_COLUMNS)


def _entry(row: Mapping[str, Any], where: str) -> MetadataRow | BadEntry:
    name = where
    try:
        name = file_name = text_of(row, FILE_COLUMNS, "missing_file_name")
        text = text_of(row, TEXT_COLUMNS, "missing_caption")
        dimension = text_of(row, ("dimension",), "broken_row") if row.get("dimension") is not None else ""
        questions = questions_of(row.get("questions"), dimension.strip() or REAL)
    except BadRow as error:
        return BadEntry(name, error.reason, f"{where}: {error}")
    return MetadataRow(where, file_name, text, dimension.strip(), questions, stated_of(row))
