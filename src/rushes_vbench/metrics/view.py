"""One clip as all metrics see it: what several of them need is computed once and cached."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from rushes_vbench.metrics.camera_compat import official_grid
from rushes_vbench.metrics.camera_path import CameraPath, camera_path
from rushes_vbench.metrics.camera_stretch import Unclear
from rushes_vbench.metrics.models import PointTracker, Tracks
from rushes_vbench.metrics.scenes import changes, longest_scene
from rushes_vbench.metrics.stretches import motions

if TYPE_CHECKING:
    from rushes.roles import Frames, Video
    from rushes_vbench.metrics.models import F64

LEAST_SCENE: Final = 0.4
"""Smallest share of the clip that its longest scene must have."""
MIN_SEEN: Final = 4
"""Fewest points that must be tracked into the second frame; fewer mean no texture, or a cut."""


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
    def is_followed(self) -> bool:
        """False if hardly any point of the official grid can be tracked even into the second frame."""
        return int(self.tracks.visible_TN[1].sum()) >= MIN_SEEN

    @cached_property
    def scene(self) -> range:
        """Frames of the longest scene."""
        return longest_scene(self.changes)

    @cached_property
    def path(self) -> CameraPath | Unclear:
        """The camera's path through the longest scene, or why there is none."""
        frames, fps = self.frames[self.scene.start : self.scene.stop], self.video.fps
        found = motions(frames, fps, self._follow)
        return camera_path(found, min(self.size), LEAST_SCENE * (len(self.frames) - 1) / fps)

    def _follow(self, frames: Frames, grid_N2: F64) -> Tracks:
        if self._tracker is None:
            raise ValueError("this view was made without a tracker")
        return self._tracker.track(frames, grid_N2)
