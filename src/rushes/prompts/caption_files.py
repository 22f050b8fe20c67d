"""Captions in text files beside the videos: `clip.txt` holds the caption of `clip.mp4`, as many trainers have them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rushes.errors import InputError, command
from rushes.prompts.clip_files import CAPTION_SUFFIX, captioned, inside, problem_of
from rushes.prompts.metadata import METADATA_NAMES, BadEntry, MetadataRow, metadata_files, read_metadata
from rushes.prompts.rows import BadRow
from rushes.store.files import write_atomic
from rushes.store.spreadsheet import NotText, as_utf8

_MAX_BYTES: Final = 64 * 1024
"""Largest caption file that is read."""


def read_captions(folder: Path) -> list[MetadataRow | BadEntry]:
    """Every row of the folder's metadata, or every video that has a caption file, if there is no metadata.

    Raises:
        InputError: no such folder, neither metadata nor captions in it, or metadata that cannot be read.
    """
    return read_metadata(folder) if metadata_files(folder) else list(_rows(Path(os.path.realpath(folder))))


def _rows(home: Path) -> Iterator[MetadataRow | BadEntry]:
    for video, path in captioned(home):
        name = video.relative_to(home).as_posix()
        try:
            name.encode("utf-8")
            text = _caption(home, path)
        except UnicodeEncodeError:
            continue  # listed with the files that no caption could be found for
        except BadRow as error:
            yield BadEntry(name, error.reason, f"{path.name} {error}")
        else:
            yield MetadataRow(path.relative_to(home).as_posix(), name, text, "", ())


def _caption(home: Path, path: Path) -> str:
    """The words of a caption file, with single spaces.

    Raises:
        BadRow: it cannot be used.
    """
    if inside(home, path.relative_to(home).as_posix()) is None:
        raise BadRow("outside_folder", "is a link to a file outside of the folder")
    problem = problem_of(path)
    if problem is not None:
        raise BadRow(problem[0], f"is {problem[1]}")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadRow("caption_too_long", f"has more than {_MAX_BYTES} bytes")
        text = " ".join(as_utf8(path.read_bytes()).decode("utf-8-sig").split())
    except NotText as error:
        raise BadRow("broken_row", str(error)) from None
    except OSError as error:
        raise BadRow("unreadable", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadRow("broken_caption", f"is not UTF-8 at byte {error.start}: save it as UTF-8") from None
    if not text:
        raise BadRow("missing_caption", "holds no words")
    return text


def write_metadata(folder: Path) -> tuple[Path, int]:
    """Write the captions of a folder's caption files into its `metadata.jsonl`; the same clips are read from it.

    Returns:
        The file, and its number of rows.

    Raises:
        InputError: there is metadata already, or no caption that can be used.
        StoreError: the file cannot be written.
    """
    if names := metadata_files(folder):
        raise InputError(
            f"{folder} has {names[0]} already",
            expected=f"a folder with captions in {CAPTION_SUFFIX} files and no metadata",
            next_step=f"nothing is to be done; to write it again, move {names[0]} away first",
        )
    rows = [row for row in read_captions(folder) if isinstance(row, MetadataRow)]
    if not rows:
        raise InputError(
            f"no caption file in {folder} can be used",
            expected=f"a {CAPTION_SUFFIX} file with the caption beside each video",
            next_step=f"see why: {command('data', 'check', folder)}",
        )
    lines = (json.dumps({"file_name": row.file_name, "text": row.text}, ensure_ascii=False) for row in rows)
    path = folder / METADATA_NAMES[0]
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode("utf-8"))
    return path, len(rows)
