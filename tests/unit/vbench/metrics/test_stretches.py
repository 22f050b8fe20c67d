"""Where points are placed, how light is evened, and what is cut into shorter stretches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rushes_vbench.metrics.camera_stretch import Motion
from rushes_vbench.metrics.models import Tracks
from rushes_vbench.metrics.stretches import corners, evenly_lit, motions
from rushes_vbench.metrics.trackers import LucasKanade
from tests.support.vbench_clips import FPS, HEIGHT, WIDTH, Picture, flat, moved, texture


def test_points_are_placed_where_there_is_texture_and_only_there() -> None:
    assert not len(corners(flat().frames_THWC[0]))
    half = texture(HEIGHT, WIDTH)
    half[:, WIDTH // 2 :] = 90
    placed = corners(half)
    assert len(placed) > 80 and placed[:, 0].max() < WIDTH / 2 + 12
    assert len(corners(np.repeat(np.repeat(half, 4, axis=0), 4, axis=1))) > 80, "in a larger picture as well"
    doubled = corners(np.kron(half, np.ones((4, 4, 1), np.uint8)))
    assert doubled[:, 0].max() < 4 * (WIDTH / 2 + 12) and doubled[:, 0].max() > WIDTH


def test_light_is_evened_only_where_it_changes_much() -> None:
    frames = np.stack([texture(HEIGHT, WIDTH)] * 2)
    assert evenly_lit(frames) is frames
    dimmed = frames.copy()
    dimmed[1] = dimmed[1] // 3
    assert abs(evenly_lit(dimmed)[1].astype(int) - frames[0]).mean() < 3.0
    black = np.stack([frames[0], frames[0] * 0])
    assert np.isfinite(evenly_lit(black)).all()


def test_what_is_lost_is_tried_over_shorter_times() -> None:
    """A tracker that loses everything that takes longer than an eighth of a second, or crosses a cut."""
    asked: list[int] = []

    def follow(frames: Picture, grid_N2: npt.NDArray[np.float64]) -> Tracks:
        asked.append(len(frames))
        found = LucasKanade().track(frames, grid_N2)
        return found if len(frames) <= 3 else Tracks(found.xy_TN2, np.zeros_like(found.visible_TN))

    found = motions(moved(right=2.0).frames_THWC[:17], FPS, follow)
    assert sum(duration_s for _, duration_s in found) == 1.0 and len(found) == 8
    assert all(isinstance(each, Motion) and abs(each.fit_32[0, 0] - 4.0) < 0.1 for each, _ in found)
    assert max(asked) == 5

    other = texture(HEIGHT, WIDTH, seed=8)
    cut = np.concatenate([moved(right=2.0).frames_THWC[:9], np.stack([other] * 8)])
    parts = motions(cut, FPS, LucasKanade().track)
    assert [why for why, _ in parts].count("lost") == 1 and sum(duration_s for _, duration_s in parts) == 1.0
