"""Rows of tensors on disk instead of in memory: written once, a few at a time, then memory-mapped, one read per step.

Each tensor is one safetensors file that grows row by row under a temporary name. The rows of a killed process are kept.
The next process continues after the last complete chunk, with the same chunks as in an uninterrupted run.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from rushes.errors import StoreError
from rushes.store.files import explained, make_folder, sync_folder

_CODES: Final = {torch.float32: "F32", torch.int64: "I64", torch.int32: "I32", torch.bool: "BOOL"}
"""Number formats as safetensors names them."""
_WHOLE, _PARTIAL = ".safetensors", ".partial"


def shelved(
    folder: Path, name: str, num_rows: int, num_at_once: int, make: Callable[[slice], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Tensors whose rows are stored on disk; missing rows are computed now.

    Args:
        folder: where the files go: `<name>-<field>.safetensors`. Existing files with these names are assumed to hold
            the same rows, so a folder belongs to one piece of work.
        name: prefix of the files.
        num_rows: of every tensor, at least 1.
        num_at_once: rows that are computed together.
        make: computes the rows of a slice, as one tensor per field, always the same fields.

    Returns:
        By field: tensors over memory-mapped files. Indexing reads the requested rows; writes do not reach the file.

    Raises:
        StoreError: the disk is full or read-only, or a file there was written for other rows.
    """
    make_folder(folder)
    files = _found(folder, name)
    num_done = min((file.num_written(num_rows) for file in files.values()), default=0)
    num_done = num_rows if num_done == num_rows else num_done // num_at_once * num_at_once
    for file in files.values():
        file.cut(num_done, num_rows)
    for at in range(num_done, num_rows, num_at_once):
        part = slice(at, min(at + num_at_once, num_rows))
        for field, rows in make(part).items():
            if field not in files:
                files[field] = _RowFile.begin(folder / f"{name}-{field}", num_rows, rows)
            files[field].append(rows)
    for file in files.values():
        file.finish()
    return {field: file.mapped() for field, file in files.items()}


@dataclass(frozen=True)
class _RowFile:
    """One tensor's file."""

    stem: Path
    """Its path without ending."""
    shape: tuple[int, ...]
    """Shape of the whole tensor."""
    dtype: torch.dtype
    """Its number format."""
    offset: int
    """Where the data starts, bytes."""

    @classmethod
    def begin(cls, stem: Path, num_rows: int, rows: Tensor) -> _RowFile:
        shape = (num_rows, *rows.shape[1:])
        num_bytes = math.prod(shape) * rows.element_size()
        entry = {"dtype": _CODES[rows.dtype], "shape": list(shape), "data_offsets": [0, num_bytes]}
        text = json.dumps({"rows": entry}).encode()
        text += b" " * (-len(text) % 8)
        with explained(stem):
            Path(f"{stem}{_PARTIAL}").write_bytes(struct.pack("<Q", len(text)) + text)
        return cls(stem, shape, rows.dtype, 8 + len(text))

    @classmethod
    def read(cls, stem: Path, path: Path) -> _RowFile | None:
        """An existing file; None if not even its header is complete."""
        with explained(path), path.open("rb") as stream:
            head = stream.read(8)
            text = stream.read(struct.unpack("<Q", head)[0]) if len(head) == 8 else b""
        try:
            entry = json.loads(text)["rows"]
        except ValueError:
            return None
        dtype = next(dtype for dtype, code in _CODES.items() if code == entry["dtype"])
        return cls(stem, tuple(entry["shape"]), dtype, 8 + len(text))

    @property
    def path(self) -> Path:
        """The finished file, or the partial one."""
        whole = Path(f"{self.stem}{_WHOLE}")
        return whole if whole.exists() else Path(f"{self.stem}{_PARTIAL}")

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def num_written(self, num_rows: int) -> int:
        if self.shape[0] != num_rows:
            raise StoreError(
                f"{self.path} holds other rows than training needs",
                expected=f"{num_rows} rows",
                got=self.shape[0],
                next_step="delete that file; it will be written again",
            )
        return (self.path.stat().st_size - self.offset) // max(1, self.row_bytes)

    def cut(self, num_done: int, num_rows: int) -> None:
        """Drop rows after `num_done`, including half-written ones."""
        if num_done < num_rows and self.path.suffix == _WHOLE:
            os.replace(self.path, f"{self.stem}{_PARTIAL}")
        if num_done < num_rows:
            with explained(self.path):
                os.truncate(self.path, self.offset + num_done * self.row_bytes)

    def append(self, rows: Tensor) -> None:
        data = rows.detach().cpu().contiguous().numpy().tobytes()
        with explained(self.path), self.path.open("ab") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def finish(self) -> None:
        if self.path.suffix == _PARTIAL:
            with explained(self.path):
                os.replace(self.path, f"{self.stem}{_WHOLE}")
                sync_folder(self.stem.parent)

    def mapped(self) -> Tensor:
        numbers = np.dtype(str(self.dtype).removeprefix("torch."))
        # "c": pages are read on access, and writes never reach the file.
        return torch.from_numpy(np.memmap(self.path, numbers, mode="c", offset=self.offset, shape=self.shape))


def _found(folder: Path, name: str) -> dict[str, _RowFile]:
    files: dict[str, _RowFile] = {}
    for ending in (_PARTIAL, _WHOLE):
        for path in sorted(folder.glob(f"{name}-*{ending}")):
            file = _RowFile.read(path.with_suffix(""), path)
            if file is not None:
                files[path.stem.removeprefix(f"{name}-")] = file
    return files
