"""Stored files are whole or absent, and damage is always noticed."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from rushes.errors import BlobCorrupt, StoreError
from rushes.store.blobs import Blobs


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def all_files(blobs: Blobs) -> list[Path]:
    return [path for path in blobs.folder.rglob("*") if path.is_file()]


def test_bytes_come_back_under_a_name_that_proves_them(blobs: Blobs) -> None:
    ref = blobs.put_bytes(b"clip", ".bin")
    assert blobs.read_bytes(ref) == b"clip"
    assert blobs.path(ref) == blobs.folder / ref.sha256[:2] / f"{ref.sha256}.bin"
    assert blobs.put_bytes(b"clip", ".bin") == ref
    assert all_files(blobs) == [blobs.checked_path(ref)]
    assert pickle.loads(pickle.dumps(blobs)) == blobs


@pytest.mark.parametrize(
    ("damaged", "reason"), [(b"cl", "truncated"), (b"clop", "altered"), (b"clip-", "too long"), (None, "missing")]
)
def test_damage_is_noticed_and_put_mends_it(blobs: Blobs, damaged: bytes | None, reason: str) -> None:
    ref = blobs.put_bytes(b"clip", ".bin")
    path = blobs.path(ref)
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    for read in (blobs.read_bytes, blobs.checked_path):
        with pytest.raises(BlobCorrupt, match=reason) as caught:
            read(ref)
        assert caught.value.sha256 == ref.sha256
    assert [damage.sha256 for damage in blobs.verify_all([ref])] == [ref.sha256]
    assert blobs.put_bytes(b"clip", ".bin") == ref
    assert blobs.read_bytes(ref) == b"clip"
    assert blobs.verify_all([ref]) == []


def test_verify_all_checks_files_that_nobody_names(blobs: Blobs) -> None:
    ref = blobs.put_bytes(b"clip", ".bin")
    blobs.path(ref).write_bytes(b"clop")
    assert [damage.reason for damage in blobs.verify_all()] == ["altered"]


@pytest.mark.parametrize("shape", [(17, 64, 64, 3), (1, 1, 1, 3), (3, 5, 7, 3)])
def test_video_is_lossless_and_its_name_depends_on_pixels_only(blobs: Blobs, shape: tuple[int, ...]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    ref = blobs.put_video(frames)
    assert np.array_equal(blobs.read_video(ref), frames)
    assert blobs.put_video(np.asfortranarray(frames)) == ref


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 4, 4, 3)), np.zeros((4, 4, 3), np.uint8), np.zeros((2, 4, 4, 1), np.uint8)]
)
def test_other_shapes_are_refused(blobs: Blobs, frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8 frames of shape T, H, W, 3"):
        blobs.put_video(frames)


def test_arrays_keep_every_bit(blobs: Blobs) -> None:
    latents = np.random.default_rng(0).standard_normal((8, 5, 8, 8)).astype(np.float32)
    again = blobs.read_arrays(blobs.put_arrays({"b": latents, "a": latents.transpose()}))
    assert again["b"].tobytes() == latents.tobytes()
    assert np.array_equal(again["a"], latents.transpose())


def test_tensors_keep_every_bit(blobs: Blobs) -> None:
    torch = pytest.importorskip("torch")
    weights = {"w": torch.linspace(-1, 1, 7, dtype=torch.bfloat16), "t": torch.arange(6.0).reshape(2, 3).T}
    again = blobs.read_tensors(blobs.put_tensors(weights))
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("where", ["write", "fsync"])
def test_a_full_disk_is_said_plainly_and_leaves_nothing(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch, code: int, where: str
) -> None:
    kept = blobs.put_bytes(b"before", ".bin")
    real_write = os.write

    def full(descriptor: int, data: bytes = b"") -> int:
        if where == "write" and len(data) > 3:
            return real_write(descriptor, data[:3])  # a disk fills in the middle of a file
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, where, full)
    with pytest.raises(StoreError, match=r"disk is full(.|\n)*run the same command again"):
        blobs.put_bytes(b"after the disk is full", ".bin")
    monkeypatch.undo()
    assert all_files(blobs) == [blobs.path(kept)]
    assert blobs.verify_all([kept]) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_folder_is_said_plainly(blobs: Blobs, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match="no permission to write"):
        blobs.put_bytes(b"x", ".bin")


def test_temporary_files_of_a_killed_process_are_cleared(blobs: Blobs) -> None:
    blobs.put_bytes(b"x", ".bin")
    (blobs.folder / "tmp" / ".half.tmp").write_bytes(b"h")
    blobs.clear_temporary()
    assert len(all_files(blobs)) == 1


def test_of_new_files_only_the_size_is_checked(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    refs = [blobs.put_bytes(name.encode() * 8, ".bin") for name in ("old", "new", "cut", "none")]
    for ref in refs[:3]:
        path = blobs.path(ref)
        path.write_bytes(path.read_bytes()[: -1 if ref is refs[2] else None].replace(b"n", b"m").replace(b"o", b"p"))
        os.utime(path, (100, 100 if ref is refs[0] else 200))
    blobs.path(refs[3]).unlink()
    damaged = {each.sha256 for each in blobs.verify_all(refs, written_before=150)}
    assert damaged == {refs[at].sha256 for at in (0, 2, 3)}
    assert {each.sha256 for each in blobs.verify_all(written_before=150)} == {refs[0].sha256}, "no record names them"
    assert len(blobs.verify_all(refs)) == 4
