"""Content-addressed files: `blobs/ab/abcdef....suffix`. The name is a hash; a half-written file never gets one.

Safe to use from several processes at once: writing the same content twice gives the same file.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from rushes.errors import BlobCorrupt
from rushes.records import BlobRef
from rushes.store.files import explained, make_folder, sha256_of_file, write_atomic

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from rushes.roles import Frames

_VIDEO_NAME: Final = "frames_THWC"
MAX_RAW_BYTES: Final = 4 * 2**20
"""Clips of up to this many bytes are stored as raw frames, which are read fastest."""


@dataclass(frozen=True)
class Blobs:
    """The blob store of a run. Picklable: a worker may write blobs, only the driver writes records."""

    folder: Path
    """`<run>/blobs`."""

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    def path(self, ref: BlobRef) -> Path:
        """The file's path, unchecked; use `checked_path` before trusting its content."""
        return self.folder / ref.sha256[:2] / f"{ref.sha256}{ref.suffix}"

    # ---------------------------------------------------------------- bytes and files

    def put_bytes(self, data: bytes, suffix: str) -> BlobRef:
        """Store bytes; an existing intact file is kept, a damaged one is replaced.

        Args:
            data: the content.
            suffix: file name ending with its dot, lower case.

        Raises:
            StoreError: disk full or read-only; nothing half-written is left.
        """
        ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), suffix=suffix, num_bytes=len(data))
        self._write(ref, data)
        return ref

    def _write(self, ref: BlobRef, data: bytes) -> None:
        if self.damage(ref) is None:
            return
        target = self.path(ref)
        make_folder(target.parent)
        make_folder(self._temporary)
        write_atomic(target, data, self._temporary)

    def read_bytes(self, ref: BlobRef) -> bytes:
        """The content, checked against its hash.

        Raises:
            BlobCorrupt: missing, truncated or altered.
        """
        try:
            data = self.path(ref).read_bytes()
        except FileNotFoundError:
            raise self._corrupt(ref, "missing") from None
        except OSError as error:
            raise self._corrupt(ref, f"unreadable ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise self._corrupt(ref, _length_word(len(data), ref.num_bytes))
        return data

    def checked_path(self, ref: BlobRef) -> Path:
        """Path of a file whose content was just checked, for readers that need a path (mp4, memory maps).

        Raises:
            BlobCorrupt: missing, truncated or altered.
        """
        damage = self.damage(ref)
        if damage is not None:
            raise damage
        return self.path(ref)

    # ---------------------------------------------------------------- tensors and video (safetensors, no pickle)

    def put_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> BlobRef:
        """Store named numpy arrays, bit for bit, as one safetensors file."""
        import numpy as np
        from safetensors.numpy import save

        return self.put_bytes(
            save({name: np.ascontiguousarray(array) for name, array in arrays.items()}), ".safetensors"
        )

    def read_arrays(self, ref: BlobRef) -> dict[str, npt.NDArray[Any]]:
        """The arrays of `put_arrays`.

        Raises:
            BlobCorrupt: missing, truncated or altered.
        """
        from safetensors.numpy import load

        return load(self.read_bytes(ref))

    def put_tensors(self, tensors: Mapping[str, torch.Tensor]) -> BlobRef:
        """Store named torch tensors of any number format, bit for bit, as one safetensors file."""
        from safetensors.torch import save

        return self.put_bytes(
            save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}), ".safetensors"
        )

    def read_tensors(self, ref: BlobRef) -> dict[str, torch.Tensor]:
        """The tensors of `put_tensors`, on the CPU.

        Raises:
            BlobCorrupt: missing, truncated or altered.
        """
        from safetensors.torch import load

        return load(self.read_bytes(ref))

    def put_video(
        self, frames_THWC: Frames, *, fps: float = 8.0, coding: Literal["lossless", "h264"] = "lossless"
    ) -> BlobRef:
        """Store frames: tiny clips raw, whatever the coding, others as a video file.

        Args:
            frames_THWC: uint8, shape T, H, W, 3, RGB; at least one frame.
            fps: frames per second, for playback; does not affect pixels.
            coding: `lossless` keeps every pixel; `h264` is not exact, but much smaller.

        Raises:
            ValueError: a different shape or number format.
        """
        if frames_THWC.dtype.name != "uint8" or frames_THWC.ndim != 4 or frames_THWC.shape[-1] != 3:
            raise ValueError(f"expected uint8 frames of shape T, H, W, 3, got {frames_THWC.dtype} {frames_THWC.shape}")
        if frames_THWC.nbytes <= MAX_RAW_BYTES:
            return self.put_arrays({_VIDEO_NAME: frames_THWC})
        from rushes.store.video import ARCHIVE, FINE, encode_video

        if coding == "h264":
            return self.put_bytes(encode_video(frames_THWC, fps, FINE), ".mp4")
        return self.put_bytes(encode_video(frames_THWC, fps, ARCHIVE), ".mkv")

    def read_video(self, ref: BlobRef) -> Frames:
        """Frames of `put_video`: uint8, shape T, H, W, 3, RGB; the same on every machine.

        Raises:
            BlobCorrupt: missing, truncated or altered.
        """
        if ref.suffix in (".mkv", ".mp4"):
            from rushes.store.video import read_video

            return read_video(self.checked_path(ref)).frames_THWC
        frames: npt.NDArray[np.uint8] = self.read_arrays(ref)[_VIDEO_NAME]
        return frames

    # ---------------------------------------------------------------- checking

    def damage(self, ref: BlobRef) -> BlobCorrupt | None:
        """The damage of a stored file; None if its content matches its name."""
        path = self.path(ref)
        try:
            num_bytes = path.stat().st_size
            if num_bytes == ref.num_bytes and sha256_of_file(path) == ref.sha256:
                return None
        except FileNotFoundError:
            return self._corrupt(ref, "missing")
        except OSError as error:
            return self._corrupt(ref, f"unreadable ({error.strerror})")
        return self._corrupt(ref, _length_word(num_bytes, ref.num_bytes))

    def verify_all(self, refs: Iterable[BlobRef] = (), *, written_before: float = math.inf) -> list[BlobCorrupt]:
        """Check every stored file against its name, and that every one of `refs` exists.

        Args:
            refs: what must be there, in any order, more than once or not; memory holds some 100 bytes of each file.
            written_before: seconds since 1970: files that are newer are only checked for their size.

        Returns:
            The damaged files, sorted by path; empty if there are none.
        """
        found, seen = dict[str, BlobCorrupt](), set[bytes]()
        for ref in refs:
            path = self.path(ref)
            if (name := _short(path.name)) in seen:
                continue
            seen.add(name)
            if not self._is_whole_and_new(path, ref.num_bytes, written_before) and (damage := self.damage(ref)):
                found[ref.sha256] = damage
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for path in folder.glob("*"):
                sha256 = path.name.split(".")[0]
                if _short(path.name) in seen or self._is_whole_and_new(path, None, written_before):
                    continue
                if not _is_named_after_content(path, sha256):
                    found[sha256] = BlobCorrupt(sha256, str(path), "altered")
        return sorted(found.values(), key=lambda damage: damage.path)

    def _is_whole_and_new(self, path: Path, num_bytes: int | None, written_before: float) -> bool:
        """Whether a file was written since then, with that size if it is known."""
        with contextlib.suppress(OSError):
            status = path.stat()
            return path.is_file() and num_bytes in (None, status.st_size) and status.st_mtime >= written_before
        return False

    def remove(self, ref: BlobRef) -> None:
        """Delete a stored file that no record names any more; one that is gone already is fine.

        Raises:
            StoreError: it cannot be deleted.
        """
        with explained(self.path(ref)):
            self.path(ref).unlink(missing_ok=True)

    def clear_temporary(self) -> None:
        """Remove half-written files of a killed process; only for the process that holds the run's lock."""
        for path in self._temporary.glob("*"):
            with explained(path):
                path.unlink(missing_ok=True)

    def _corrupt(self, ref: BlobRef, reason: str) -> BlobCorrupt:
        return BlobCorrupt(ref.sha256, str(self.path(ref)), reason)


NAMES_A_FILE: Final = b'"sha256"'
"""A record without this in its JSON names no stored file, so that it need not be parsed to know."""


def refs_in(value: Any) -> list[BlobRef]:
    """Every stored file that a record names, as JSON values, at any depth; the tables of plug-ins are read too."""
    if isinstance(value, dict):
        if value.keys() == BlobRef.model_fields.keys():
            return [BlobRef.model_validate(value)]
        return [ref for item in value.values() for ref in refs_in(item)]
    return [ref for item in value for ref in refs_in(item)] if isinstance(value, list) else []


def _short(name: str) -> bytes:
    """A file's name in little memory, for a set of millions: half of its hash and its ending."""
    sha256, dot, ending = name.partition(".")
    try:
        return bytes.fromhex(sha256)[:16] + (dot + ending).encode()
    except ValueError:  # somebody else's file
        return name.encode(errors="surrogateescape")


def _is_named_after_content(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of_file(path) == sha256


def _length_word(num_bytes: int, expected: int) -> str:
    if num_bytes == expected:
        return "altered"
    return f"truncated ({num_bytes} of {expected} bytes)" if num_bytes < expected else f"too long ({num_bytes} bytes)"
