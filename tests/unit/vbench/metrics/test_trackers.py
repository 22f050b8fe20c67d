"""Lucas-Kanade with its check, and what is said where CoTracker is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rushes.errors import UserError
from rushes_vbench.metrics.camera_compat import official_grid
from rushes_vbench.metrics.motion_models import DenseInverseSearch
from rushes_vbench.metrics.trackers import CoTracker, FlowFollower, LucasKanade
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


def test_dense_flow_follows_the_picture_and_knows_what_it_has_lost() -> None:
    follower = FlowFollower(DenseInverseSearch())
    found = follower.track(moved(right=5.0, down=-2.0).frames_THWC[:5], GRID)
    error = np.linalg.norm(found.xy_TN2[-1] - (GRID + 4 * np.array([5.0, -2.0])), axis=1)
    assert found.visible_TN[-1].mean() > 0.7 and np.median(error[found.visible_TN[-1]]) < 0.5
    assert not found.visible_TN[-1, 9::10].any(), "what has left the picture at the right is not seen"
    assert np.allclose(found.xy_TN2[-1, 9::10, 0], GRID[9::10, 0] + 20.0, atol=4.0), "it is carried on"
    assert not follower.track(flat().frames_THWC, GRID).visible_TN[1:].any(), "flow without texture is a guess"


HUB = """
import torch


class Predictor(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.Module()
        self.model.speed = torch.nn.Parameter(torch.zeros(2))

    def forward(self, video, queries=None, segm_mask=None, grid_size=0, grid_query_frame=0, backward_tracking=False):
        batch, num_frames, colours, height, width = video.shape
        assert (batch, colours) == (1, 3) and video.dtype == torch.float32 and video.max() > 1
        if queries is None:
            y, x = (torch.linspace(8, 376, grid_size), torch.linspace(8, 504, grid_size))
            grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
            start = grid * torch.tensor([(width - 1) / 511, (height - 1) / 383])
        else:
            assert grid_size == 0 and queries.shape[2] == 3 and not queries[..., 0].any()
            start = queries[0, :, 1:]
        t = torch.arange(num_frames)[:, None, None]
        tracks = (start + t * self.model.speed)[None]
        if num_frames < 5:
            tracks[:, 1:] = 0  # as CoTracker2 does when its window does not fit
        return tracks, (t[..., 0] < 6).expand(num_frames, len(start))[None]


def cotracker2(*, pretrained=True, **kwargs):
    assert not pretrained, "its own loading would unpickle anything"
    return Predictor()


cotracker3_offline = cotracker2
"""
"""The interface of co-tracker's hubconf.py and predictor.py, as its repository had them in 2025."""


def clone(folder: Path, name: str = "cotracker2.pth", *, nested: bool = False) -> str:
    (folder / "hubconf.py").write_text(HUB)
    (folder / "checkpoints").mkdir()
    state = {"speed": torch.tensor([1.5, -0.5])}
    torch.save({"model": state} if nested else state, folder / "checkpoints" / name)
    return str(folder)


def test_cotracker_follows_the_official_grid(tmp_path: Path) -> None:
    frames = moved().frames_THWC
    found = CoTracker(clone(tmp_path), device="cpu").track(frames, GRID)
    steps = np.arange(len(frames))[:, None, None] * np.array([1.5, -0.5])
    assert np.allclose(found.xy_TN2, GRID + steps, atol=1e-3)
    assert found.visible_TN.dtype == bool and found.visible_TN[5].all() and not found.visible_TN[6].any()


def test_cotracker_follows_any_points_through_a_clip_shorter_than_its_window(tmp_path: Path) -> None:
    tracker = CoTracker(clone(tmp_path, "scaled_offline.pth", nested=True), "cotracker3_offline", "cpu")
    found = tracker.track(moved().frames_THWC[:3], GRID[:7])
    assert found.xy_TN2.shape == (3, 7, 2) and found.visible_TN.shape == (3, 7)
    assert np.allclose(found.xy_TN2[2], GRID[:7] + np.array([3.0, -1.0]), atol=1e-3)


def test_cotracker_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        CoTracker(str(tmp_path), device="cpu")
    assert "git clone https://github.com/facebookresearch/co-tracker" in str(caught.value)
    (tmp_path / "hubconf.py").write_text(HUB)
    with pytest.raises(UserError) as caught:
        CoTracker(str(tmp_path), device="cpu")
    assert "hf download facebook/cotracker cotracker2.pth --local-dir co-tracker/checkpoints" in str(caught.value)


def test_cotracker_weights_are_tensors_and_nothing_else(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    torch.save({"speed": Path("code that a pickle may run")}, tmp_path / "checkpoints" / "cotracker2.pth")
    with pytest.raises(UserError, match="cannot be loaded"):
        CoTracker(folder, device="cpu")
