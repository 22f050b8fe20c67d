"""Tensors as one safetensors file: the same bytes for the same content, readable by whom any new file is.

The library's own writer shuffles the header's texts, and makes files that only their owner may read.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.store.files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

_CODES: Final = {
    **{"torch.float64": "F64", "torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16"},
    **{"torch.int64": "I64", "torch.int32": "I32", "torch.int16": "I16", "torch.int8": "I8"},
    **{"torch.uint8": "U8", "torch.bool": "BOOL"},
}
"""Number formats as safetensors names them."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str] | None = None) -> None:
    """Write named tensors, bit for bit, in a file that is either complete or absent.

    Args:
        path: the file; its folder exists.
        tensors: by name, in any order and on any device.
        header: texts for the file's header.

    Raises:
        StoreError: disk full, read-only; no part of the file is left behind.
        ValueError: a number format that safetensors files of this program do not hold.
    """
    # Wide formats first, as the format wants it: every tensor is then aligned.
    ordered = sorted(tensors.items(), key=lambda named: (-named[1].element_size(), named[0]))
    write_atomic(path, _pieces(_head(ordered, header or {}), [value for _, value in ordered]))


def _head(ordered: Sequence[tuple[str, Tensor]], header: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(sorted(header.items()))} if header else {}
    end = 0
    for name, value in ordered:
        if str(value.dtype) not in _CODES:
            raise ValueError(f"{name} must be of one of {', '.join(_CODES)}, got {value.dtype}")
        begin, end = end, end + value.numel() * value.element_size()
        entries[name] = {"dtype": _CODES[str(value.dtype)], "shape": list(value.shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _pieces(head: bytes, values: Sequence[Tensor]) -> Iterator[bytes]:
    import torch

    yield struct.pack("<Q", len(head)) + head
    for value in values:
        yield value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
