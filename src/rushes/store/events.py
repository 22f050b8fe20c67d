"""The event log: one JSON object per line, appended as events occur, for people with `tail -f` and for analysis."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rushes.known_keys import hidden
from rushes.plain import plain_json
from rushes.store.files import explained


@dataclass(frozen=True)
class EventLog:
    """`events.jsonl` of a run."""

    path: Path
    """The file."""

    def write(self, event: str, **fields: Any) -> None:
        """Append one event with the time in UTC.

        Args:
            event: a short tag: "stage_started", "blob_damaged", ...
            fields: JSON values.

        Raises:
            StoreError: disk full or read-only.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = plain_json(hidden(json.dumps({"at": now, "event": event, **fields}, ensure_ascii=False, default=str)))
        with explained(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                os.write(descriptor, self._line_break(descriptor) + f"{line}\n".encode())
            finally:
                os.close(descriptor)

    def _line_break(self, descriptor: int) -> bytes:
        """A newline if a kill cut off the last line, so that the next event starts its own."""
        size = os.fstat(descriptor).st_size
        return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""

    def read(self) -> list[dict[str, Any]]:
        """All complete events, oldest first; a line that a kill cut off, or that is no event, is left out."""
        return list(self.each())

    def each(self) -> Iterator[dict[str, Any]]:
        """The same one after the other: a long run's log is not held in memory."""
        if not self.path.exists():
            return
        # Only "\n" ends an event.
        with explained(self.path), self.path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(value, dict) and isinstance(value.get("event"), str):
                    yield value
