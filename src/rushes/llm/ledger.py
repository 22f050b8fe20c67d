"""The amount spent on a server and the reservations of requests in flight, shared by all processes with one folder.

Three files: `cost-NAME.jsonl`, a line per reply, append-only; `cost-NAME.held.json`, reservations of requests in
flight; `cost-NAME.lock`, locked while either changes, and released by the system when a process dies. A reservation
that is not released in time belonged to a killed process: whether its request was billed is unknown, so it is counted
as spent. What is in the files, and what becomes of damaged ones: `rushes.store.expenses`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from rushes.errors import StoreError, heal_command
from rushes.store.expenses import Held, Mark, expense, held_in, held_path, line_of, lines_in, locked, write_held
from rushes.store.files import explained

_LINE: Final = '{"input": 812, "output": 30, "usd": 0.0004, "crc32": "5b3ea8c1"}'


class Ledger:
    """Spent and reserved US dollars. Safe between processes; threads must take turns, which `CostMeter` ensures.

    Args:
        file: `cost-NAME.jsonl`, created at the first entry; None keeps everything in memory.
        clock: seconds since 1970; another one in tests.

    Raises:
        StoreError: an existing file is damaged, so the amount spent is unknown.
    """

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self.file = file
        self.spent = 0.0
        """US dollars of all lines read so far."""
        self.num_unknown = 0
        """Lines whose amount was lost to damage: if there are any, more than `spent` is spent."""
        self._clock = clock
        self._held: Held = {}
        self._num_bytes = 0
        self._inode = 0
        if file is not None:
            self._read_new_lines(file)

    def take(self, usd: float, cap: float, longest_s: float) -> str | None:
        """Reserve the cost of a request.

        Args:
            usd: its maximum cost.
            cap: maximum of spent and reserved together.
            longest_s: seconds after which the request has certainly ended.

        Returns:
            A name for `give_back`; None if the cap does not allow it now. If `spent + usd` exceeds the cap, it never
            will.
        """
        with self._turn():
            self._count_lost()
            if self.spent + sum(each for each, _ in self._held.values()) + usd > cap:
                return None
            name = uuid4().hex
            self._held[name] = (usd, self._clock() + longest_s)
            self._write_held()
            return name

    def give_back(self, name: str) -> None:
        """Release a request's reservation at its end. A reservation that was counted as lost stays spent."""
        with self._turn():
            if self._held.pop(name, None) is not None:
                self._write_held()

    def add(self, num_input: int, num_output: int, usd: float) -> None:
        """Count a reply."""
        with self._turn():
            self._append(num_input, num_output, usd)

    # ---------------------------------------------------------------- files

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Exclusive access to the files, up to date with what other processes wrote."""
        if self.file is None:
            yield
            return
        with locked(self.file):
            self._read_new_lines(self.file)
            self._read_held()
            yield

    def _count_lost(self) -> None:
        now = self._clock()
        lost = [name for name, (_, until) in self._held.items() if until < now]
        for name in lost:
            usd, _ = self._held.pop(name)
            self._append(0, 0, usd, "unfinished")
        if lost:
            self._write_held()

    def _append(self, num_input: int, num_output: int, usd: float, mark: Mark | None = None) -> None:
        self.spent += usd
        if self.file is None:
            return
        data = line_of(num_input, num_output, usd, mark)
        with explained(self.file), self.file.open("a+b") as out:
            # A partial line of a killed process would corrupt this one.
            out.truncate(self._num_bytes)
            out.seek(max(0, self._num_bytes - 1))
            if out.read(1) not in (b"", b"\n"):
                data = b"\n" + data
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
            self._inode = os.fstat(out.fileno()).st_ino
        self._num_bytes += len(data)

    def _read_new_lines(self, file: Path) -> None:
        """Count complete lines that were not counted yet; a partial line at the end is left out."""
        found = file.stat() if file.exists() else None
        if found is None or found.st_size < self._num_bytes or found.st_ino != self._inode:
            self.spent, self.num_unknown, self._num_bytes = 0.0, 0, 0
        if found is None:
            return
        self._inode = found.st_ino
        with explained(file), file.open("rb") as stream:
            stream.seek(self._num_bytes)
            data = stream.read()
        at = 0
        for line in lines_in(data):
            each = expense(line)
            if each is None:
                raise self._damaged(file, line)
            at = min(at + len(line) + 1, len(data))
            self.spent += each.usd
            self.num_unknown += each.is_unknown
        self._num_bytes += at

    def _damaged(self, file: Path, line: bytes) -> StoreError:
        return StoreError(
            f"a line of {file} is damaged, so the amount spent is unknown",
            expected=f"lines like {_LINE}",
            got=line[:80].decode("utf-8", "replace"),
            next_step=_next_step(file),
        )

    def _read_held(self) -> None:
        path = None if self.file is None else held_path(self.file)
        if path is None:
            return
        with explained(path):
            data = path.read_bytes() if path.exists() else b"{}"
        found = held_in(data)
        if found is None:
            raise StoreError(
                f"{path} is damaged, so the cost in flight is unknown",
                got=data[:80].decode("utf-8", "replace"),
                next_step=_next_step(path),
            )
        self._held = found

    def _write_held(self) -> None:
        if self.file is not None:
            write_held(held_path(self.file), self._held)


def _next_step(file: Path) -> str:
    home = file.parent.parent
    if (home / "header.json").exists():
        return heal_command(str(home))
    return "rushes check HOME --heal, where HOME is a run folder whose recipe has this folder as runtime.cache_folder"
