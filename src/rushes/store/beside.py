"""A run folder opened to keep records beside those of the run: for clips that somebody asks for, to look at.

The run itself does not notice: no session of it begins, nothing is logged, its recipe and its `done` stay as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rushes.store.database import Database
from rushes.store.lock import ProcessLock
from rushes.store.run import Run


@contextlib.contextmanager
def beside(home: Path) -> Iterator[Run]:
    """An existing run with its tables open for writing, and locked: one process at a time works in a run folder.

    Raises:
        RunLocked: another process works there.
        StoreError: not a run folder, made by a newer version, or damaged.
    """
    with Run.view(home) as look:
        header = look.header
    lock = ProcessLock(home / "lock")
    try:
        run = Run(home, None, Database(home / "records.sqlite"), header)
        try:
            yield run
        finally:
            run.close()
    finally:
        lock.release()
