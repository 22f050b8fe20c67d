"""Lucas-Kanade with its check, and what is said where CoTracker is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rushes.errors import UserError
from rushes.vbench.metrics.camera_compat import official_grid
from rushes.vbench.metrics.trackers import CoTracker, LucasKanade
from tests.support.vbench_clips import HEIGHT, WIDTH, flat, moved

GRID = official_grid(HEIGHT, WIDTH)


def test_points_go_where_the_picture_goes() -> None:
    found = LucasKanade().track(moved(right=1.25, down=-0.5).frames_THWC, GRID)
    steps = np.arange(33)[:, None, None] * np.array([1.25, -0.5])
    error = np.linalg.norm(found.xy_TN2 - (GRID + steps), axis=2)
    assert found.xy_TN2.shape == (33, 100, 2) and found.visible_TN.shape == (33, 100)
    assert error[found.visible_TN].max() < 1.0
    assert np.median(error[-1]) < 0.3


def test_points_go_on_outside_the_picture() -> None:
    found = LucasKanade().track(moved(right=4.0).frames_THWC, GRID)
    right_edge = found.xy_TN2[-1, 9::10, 0]
    assert not found.visible_TN[-1, 9::10].any()
    assert np.allclose(right_edge, GRID[9::10, 0] + 32 * 4.0, atol=4.0)


def test_covered_points_are_not_seen_again() -> None:
    frames = moved().frames_THWC.copy()
    frames[10:12, :, : WIDTH // 2] = np.random.default_rng(0).integers(0, 255, (2, HEIGHT, WIDTH // 2, 3), np.uint8)
    found = LucasKanade().track(frames, GRID)
    left = GRID[:, 0] < WIDTH / 2 - 40
    assert found.visible_TN[9].mean() > 0.9
    assert found.visible_TN[-1, left].mean() < 0.1
    assert found.visible_TN[-1, GRID[:, 0] > WIDTH / 2 + 40].mean() > 0.9


def test_nothing_can_be_followed_without_texture() -> None:
    found = LucasKanade().track(flat().frames_THWC, GRID)
    assert not found.visible_TN[1:].any() and np.isfinite(found.xy_TN2).all()


def test_the_same_clip_gives_the_same_tracks() -> None:
    frames = moved(grow=0.01, right=3.0).frames_THWC
    first, second = (LucasKanade().track(frames, GRID).xy_TN2 for _ in range(2))
    assert np.array_equal(first, second)


def test_cotracker_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        CoTracker(str(tmp_path), device="cpu")
    assert "git clone https://github.com/facebookresearch/co-tracker" in str(caught.value)
