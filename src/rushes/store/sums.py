"""Checksums of what a run keeps besides its blobs: single files, rows of the database, files of tensors.

A file `focus.json` has its sha256 beside it in `.focus.json.sha256`, in the format of `sha256sum`. The sums are written
first, the new one and the old one, so that a kill between the two writes leaves a file that matches.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rushes.errors import FileCorrupt
from rushes.store.files import explained, read_pieces, sha256_of_file, write_atomic

_SEAL: Final = "crc32"
_BLANK: Final = "0" * 8
_MAX_HEADER: Final = 100 * 2**20
"""Largest header that safetensors itself accepts, bytes."""


def sum_path(path: Path) -> Path:
    """Where the sums of a file are."""
    return path.with_name(f".{path.name}.sha256")


def write_summed(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file atomically, with its sum beside it.

    Args:
        path: the file; its folder exists.
        data: the bytes, or pieces of them: a large file is never in memory.

    Raises:
        StoreError: disk full or read-only; the old file is still there, and still matches.
    """
    digest = hashlib.sha256()

    def counted() -> Iterator[bytes]:
        for piece in (data,) if isinstance(data, bytes) else data:
            digest.update(piece)
            yield piece

    def write_sums() -> None:
        sums = [digest.hexdigest()]
        if path.is_file() and is_intact(path):
            sums.append(sha256_of_file(path))
        write_atomic(sum_path(path), "".join(f"{each}  {path.name}\n" for each in sums).encode())

    write_atomic(path, counted(), before=write_sums)


def is_intact(path: Path) -> bool | None:
    """Whether a file that exists matches its sum; None if it has none (written by an older version).

    Raises:
        StoreError: it cannot be read.
    """
    with explained(path):
        try:
            lines = sum_path(path).read_bytes().splitlines()
        except FileNotFoundError:
            return None
        except IsADirectoryError:
            return False
        return sha256_of_file(path).encode() in [line[:64] for line in lines]


def read_summed(path: Path, home: Path) -> bytes:
    """The bytes of a file that exists, compared with its sum where it has one.

    Raises:
        FileCorrupt: they are not what was written.
        StoreError: it cannot be read.
    """
    check_summed(path, home)
    with explained(path):
        return path.read_bytes()


def check_summed(path: Path, home: Path) -> None:
    """Compare a file that exists with its sum where it has one.

    Raises:
        FileCorrupt: it is not what was written.
        StoreError: it cannot be read.
    """
    if path.is_dir() or is_intact(path) is False:
        raise FileCorrupt(home, path, "a folder" if path.is_dir() else "altered")


# ---------------------------------------------------------------------------------------------- small JSON files


def closed(value: Mapping[str, object]) -> bytes:
    """JSON of a small file that many processes may write (a cache), with a checksum in it."""
    return json.dumps({**value, _SEAL: _crc_of(value)}, allow_nan=False).encode()


def opened(data: bytes, names: Collection[str]) -> dict[str, Any] | None:
    """The value of `closed`, or of an older version's file, which has no checksum.

    Args:
        data: the file.
        names: its names; with any other it is damaged.

    Returns:
        The value; None if it is not what was written.
    """
    try:
        value = json.loads(data)
        found = value.pop(_SEAL, None)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return value if found in (None, _crc_of(value)) and value.keys() == set(names) else None


def _crc_of(value: Mapping[str, object]) -> str:
    return f"{zlib.crc32(json.dumps(value, sort_keys=True).encode()):08x}"


# ---------------------------------------------------------------------------------------------- rows


def row_sum(*columns: str | bytes | int) -> str:
    """Checksum of a row's columns: 8 hex digits. It finds damage, not forgery, and costs about a microsecond."""
    parts = (each if isinstance(each, bytes) else str(each).encode() for each in columns)
    return f"{zlib.crc32(bytes(1).join(parts)):08x}"


# ---------------------------------------------------------------------------------------------- safetensors


def sealed(data: bytes) -> Iterator[memoryview | bytes]:
    """A safetensors file with a checksum over all of it in its header, in pieces.

    Args:
        data: a whole file, whose metadata has `UNSEALED`.
    """
    at = data.index(_mark(_BLANK)) + len(_mark("")) - 1
    whole = memoryview(data)
    yield from (whole[:at], f"{zlib.crc32(data):08x}".encode(), whole[at + len(_BLANK) :])


UNSEALED: Final = {_SEAL: _BLANK}
"""Metadata that `sealed` fills in."""


def _mark(value: str) -> bytes:
    return f'"{_SEAL}":"{value}"'.encode()


def is_sealed(path: Path) -> bool | None:
    """Whether a safetensors file matches the checksum in its header; None if it has none (an older version's file).

    Raises:
        StoreError: it cannot be read.
    """
    with explained(path):
        pieces = read_pieces(path)
        first = next(pieces, b"")
        num = struct.unpack("<Q", first[:8])[0] if len(first) >= 8 else _MAX_HEADER
        while len(first) < 8 + num < _MAX_HEADER and (piece := next(pieces, b"")):
            first += piece
        try:
            metadata = json.loads(first[8 : 8 + num])["__metadata__"]
        except (ValueError, TypeError, KeyError):
            return False
        found = metadata.get(_SEAL)
        if found is None:
            return None if len(metadata) < 2 else False  # two entries: the name of the checksum is damaged
        total = zlib.crc32(first.replace(_mark(str(found)), _mark(_BLANK), 1))
        for piece in pieces:
            total = zlib.crc32(piece, total)
        return f"{total:08x}" == str(found)
