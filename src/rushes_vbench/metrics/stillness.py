"""Does anything happen in a clip? A still picture preserves all its things without effort.

The measure is weight-free and works on coarse cells of the picture, so that film grain averages out and a shake of
a few thousandths of the picture counts as still. Its limits were chosen by us, not fitted to labelled clips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rushes_vbench.metrics.sampling import spread_once

if TYPE_CHECKING:
    from rushes.roles import Frames

NUM_FRAMES: Final = 9
"""Frames compared with the first one, evenly spread."""
NUM_CELLS: Final = 24
"""Cells along the shorter side of the picture."""
MIN_CHANGE: Final = 12.0
"""Grey levels, of 255, by which a cell must become brighter or darker than the picture as a whole does."""
MIN_SHARE: Final = 0.0025
"""Share of the cells that must change in a clip in which something happens: three in a picture of 832 x 480."""


def changed_share(frames_THWC: Frames) -> float:
    """The largest share of the picture that differs from the first frame, at any of the compared moments.

    Args:
        frames_THWC: the clip, at least one frame.

    Returns:
        0 for a still picture (also if it flickers, darkens as a whole, or is grainy), up to 1.
    """
    first, *rest = (_cells(frames_THWC[t]) for t in spread_once(len(frames_THWC), NUM_FRAMES))
    shares = [0.0]
    for cells in rest:
        change = cells - first
        shares.append(float((np.abs(change - np.median(change)) > MIN_CHANGE).mean()))
    return max(shares)


def is_still(frames_THWC: Frames) -> bool:
    """Whether hardly anything changes from the first frame to the last; `changed_share` below `MIN_SHARE`."""
    return changed_share(frames_THWC) < MIN_SHARE


def _cells(frame_HWC: Frames) -> np.typing.NDArray[np.float64]:
    import cv2

    height, width = frame_HWC.shape[:2]
    scale = min(1.0, NUM_CELLS / min(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small: np.typing.NDArray[np.float64] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float64)
    return small
