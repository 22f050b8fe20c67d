"""A new folder that appears complete or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rushes.errors import InputError
from rushes.store.files import explained, make_folder


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`; it is renamed to `target` if the block succeeds, else deleted.

    Raises:
        InputError: `target` is a file, or a folder that is not empty.
        StoreError: the disk is full or read-only.
    """
    check_free(target)
    make_folder(target.parent)
    # A name of its own, so that nothing of an export that was killed gets into this one.
    temporary = target.parent / f".{target.name[:40]}.{os.urandom(6).hex()}.tmp"
    make_folder(temporary)
    try:
        with explained(target):
            yield temporary
            _as_new(temporary)
            os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _as_new(folder: Path) -> None:
    """Give all that is in a folder the permissions of new files: what libraries write, and copies, may have others."""
    mode = folder.stat().st_mode & 0o777  # by the umask: the folder was created a moment ago
    for path in folder.rglob("*"):
        path.chmod(mode if path.is_dir() else mode & 0o666)


def check_free(target: Path) -> None:
    """Check that writing to `target` would not overwrite anything.

    Raises:
        InputError: `target` is a file, or a folder that is not empty.
    """
    if target.is_file():
        raise InputError(f"{target} is a file", expected="a new folder", next_step="name another with --out")
    if target.is_dir():
        with explained(target):
            names = sorted(path.name for path in target.iterdir())
        if names:
            raise InputError(
                f"{target} is not empty",
                expected="a new or empty folder",
                got=names[:8],
                next_step="name another folder with --out, or remove that one",
            )
