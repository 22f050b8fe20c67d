"""Rows of numbers in files that grow chunk by chunk, and the manifest that alone says what is complete.

Each field is one safetensors file, `<name>-<field>.safetensors`. The manifest, `<name>.rows.json`, is written after a
chunk is on the disk in every field, and holds a checksum of each chunk. What it does not name does not exist.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, ValidationError

from rushes.records.base import Record, Size
from rushes.store.files import explained, make_folder, sync_folder, write_atomic

MANIFEST: Final = ".rows.json"
"""Ending of a manifest's name."""
Code = Literal["F32", "I64", "I32", "BOOL"]
"""A number format as safetensors names it."""
_ITEM_BYTES: Final[Mapping[Code, int]] = {"F32": 4, "I64": 8, "I32": 4, "BOOL": 1}


class RowField(Record):
    """One tensor, and how much of it is on the disk."""

    code: Code
    """Its number format as safetensors names it."""
    row_shape: tuple[int, ...]
    """Shape of one row."""
    sums: tuple[int, ...] = ()
    """CRC-32 of every chunk on the disk."""

    @property
    def row_bytes(self) -> int:
        """Size of one row, bytes."""
        return math.prod(self.row_shape) * _ITEM_BYTES[self.code]

    def head(self, num_rows: int) -> bytes:
        """The start of the file, up to the first row."""
        shape = [num_rows, *self.row_shape]
        entry = {"dtype": self.code, "shape": shape, "data_offsets": [0, num_rows * self.row_bytes]}
        text = json.dumps({"rows": entry}).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text


class RowManifest(Record):
    """What there is of all fields."""

    num_rows: Size
    """Rows of the whole."""
    num_at_once: Size
    """Rows of a chunk; the last may have fewer."""
    fields: dict[str, RowField] = Field(default_factory=dict[str, RowField])
    """By name."""

    @property
    def num_done(self) -> int:
        """Rows on the disk, in every field."""
        chunks = min((len(field.sums) for field in self.fields.values()), default=0)
        return min(chunks * self.num_at_once, self.num_rows)

    def size(self, chunk: int) -> int:
        """Rows in a chunk."""
        return min(self.num_at_once, self.num_rows - chunk * self.num_at_once)

    def cut(self, chunks: int) -> Self:
        """The same with that many chunks at most."""
        fields = {name: each.model_copy(update={"sums": each.sums[:chunks]}) for name, each in self.fields.items()}
        return self.model_copy(update={"fields": fields if chunks else {}})


@dataclass
class Rows:
    """The files of one name in a folder."""

    folder: Path
    """Where they are."""
    name: str
    """Prefix of their names."""
    manifest: RowManifest
    """What they hold."""

    @classmethod
    def open(cls, folder: Path, name: str, num_rows: int, num_at_once: int) -> Self:
        """What is there and intact; files of other rows, or without a manifest, count as nothing.

        Raises:
            StoreError: the folder cannot be used.
        """
        make_folder(folder)
        found = cls.read(folder, name)
        if found is None or (found.manifest.num_rows, found.manifest.num_at_once) != (num_rows, num_at_once):
            return cls(folder, name, RowManifest(num_rows=num_rows, num_at_once=num_at_once))
        return cls(folder, name, found.manifest.cut(found.num_intact()))

    @classmethod
    def read(cls, folder: Path, name: str) -> Self | None:
        """What the manifest says, unchecked; None if there is none, or it cannot be read."""
        path = folder / f"{name}{MANIFEST}"
        if not path.is_file():
            return None
        with explained(path):
            data = path.read_bytes()
        try:
            return cls(folder, name, RowManifest.model_validate_json(data))
        except ValidationError:
            return None

    def path(self, field: str) -> Path:
        """A field's file."""
        return self.folder / f"{self.name}-{field}.safetensors"

    def num_intact(self) -> int:
        """Chunks that match their checksums in every field, from the first on."""
        return min((self._num_intact(name, each) for name, each in self.manifest.fields.items()), default=0)

    def _num_intact(self, name: str, field: RowField) -> int:
        path, of = self.path(name), self.manifest
        head = field.head(of.num_rows)
        if not path.is_file():
            return 0
        with explained(path), path.open("rb") as stream:
            if stream.read(len(head)) != head:
                return 0
            for chunk, expected in enumerate(field.sums):
                data = stream.read(of.size(chunk) * field.row_bytes)
                at_end = (chunk + 1) * of.num_at_once >= of.num_rows
                if zlib.crc32(data) != expected or (at_end and stream.read(1)):
                    return chunk
        return len(field.sums)

    def append(self, chunk: Mapping[str, tuple[RowField, bytes]]) -> None:
        """Add the next chunk of every field; it counts once all of it is on the disk.

        Raises:
            StoreError: disk full or read-only.
        """
        done, fields = self.manifest.num_done, self.manifest.fields
        if fields and fields.keys() != chunk.keys():
            raise ValueError(f"expected the fields {sorted(fields)}, got {sorted(chunk)}")
        added: dict[str, RowField] = {}
        for name, (field, data) in chunk.items():
            path, head = self.path(name), field.head(self.manifest.num_rows)
            with explained(path), path.open("r+b" if done else "wb") as stream:
                if done == 0:
                    stream.write(head)
                stream.truncate(len(head) + done * field.row_bytes)
                stream.seek(0, os.SEEK_END)
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            sums = fields[name].sums if done else ()
            added[name] = field.model_copy(update={"sums": (*sums, zlib.crc32(data))})
        if done == 0:
            with explained(self.folder):
                sync_folder(self.folder)
        self.manifest = self.manifest.model_copy(update={"fields": added})
        write_atomic(self.folder / f"{self.name}{MANIFEST}", self.manifest.model_dump_json().encode())


def finished(folder: Path, name: str) -> dict[str, Path]:
    """The files of a name by field, if all rows are there; otherwise nothing."""
    rows = Rows.read(folder, name)
    if rows is None or rows.manifest.num_done < rows.manifest.num_rows:
        return {}
    return {field: rows.path(field) for field in rows.manifest.fields}
