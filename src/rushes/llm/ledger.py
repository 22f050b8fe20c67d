"""The amount spent on a server and the reservations of requests in flight, shared by all processes with one folder.

Three files: `cost-NAME.jsonl`, a line per reply, append-only; `cost-NAME.held.json`, reservations of requests in
flight; `cost-NAME.lock`, locked while either changes, and released by the system when a process dies. A reservation
that is not released in time belonged to a killed process: whether its request was billed is unknown, so it is counted
as spent.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from rushes.errors import StoreError
from rushes.store.files import explained, make_folder, write_atomic

_LINE: Final = '{"input": 812, "output": 30, "usd": 0.0004}'
_NO_RECORD: Final = "delete the file to forget the requests that were in flight"


class Ledger:
    """Spent and reserved US dollars. Safe between processes; threads must take turns, which `CostMeter` ensures.

    Args:
        file: `cost-NAME.jsonl`, created at the first entry; None keeps everything in memory.
        clock: seconds since 1970; another one in tests.

    Raises:
        StoreError: an existing file cannot be read, so the amount spent is unknown.
    """

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.time) -> None:
        self.file = file
        self.spent = 0.0
        """US dollars of all lines read so far."""
        self._clock = clock
        self._held: dict[str, tuple[float, float]] = {}
        self._num_bytes = 0
        self._num_lines = 0
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
            self._append({"input": num_input, "output": num_output, "usd": usd})

    # ---------------------------------------------------------------- files

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Exclusive access to the files, up to date with what other processes wrote."""
        if self.file is None:
            yield
            return
        make_folder(self.file.parent)
        path = self.file.with_suffix(".lock")
        with explained(path):
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with explained(path):
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._read_new_lines(self.file)
            self._read_held()
            yield
        finally:
            os.close(lock)

    def _count_lost(self) -> None:
        now = self._clock()
        lost = [name for name, (_, until) in self._held.items() if until < now]
        for name in lost:
            usd, _ = self._held.pop(name)
            self._append({"input": 0, "output": 0, "usd": usd, "unfinished": True})
        if lost:
            self._write_held()

    def _append(self, line: dict[str, int | float | bool]) -> None:
        self.spent += float(line["usd"])
        if self.file is None:
            return
        data = (json.dumps(line) + "\n").encode()
        with explained(self.file), self.file.open("ab") as out:
            # A partial line of a killed process would corrupt this one.
            out.truncate(self._num_bytes)
            out.write(data)
        self._num_bytes += len(data)
        self._num_lines += 1

    def _read_new_lines(self, file: Path) -> None:
        """Count complete lines that were not counted yet; a partial line at the end is left out."""
        if not file.exists() or file.stat().st_size < self._num_bytes:
            self.spent, self._num_bytes, self._num_lines = 0.0, 0, 0
        if not file.exists():
            return
        with explained(file), file.open("rb") as found:
            found.seek(self._num_bytes)
            *lines, _ = found.read().split(b"\n")
        for line in lines:
            self._num_lines += 1
            self._num_bytes += len(line) + 1
            try:
                self.spent += float(json.loads(line)["usd"]) if line.strip() else 0.0
            except (ValueError, TypeError, KeyError):
                raise StoreError(
                    f"line {self._num_lines} of {file} cannot be read, so the amount spent is unknown",
                    expected=f"lines like {_LINE}",
                    got=line[:80].decode("utf-8", "replace"),
                    next_step="correct that line, or delete the file to count from zero",
                ) from None

    @property
    def _held_file(self) -> Path | None:
        return None if self.file is None else self.file.with_suffix(".held.json")

    def _read_held(self) -> None:
        path = self._held_file
        if path is None:
            return
        try:
            found = json.loads(path.read_bytes())
            self._held = {str(name): (float(usd), float(until)) for name, (usd, until) in found.items()}
        except FileNotFoundError:
            self._held = {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{path} cannot be read, so the cost in flight is unknown", got=str(error), next_step=_NO_RECORD
            ) from error

    def _write_held(self) -> None:
        path = self._held_file
        if path is not None:
            write_atomic(path, json.dumps(self._held).encode())
