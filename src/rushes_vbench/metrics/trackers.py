"""Point trackers: Lucas-Kanade and dense flow through OpenCV (no weights), and CoTracker where it is installed.

Legend: T frames, N points, H height, W width.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rushes.errors import UserError
from rushes_vbench.metrics.camera_compat import GRID, official_grid
from rushes_vbench.metrics.models import Flow, Tracks

if TYPE_CHECKING:
    from rushes.roles import Frames
    from rushes_vbench.metrics.models import F32, F64, Flags

LONGEST_PX: Final = 512
"""Longer side of the picture in which points are followed; larger pictures are shrunk first."""
MAX_RETURN_PX: Final = 1.0
"""A point that is tracked forwards and backwards and returns further off than this counts as lost."""
_MIN_CONTRAST: Final = 1e-3
"""Smallest eigenvalue of a window's gradient matrix (OpenCV's scale); flat windows and plain edges are below."""
_TEXTURE_PX: Final = (21, 21)
"""Window in which a picture must vary for its dense flow to count there, pixels."""
_MIN_VARIANCE: Final = 4.0
"""Smallest variance of grey levels in that window."""


class LucasKanade:
    """Follows points from frame to frame with a forward and backward check; weight-free.

    A lost point (covered, blurred, out of the picture, no texture) continues with the motion of a similarity fitted to
    the points that are still tracked, and is marked as not visible from then on.
    """

    def track(self, frames_THWC: Frames, grid_N2: F64) -> Tracks:
        """See `rushes_vbench.metrics.models.PointTracker`."""
        import cv2

        height, width = frames_THWC.shape[1:3]
        scale = min(1.0, LONGEST_PX / max(height, width))
        size = (round(width * scale), round(height * scale))
        xy_TN2 = np.empty((len(frames_THWC), len(grid_N2), 2))
        visible_TN = np.zeros((len(frames_THWC), len(grid_N2)), bool)
        xy_TN2[0], visible_TN[0] = grid_N2 * scale, True
        before = _grey(frames_THWC[0], size)
        for t in range(1, len(frames_THWC)):
            after = _grey(frames_THWC[t], size)
            moved_N2, good_N = _step(before, after, xy_TN2[t - 1].astype(np.float32))
            seen_N = visible_TN[t - 1] & good_N
            guess_N2 = _carried(xy_TN2[t - 1], moved_N2, good_N if seen_N.sum() < 3 else seen_N)
            xy_TN2[t] = np.where(seen_N[:, None], moved_N2, guess_N2)
            visible_TN[t] = seen_N
            before = after
        cv2.setRNGSeed(0)
        return Tracks(xy_TN2 / scale, visible_TN)


def _grey(frame_HWC: Frames, size: tuple[int, int]) -> Frames:
    import cv2

    grey: Frames = cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2GRAY)
    if (grey.shape[1], grey.shape[0]) != size:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return grey


def _step(before: Frames, after: Frames, xy_N2: F32) -> tuple[F64, Flags]:
    """Where the points go in the next frame, and which of them were really tracked."""
    import cv2

    how: dict[str, Any] = {
        "winSize": (21, 21),
        "maxLevel": 3,
        "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02),
        "minEigThreshold": _MIN_CONTRAST,
    }
    points = np.ascontiguousarray(xy_N2[:, None])
    forth, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None, **how)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, forth, None, **how)
    astray_N = np.linalg.norm((back - points)[:, 0], axis=1)
    ends_N2 = forth[:, 0].astype(np.float64)
    height, width = after.shape
    inside_N = ((xy_N2 >= 0) & (xy_N2 < (width, height)) & (ends_N2 >= 0) & (ends_N2 < (width, height))).all(axis=1)
    good_N = (found[:, 0] == 1) & (found_back[:, 0] == 1) & (astray_N < MAX_RETURN_PX) & inside_N
    return ends_N2, good_N


def _carried(xy_N2: F64, moved_N2: F64, known_N: Flags) -> F64:
    """All points moved by the similarity of the known ones; by their median if no fit is possible."""
    import cv2

    if not known_N.any():
        return xy_N2
    if known_N.sum() >= 3:
        cv2.setRNGSeed(0)
        matrix, _ = cv2.estimateAffinePartial2D(xy_N2[known_N], moved_N2[known_N], ransacReprojThreshold=2.0)
        if matrix is not None and np.isfinite(matrix).all():
            carried: F64 = xy_N2 @ matrix[:, :2].T + matrix[:, 2]
            return carried
    shifted: F64 = xy_N2 + np.median(moved_N2[known_N] - xy_N2[known_N], axis=0)
    return shifted


class FlowFollower:
    """Follows points by dense optical flow from frame to frame, forwards and backwards; weight-free with `dis`.

    Other arithmetic than Lucas-Kanade's windows, so that one can judge and the other measure. A lost point is carried
    on as by `LucasKanade`.

    Args:
        flow: gives the motion of every pixel.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def track(self, frames_THWC: Frames, grid_N2: F64) -> Tracks:
        """See `rushes_vbench.metrics.models.PointTracker`."""
        import cv2

        height, width = frames_THWC.shape[1:3]
        scale = min(1.0, LONGEST_PX / max(height, width))
        size = (round(width * scale), round(height * scale))
        small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) if scale < 1 else frame for frame in frames_THWC]
        xy_TN2 = np.empty((len(frames_THWC), len(grid_N2), 2))
        visible_TN = np.zeros((len(frames_THWC), len(grid_N2)), bool)
        xy_TN2[0], visible_TN[0] = grid_N2 * scale, True
        for t in range(1, len(small)):
            moved_N2, good_N = self._step(small[t - 1], small[t], xy_TN2[t - 1])
            seen_N = visible_TN[t - 1] & good_N
            guess_N2 = _carried(xy_TN2[t - 1], moved_N2, good_N if seen_N.sum() < 3 else seen_N)
            xy_TN2[t] = np.where(seen_N[:, None], moved_N2, guess_N2)
            visible_TN[t] = seen_N
        return Tracks(xy_TN2 / scale, visible_TN)

    def _step(self, before: Frames, after: Frames, xy_N2: F64) -> tuple[F64, Flags]:
        """Where the points go in the next frame, and which of them both directions agree on."""
        ends_N2 = xy_N2 + _at(self._flow.pair(before, after), xy_N2)
        back_N2 = ends_N2 + _at(self._flow.pair(after, before), ends_N2)
        height, width = after.shape[:2]
        inside_N = ((xy_N2 >= 0) & (xy_N2 < (width, height)) & (ends_N2 >= 0) & (ends_N2 < (width, height))).all(axis=1)
        returns_N = np.linalg.norm(back_N2 - xy_N2, axis=1) < MAX_RETURN_PX
        return ends_N2, inside_N & returns_N & _has_texture(before, xy_N2)


