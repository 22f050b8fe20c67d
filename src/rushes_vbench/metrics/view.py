"""One clip as all metrics see it: what several of them need is computed once and cached."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes_vbench.metrics.camera_compat import official_grid
from rushes_vbench.metrics.camera_path import CameraPath, Stretch, camera_path
from rushes_vbench.metrics.models import PointTracker, Tracks
from rushes_vbench.metrics.scenes import changes, longest_scene

if TYPE_CHECKING:
    from rushes.roles import Frames, Video
    from rushes_vbench.metrics.models import F64

WINDOW_S: Final = 0.5
"""Seconds for which points are tracked before new ones are chosen, in the `fixed` profile."""
STEPS: Final = 4
"""Steps of the tracker in such a window; frames between are left out."""
MIN_SEEN: Final = 4
"""Fewest points that must be tracked into the second frame; fewer mean a picture without texture."""
_COLUMNS: Final = 24


class ClipView:
    """A decoded clip with its scene changes, its official tracks and its camera path, each computed on first use.

    Args:
        video: the clip, usable (`rushes_vbench.metrics.core.why_unusable`).
        tracker: follows points; None if no metric needs tracks.
    """

    def __init__(self, video: Video, tracker: PointTracker | None = None) -> None:
        self.video = video
        self._tracker = tracker

    @property
    def frames(self) -> Frames:
        """T, H, W, 3."""
        return self.video.frames_THWC

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return int(self.frames.shape[1]), int(self.frames.shape[2])

    @cached_property
    def changes(self) -> F64:
        """How much each frame differs from the previous one (`rushes_vbench.metrics.scenes.changes`)."""
        return changes(self.frames)

    @cached_property
    def tracks(self) -> Tracks:
        """The official 10 x 10 grid through the whole clip."""
        return self._follow(self.frames, official_grid(*self.size))

    @property
    def has_texture(self) -> bool:
        """False if hardly any point of the official grid can be tracked even into the second frame."""
        return int(self.tracks.visible_TN[1].sum()) >= MIN_SEEN

    @cached_property
    def path(self) -> CameraPath | None:
        """The camera's path through the longest scene; None if there is too little texture to determine it."""
        scene = longest_scene(self.changes)
        frames = self.frames[scene.start : scene.stop]
        fps, (height, width) = self.video.fps, self.size
        stride = max(1, round(WINDOW_S * fps / STEPS))
        kept = frames[::stride]
        if len(kept) < 2:
            return None
        grid_N2 = _even_grid(height, width)
        middle = np.array([width / 2, height / 2])
        stretches: list[Stretch] = []
        for start in range(0, len(kept) - 1, STEPS):
            tracks = self._follow(kept[start : start + STEPS + 1], grid_N2)
            seen_N = tracks.visible_TN[-1]
            ends = tracks.xy_TN2[:, seen_N]
            stretches.append(Stretch(ends[0] - middle, ends[-1] - ends[0]))
        return camera_path(stretches, (len(kept) - 1) * stride / fps, min(height, width))

    def _follow(self, frames: Frames, grid_N2: F64) -> Tracks:
        if self._tracker is None:
            raise ValueError("this view was made without a tracker")
        return self._tracker.track(frames, grid_N2)


def _even_grid(height_px: int, width_px: int) -> F64:
    rows = max(4, round(_COLUMNS * height_px / width_px))
    x = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * width_px
    y = (np.arange(rows) + 0.5) / rows * height_px
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
