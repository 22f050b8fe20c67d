"""Each drift quantity against what is known about simple pictures."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.measure.drift import ClipSet, drift, frame_stats
from rushes.measure.latents import latent_moments

RNG = np.random.default_rng(11)


def flat(rgb: tuple[int, int, int], num_frames: int = 3) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, np.uint8), (num_frames, 8, 8, 3)).copy()


def test_a_flat_grey_clip_has_brightness_and_nothing_else() -> None:
    found = frame_stats(flat((128, 128, 128)))
    assert found.brightness == pytest.approx(128 / 255)
    assert (found.motion, found.saturation) == (0.0, 0.0)
    assert found.contrast == pytest.approx(0.0, abs=1e-6)
    assert found.high_frequency == pytest.approx(0.0, abs=1e-3)


def test_saturation_and_brightness_of_pure_colours() -> None:
    red = frame_stats(flat((255, 0, 0)))
    assert red.saturation == 1.0
    assert red.brightness == pytest.approx(0.2126)
    assert frame_stats(flat((0, 0, 0))).saturation == 0.0


def test_motion_is_the_change_per_frame() -> None:
    clip = np.concatenate([flat((10, 10, 10), 1), flat((30, 30, 30), 1), flat((40, 40, 40), 1)])
    assert frame_stats(clip).motion == pytest.approx(15.0, rel=1e-5)
    assert frame_stats(clip[:1]).motion == 0.0


def test_contrast_and_fine_detail_of_a_chessboard() -> None:
    board = np.indices((8, 8)).sum(0) % 2 * 255
    clip = np.repeat(board[None, :, :, None], 3, axis=-1).astype(np.uint8)
    found = frame_stats(clip)
    assert found.contrast == pytest.approx(0.5, rel=1e-4)
    # A pixel and the mean of its 3 x 3 neighbourhood differ by 255 x 4/9 everywhere.
    assert found.high_frequency == pytest.approx(255 * 4 / 9, rel=1e-4)


def test_blur_takes_fine_detail_away() -> None:
    clip = RNG.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    soft = ((clip.astype(int) + np.roll(clip, 1, 2) + np.roll(clip, 1, 1)) // 3).astype(np.uint8)
    assert frame_stats(soft).high_frequency < 0.8 * frame_stats(clip).high_frequency


def test_the_panel_reads_iterators_once_and_says_what_real_clips_are_like() -> None:
    def clips(level: int, offset: float) -> ClipSet:
        frames = (flat((level, level, level)) for _ in range(3))
        latents = (RNG.normal(offset, 1, (4, 2, 6, 6)).astype(np.float32) for _ in range(6))
        return ClipSet(frames=frames, latents=latents)

    rows = {row.name: row for row in drift(clips(100, 0.0), clips(50, 3.0), clips(120, 0.0))}
    assert rows["brightness"].before == pytest.approx(100 / 255)
    assert rows["brightness"].after == pytest.approx(50 / 255)
    assert rows["brightness"].real == pytest.approx(120 / 255)
    latent = rows["latent mean, distance to real"]
    assert latent.after == pytest.approx(3.0, rel=0.15)
    assert latent.real is not None and 0 < latent.real < 0.3
    whole = rows["latents of whole clips, Frechet distance to real"]
    assert whole.after > 5 * whole.before  # pooled over 72 positions, clips differ by about 0.12: 3.0 is far outside
    assert whole.real is None  # three clips in each half are too few for four channels
    assert len(rows) == 8


def test_remembered_moments_are_as_good_as_latents() -> None:
    sides = [[RNG.normal(shift, 1, (3, 2, 4, 4)).astype(np.float32) for _ in range(9)] for shift in (0.3, 0.5, 0.0)]
    plain = drift(*(ClipSet(latents=side) for side in sides))
    remembered = drift(*(ClipSet(moments=[latent_moments(each) for each in side]) for side in sides))
    assert plain == remembered
    assert len(plain) == 3


def test_what_is_not_there_is_left_out_never_zero() -> None:
    frames = [flat((1, 2, 3))]
    names = [row.name for row in drift(ClipSet(frames=frames), ClipSet(frames=frames))]
    assert names == ["motion amount", "saturation", "brightness", "contrast", "fine detail"]
    assert all(row.real is None for row in drift(ClipSet(frames=frames), ClipSet(frames=frames)))
    assert drift(ClipSet(), ClipSet(frames=frames)) == ()
    latents = [np.zeros((2, 1, 2, 2), np.float32)]
    with_one = drift(ClipSet(latents=latents), ClipSet(latents=latents), ClipSet(latents=latents))
    assert [row.real for row in with_one] == [None, None]


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8), np.zeros((2, 2, 8, 3), np.uint8)]
)
def test_what_is_no_clip_is_refused(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8 frames"):
        frame_stats(frames)
