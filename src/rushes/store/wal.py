"""The log that SQLite writes beside a database, as a killed run leaves it: is it whole?

SQLite takes a damaged page in it for its end, as after a power cut, and says nothing: all that was stored after it is
gone. Here such a place is told from the end of what was written. The format is that of https://sqlite.org/walformat.html.
"""

from __future__ import annotations

import struct
import sys
from array import array
from pathlib import Path
from typing import Final

from rushes.store.files import explained

LOG: Final = "records.sqlite-wal"
_MAGIC: Final = 0x377F0682
"""Its lowest bit says in which order the sums read the bytes of a word."""
_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
_SIZES: Final = frozenset(2**power for power in range(9, 17))

_Sum = tuple[int, int]


def damage_of_log(home: Path) -> str | None:
    """What is wrong with the log in a run folder; None where nothing is, there is none, or a process is writing to it.

    The log ends properly at the last page of its generation, half written or not. A page that does not match its sum
    and has others of that generation after it was altered later.

    Raises:
        StoreError: it cannot be read.
    """
    path = home / LOG
    if not path.is_file():
        return None
    with explained(path):
        data = path.read_bytes()
        found = _damage(data)
        return found if found is None or path.read_bytes() == data else None


def _damage(data: bytes) -> str | None:
    if len(data) <= _HEADER.size:
        return None
    magic, _, page_size, _, *salts, sum_0, sum_1 = _HEADER.unpack_from(data)
    order = "big" if magic & 1 else "little"
    total = _added((0, 0), data[: _HEADER.size - 8], order)
    if magic & ~1 != _MAGIC or page_size not in _SIZES or total != (sum_0, sum_1):
        return "its first bytes are altered: all that was stored in it is lost"
    length = _FRAME.size + page_size
    starts = range(_HEADER.size, len(data) - length + 1, length)
    ours = [[*_FRAME.unpack_from(data, at)[2:4]] == salts for at in starts]
    num = max((number + 1 for number, is_ours in enumerate(ours) if is_ours), default=0)
    for number, at in enumerate(starts[:num]):
        wanted = _FRAME.unpack_from(data, at)[4:]
        total = _added(total, data[at : at + 8] + data[at + _FRAME.size : at + length], order)
        if total == wanted and ours[number]:
            continue
        # The last page may be half written: a kill comes between two writes.
        return None if number == num - 1 else f"altered after {number} of {num} pages: what came later is lost"
    return None


def _added(total: _Sum, data: bytes, order: str) -> _Sum:
    words = array("I", data)
    if order != sys.byteorder:
        words.byteswap()
    first, second = total
    numbers = iter(words)
    for even, odd in zip(numbers, numbers, strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