def _at(flow_HW2: F32, xy_N2: F64) -> F64:
    """The flow at some points, between pixels too; at the nearest edge for points outside."""
    import cv2

    xy = xy_N2.astype(np.float32)[:, None]
    how = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    found: F64 = cv2.remap(flow_HW2, xy[..., 0], xy[..., 1], **how)[:, 0].astype(np.float64)
    return found


def _has_texture(frame_HWC: Frames, xy_N2: F64) -> Flags:
    """Whether there is something to follow at some points: where the picture is flat, flow is a guess from around."""
    import cv2

    grey = cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean, square = cv2.blur(grey, _TEXTURE_PX), cv2.blur(grey * grey, _TEXTURE_PX)
    return _at(np.dstack([square - mean * mean] * 2), xy_N2)[:, 0] > _MIN_VARIANCE


WEIGHTS: Final = {
    "cotracker2": ("facebook/cotracker", "cotracker2.pth"),
    "cotracker3_offline": ("facebook/cotracker3", "scaled_offline.pth"),
}
"""Model repository and file of each hub name, as in co-tracker's own hubconf.py."""
FEWEST_FRAMES: Final = 8
"""Length of CoTracker2's window: of clips with 4 frames or fewer it returns zeros instead of tracks."""


class CoTracker:
    """The official tracker from a clone of its repository. Code and weights are CC-BY-NC 4.0: not for commercial use.

    Args:
        folder: a clone of github.com/facebookresearch/co-tracker at a commit of your choice, with the weights in its
            folder `checkpoints`, where its instructions put them.
        model: its hub name: "cotracker2" as in the official scoring, or "cotracker3_offline".
        device: "cuda", "cpu", ...
        options: place in the recipe of the options that name it, for errors.

    Raises:
        UserError: the clone or its weights are missing.
    """

    def __init__(
        self,
        folder: str,
        model: str = "cotracker2",
        device: str = "cuda",
        options: str = "measure.measurer.options",
    ) -> None:
        import torch

        repository, name = WEIGHTS[model]
        checkpoint = Path(folder) / "checkpoints" / name
        try:
            # A local clone: nothing is fetched by name, and the user chooses the commit.
            predictor: Any = torch.hub.load(folder, model, source="local", pretrained=False)
            # Its own loading would unpickle anything; the weights need only tensors.
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
            predictor.model.load_state_dict(state.get("model", state))
        except Exception as error:  # code and weights are the user's copies, so anything may be wrong with them
            raise UserError(
                f"CoTracker cannot be loaded: {error}",
                expected=f"a clone of the co-tracker repository, with its weights in {checkpoint}",
                got=folder,
                next_step="git clone https://github.com/facebookresearch/co-tracker && "
                f"hf download {repository} {name} --local-dir co-tracker/checkpoints, then "
                f"--set {options}.cotracker_folder=co-tracker; or do without weights: "
                f"--set {options}.tracker=lucas_kanade",
            ) from error
        self._model = predictor.to(device).eval()
        self._device = device

    def track(self, frames_THWC: Frames, grid_N2: F64) -> Tracks:
        """See `rushes_vbench.metrics.models.PointTracker`."""
        import torch

        num_frames = len(frames_THWC)
        video = torch.from_numpy(_padded(frames_THWC)).to(self._device).permute(0, 3, 1, 2)[None].float()
        # With queries CoTracker adds support points; the official scoring requests the grid by its size, without them.
        with torch.no_grad():
            if np.array_equal(grid_N2, official_grid(*frames_THWC.shape[1:3])):
                found, visible = self._model(video, grid_size=GRID)
            else:
                queries = np.column_stack([np.zeros(len(grid_N2)), grid_N2]).astype(np.float32)
                found, visible = self._model(video, queries=torch.from_numpy(queries)[None].to(self._device))
        xy_TN2 = found[0, :num_frames].double().cpu().numpy()
        # Visibility has a last axis of one in some versions and not in others.
        return Tracks(xy_TN2, visible[0, :num_frames].reshape(xy_TN2.shape[:2]).bool().cpu().numpy())


def _padded(frames_THWC: Frames) -> Frames:
    """At least `FEWEST_FRAMES` frames: the last one is repeated."""
    missing = max(0, FEWEST_FRAMES - len(frames_THWC))
    return np.concatenate([frames_THWC, np.repeat(frames_THWC[-1:], missing, axis=0)]) if missing else frames_THWC
