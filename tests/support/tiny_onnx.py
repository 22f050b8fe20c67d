"""Networks in ONNX files, written byte by byte, in the place of YuNet and SFace: OpenCV's own code runs around them.

`bright_face_finder` has YuNet's twelve outputs and finds a face in every 8 x 8 cell that is bright in red;
`mean_colour` has SFace's input and output and gives the mean red, green and blue of a face.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

FLOAT, INT64 = 1, 7
BOX = (0.5, 0.5, float(np.log(2.0)), float(np.log(3.0)))
"""Middle of the cell; twice as wide and three times as high as a cell."""
POINTS = (0.25, 0.25, 0.75, 0.25, 0.5, 0.5, 0.25, 0.75, 0.75, 0.75)
"""Right eye, left eye, nose, right and left corner of the mouth, in cells from the cell's corner."""


def bright_face_finder(path: Path) -> Path:
    """Writes the stand-in of YuNet."""
    nodes, constants, outputs = [], [], []
    for stride in (8, 16, 32):
        shape = (1, 3, stride, stride)
        # OpenCV gives blue, green, red. Only red counts, and only in the finest of the three grids.
        red = np.zeros(shape, np.float32)
        red[:, 2] = (stride == 8) / (stride * stride * 255.0)
        for name, weight, bias in (
            ("cls", red, (0.0,)),
            ("obj", red, (0.0,)),
            ("bbox", np.zeros((4, *shape[1:]), np.float32), BOX),
            ("kps", np.zeros((10, *shape[1:]), np.float32), POINTS),
        ):
            out = f"{name}_{stride}"
            channels = len(bias)
            constants += [
                _tensor(f"{out}_w", weight),
                _tensor(f"{out}_b", np.array(bias, np.float32)),
                _tensor(f"{out}_s", np.array([1, -1, channels], np.int64)),
            ]
            step = _ints("strides", (stride, stride)) + _ints("kernel_shape", (stride, stride))
            nodes += [
                _node("Conv", ("input", f"{out}_w", f"{out}_b"), f"{out}_map", step),
                _node("Transpose", (f"{out}_map",), f"{out}_last", _ints("perm", (0, 2, 3, 1))),
                _node("Reshape", (f"{out}_last", f"{out}_s"), out),
            ]
            outputs.append(_value(out, (1, -1, channels)))
    return _write(path, nodes, constants, _value("input", (1, 3, -1, -1)), outputs)


def mean_colour(path: Path) -> Path:
    """Writes the stand-in of SFace."""
    nodes = [
        _node("GlobalAveragePool", ("data",), "pooled"),
        _node("Flatten", ("pooled",), "fc1", _int("axis", 1)),
    ]
    return _write(path, nodes, [], _value("data", (1, 3, 112, 112)), [_value("fc1", (1, 3))])


def _write(path: Path, nodes: Sequence[bytes], constants: Sequence[bytes], given: bytes, made: Sequence[bytes]) -> Path:
    graph = b"".join(_part(1, node) for node in nodes) + _part(2, b"tiny")
    graph += b"".join(_part(5, constant) for constant in constants) + _part(11, given)
    graph += b"".join(_part(12, output) for output in made)
    path.write_bytes(_number(1, 8) + _part(7, graph) + _part(8, _part(1, b"") + _number(2, 13)))
    return path


def _node(kind: str, given: Sequence[str], made: str, attributes: bytes = b"") -> bytes:
    names = b"".join(_part(1, name.encode()) for name in given) + _part(2, made.encode())
    return names + _part(3, made.encode()) + _part(4, kind.encode()) + attributes


def _ints(name: str, values: Sequence[int]) -> bytes:
    return _part(5, _part(1, name.encode()) + b"".join(_number(8, value) for value in values) + _number(20, 7))


def _int(name: str, value: int) -> bytes:
    return _part(5, _part(1, name.encode()) + _number(3, value) + _number(20, 2))


def _tensor(name: str, values: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> bytes:
    kind = FLOAT if values.dtype == np.float32 else INT64
    sizes = b"".join(_number(1, size) for size in values.shape)
    return sizes + _number(2, kind) + _part(8, name.encode()) + _part(9, values.tobytes())


def _value(name: str, shape: Sequence[int]) -> bytes:
    """A named input or output; -1 is a size that is not known."""
    sizes = b"".join(_part(1, _number(1, size) if size >= 0 else _part(2, b"any")) for size in shape)
    return _part(1, name.encode()) + _part(2, _part(1, _number(1, FLOAT) + _part(2, sizes)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += struct.pack("B", value & 127 | 128)
        value >>= 7
    return found + struct.pack("B", value)
