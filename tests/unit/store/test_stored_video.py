"""How clips are stored: tiny ones raw, others compressed without loss, or with a little where that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rushes.errors import BlobCorrupt
from rushes.generate.takes import How, takes
from rushes.recipe.base import ShapeSpec
from rushes.records import Prompt, SamplerSettings
from rushes.store import blobs as stored
from rushes.store.blobs import Blobs
from rushes.store.identity import work_key
from rushes.store.video import read_video


@pytest.fixture
def blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    monkeypatch.setattr(stored, "MAX_RAW_BYTES", 20_000)
    return Blobs(tmp_path / "blobs")


def picture(num_frames: int = 9, height: int = 48, width: int = 64) -> np.ndarray:
    """A soft pattern that moves, with a little noise: every value of every colour is met."""
    t, y, x = np.meshgrid(np.arange(num_frames), np.arange(height), np.arange(width), indexing="ij")
    waves = [127 + 120 * np.sin(x / 9 + t / 3 + c) * np.cos(y / 7 - c) for c in range(3)]
    noise = np.random.default_rng(0).integers(-2, 3, (num_frames, height, width, 3))
    return np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(9, 48, 64), (9, 47, 63), (1, 96, 90)])
def test_every_value_comes_back_and_the_same_frames_have_the_same_name(blobs: Blobs, shape: tuple[int, ...]) -> None:
    frames = picture(*shape)
    ref = blobs.put_video(frames, fps=16)
    assert ref.suffix == ".mkv" and ref.num_bytes < frames.nbytes
    back = blobs.read_video(ref)
    assert back.dtype == np.uint8 and np.array_equal(back, frames)
    assert blobs.put_video(frames.copy(), fps=16) == ref
    assert read_video(blobs.checked_path(ref)).fps == pytest.approx(16)


def test_noise_comes_back_too(blobs: Blobs) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, 50, 50, 3), dtype=np.uint8)
    assert np.array_equal(blobs.read_video(blobs.put_video(frames)), frames)


def test_h264_is_smaller_nearly_the_same_and_the_same_every_time(blobs: Blobs) -> None:
    frames = picture(height=47)
    exact, near = blobs.put_video(frames), blobs.put_video(frames, coding="h264")
    assert near.num_bytes < exact.num_bytes / 2
    back = blobs.read_video(near)
    assert back.shape == frames.shape
    error = np.square(back.astype(float) - frames).mean()
    assert 0 < error < 255**2 / 10**3.6, "36 dB or more"
    assert blobs.put_video(frames, coding="h264") == near
    assert np.array_equal(blobs.read_video(near), back)


@pytest.mark.parametrize("coding", ["lossless", "h264"])
def test_tiny_clips_stay_raw(blobs: Blobs, coding: str) -> None:
    frames = picture(2, 48, 64)
    ref = blobs.put_video(frames, coding=coding)  # type: ignore[arg-type]
    assert ref.suffix == ".safetensors" and np.array_equal(blobs.read_video(ref), frames)


def test_a_damaged_file_is_noticed_before_it_is_decoded(blobs: Blobs) -> None:
    ref = blobs.put_video(picture())
    path = blobs.path(ref)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BlobCorrupt, match="altered"):
        blobs.read_video(ref)


def test_losses_are_part_of_a_clips_key_and_their_absence_is_not() -> None:
    prompt = Prompt(key="ab" * 32, text="a", base_text="a", dimension="Simple", origin="probe", index=0)
    sampler = SamplerSettings(num_steps=1, guidance_scale=1.0, shift=2.0, scheduler="X")

    def key(**how: str) -> str:
        [work] = takes([prompt], 1, How("base", sampler, ShapeSpec(), **how))  # type: ignore[arg-type]
        return work.key

    assert key() == key(stored_as="lossless") != key(stored_as="h264")
    without = {"model": "base", "sampler": sampler, "shape": ShapeSpec()}
    assert key() == work_key("clip", without, [prompt], 0), "the default way of storing is no part of it"
