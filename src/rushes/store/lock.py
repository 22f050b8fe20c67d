"""One process per run folder: an advisory lock that the operating system releases even if the process is killed."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Final

from rushes.errors import RunLocked, command
from rushes.store.files import explained, no_locks, store_error

NO_LOCKS: Final = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL})
"""What the operating system answers where files cannot be locked: Lustre without -o flock, some NFS and FUSE mounts."""

GRACE_S: Final = 2.0
"""How long to wait for a lock whose holder has ended, seconds."""


class ProcessLock:
    """A held lock on a file; `release()` or the end of the process frees it."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Args:
            path: the lock file; created if missing, and never deleted, since deleting it would let two processes in.

        Raises:
            RunLocked: another process holds it.
            StoreError: the folder cannot be written.
        """
        with explained(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._take()
        except BlockingIOError:
            holder = self._holder()
            stop = f"stop it with: kill {holder}, " if holder.isdecimal() else ""
            os.close(self._descriptor)
            raise RunLocked(
                f"another process (pid {holder or 'unknown'}) is working in {path.parent}",
                next_step=f"wait for it, {stop}or see its progress: {command('status', path.parent)}",
            ) from None
        except OSError as error:
            os.close(self._descriptor)
            # Without flock SQLite's own locks fail too, so there is nothing to fall back on.
            raise (no_locks(path) if error.errno in NO_LOCKS else store_error(path, error)) from error
        with explained(path):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def _take(self) -> None:
        """Lock the file. If the process that locked it has ended, wait a little.

        A program that it was just starting holds the lock until it runs on its own.

        Raises:
            BlockingIOError: another process holds it.
        """
        end = time.monotonic() + GRACE_S
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if _is_running(self._holder()) or time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def _holder(self) -> str:
        """The number of the process that last took the lock."""
        return os.pread(self._descriptor, 32, 0).decode("ascii", errors="replace").strip()

    def release(self) -> None:
        """Release the lock; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _is_running(holder: str) -> bool:
    """Whether a process of that number runs, other than this one: in containers all have the same number."""
    return holder.isdecimal() and int(holder) != os.getpid() and Path("/proc", holder).exists()
