"""Rows of tensors on disk instead of in memory: written once, a few at a time, then memory-mapped, one read per step.

The chunks of a killed process are kept, see `rushes.store.rows`. The next process continues after the last one that is
complete in every field and undamaged, with the same chunks as in an uninterrupted run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from rushes.store.rows import Code, RowField, Rows

_CODES: Final[Mapping[torch.dtype, Code]] = {
    torch.float32: "F32",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.bool: "BOOL",
}


def shelved(
    folder: Path, name: str, num_rows: int, num_at_once: int, make: Callable[[slice], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Tensors whose rows are stored on disk; missing and damaged rows are computed now.

    Args:
        folder: where the files go: `<name>-<field>.safetensors`. Complete chunks under these names are assumed to be of
            the same rows, so a folder belongs to one piece of work.
        name: prefix of the files.
        num_rows: of every tensor, at least 1.
        num_at_once: rows that are computed together.
        make: computes the rows of a slice, as one tensor per field, always the same fields.

    Returns:
        By field: tensors over memory-mapped files. Indexing reads the requested rows; writes do not reach the file.

    Raises:
        StoreError: the disk is full or read-only.
    """
    rows = Rows.open(folder, name, num_rows, num_at_once)
    for at in range(rows.manifest.num_done, num_rows, num_at_once):
        made = make(slice(at, min(at + num_at_once, num_rows)))
        rows.append({field: _chunk(tensor) for field, tensor in made.items()})
    return {field: _mapped(rows.path(field), each, num_rows) for field, each in rows.manifest.fields.items()}


def _chunk(tensor: Tensor) -> tuple[RowField, bytes]:
    field = RowField(code=_CODES[tensor.dtype], row_shape=tuple(tensor.shape[1:]))
    return field, tensor.detach().cpu().contiguous().numpy().tobytes()


def _mapped(path: Path, field: RowField, num_rows: int) -> Tensor:
    dtype = next(dtype for dtype, code in _CODES.items() if code == field.code)
    numbers = np.dtype(str(dtype).removeprefix("torch."))
    offset, shape = len(field.head(num_rows)), (num_rows, *field.row_shape)
    # "c": pages are read on access, and writes never reach the file.
    return torch.from_numpy(np.memmap(path, numbers, mode="c", offset=offset, shape=shape))
