"""Writing files atomically, with clear errors from the disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from rushes.errors import StoreError, heal_command
from rushes.store.places import run_folder_of

_PIECE: Final = 1 << 20
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_IN_THE_WAY: Final = frozenset({errno.EISDIR, errno.ENOTDIR, errno.EEXIST})


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Convert a full disk, a read-only folder and a file in the way into a `StoreError` with an explanation."""
    try:
        yield
    except OSError as error:
        raise store_error(path, error) from error


def store_error(path: Path, error: OSError) -> StoreError:
    """The `StoreError` for the operating system's error about `path`."""
    if error.errno in _FULL:
        return disk_full(path)
    if error.errno in _FORBIDDEN:
        return StoreError(
            f"no permission to write {path}",
            expected="a folder that this user may write",
            got=error.strerror,
            next_step="name another run folder, or change its permissions",
        )
    if error.errno in _IN_THE_WAY:
        return _in_the_way(path)
    return StoreError(
        f"cannot use {path}",
        got=error.strerror or str(error),
        next_step="check that path; once it is usable, the run resumes where it stopped",
    )


def _in_the_way(path: Path) -> StoreError:
    """The `StoreError` for a folder where a file belongs, or the other way round."""
    is_folder = path.is_dir()
    at = path if is_folder else next((each for each in (*reversed(path.parents), path) if each.is_file()), path)
    home = run_folder_of(at)
    return StoreError(
        f"{at} is in the way",
        expected="a file in that place" if is_folder else "a folder in that place",
        got="a folder" if is_folder else "a file",
        next_step=heal_command(str(home)) if home is not None else f"move {at} away, then run the same command again",
    )


def disk_full(path: Path) -> StoreError:
    """The `StoreError` for a full disk or quota; nothing that was stored before is lost."""
    return StoreError(
        f"the disk is full: {path} could not be written",
        expected="free space on the disk of the run folder",
        next_step="free some space and run the same command again; it resumes where it stopped",
    )


def no_locks(path: Path) -> StoreError:
    """The `StoreError` for a file system without file locks: two processes could then write into one run."""
    return StoreError(
        f"the disk of {path.parent} has no file locks, which keep two processes out of one run",
        expected="a file system with flock and fcntl locks, as local disks, NFS and Lustre with -o flock have",
        next_step="name a run folder on another disk with --home, or let the disk be mounted with locks (-o flock)",
    )


def is_hidden(name: str) -> bool:
    """True for a file that is no data of the user's: `.DS_Store`, and the `._` companions that macOS writes."""
    return name.startswith(".")


def visible(folder: Path) -> list[Path]:
    """The entries of a folder that are not hidden, by name.

    Raises:
        OSError: the folder cannot be listed.
    """
    return sorted(path for path in folder.iterdir() if not is_hidden(path.name))


def make_folder(path: Path) -> None:
    """Create `path` and its parents.

    Raises:
        StoreError: read-only, full, or a file is in the way.
    """
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)


def write_atomic(
    path: Path,
    data: bytes | Iterable[bytes | memoryview],
    temporary_folder: Path | None = None,
    *,
    before: Callable[[], None] = lambda: None,
) -> None:
    """Write a file that is either complete or absent, even if the process is killed or the power fails.

    It has the permissions that the umask gives to any new file.

    Args:
        path: the file; its folder exists.
        data: the bytes, or pieces of them.
        temporary_folder: where to write first, on the same disk; default is the folder of `path`.
        before: called when all is on the disk, right before it takes the place of the file.

    Raises:
        StoreError: disk full, read-only; no part of the file is left behind.
    """
    folder = temporary_folder or path.parent
    # Random, since in a container every process that runs may have the same number as the one that was killed.
    temporary = folder / f".{path.name[:40]}.{os.urandom(6).hex()}.tmp"
    with explained(path):
        try:
            _write_through(temporary, (data,) if isinstance(data, bytes) else data)
            before()
            os.replace(temporary, path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def _write_through(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write all pieces and wait until they are on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk, so that a rename survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(path: Path) -> bytes:
    """The content of a file that the user names.

    Raises:
        OSError: it cannot be read, or is a pipe or device, which could block for ever or have no end.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "not a file but a pipe or a device")
    return path.read_bytes()


def read_pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file, one mebibyte at a time."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def sha256_of_file(path: Path) -> str:
    """Hash of a file's content, 64 hex digits, without reading it into memory whole."""
    digest = hashlib.sha256()
    for piece in read_pieces(path):
        digest.update(piece)
    return digest.hexdigest()
