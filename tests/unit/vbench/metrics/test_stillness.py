"""A picture that stands still told from one in which something happens."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rushes_vbench.metrics.stillness import changed_share, is_still
from tests.support.vbench_clips import flat, moved

Frames = np.typing.NDArray[np.uint8]
STILL = moved().frames_THWC


def grainy() -> Frames:
    grain = np.random.default_rng(0).normal(0, 15, STILL.shape)
    return np.clip(STILL + grain, 0, 255).astype(np.uint8)


def darker() -> Frames:
    return np.stack([(STILL[0] // 2 + 100 - 2 * t).astype(np.uint8) for t in range(len(STILL))])


def ball(radius: int) -> Frames:
    frames = STILL.copy()
    for t, frame in enumerate(frames):
        cv2.circle(frame, (40 + 3 * t, 90), radius, (230, 40, 40), -1)
    return frames


def comes_back() -> Frames:
    """Something passes through, and the last frame is the first."""
    frames = STILL.copy()
    frames[12:20, 60:100, 60:100] = 255 - frames[12:20, 60:100, 60:100]
    return frames


@pytest.mark.parametrize(
    "frames",
    [STILL, STILL[:1], flat().frames_THWC, grainy(), darker(), moved(right=0.02).frames_THWC],
    ids=["still", "one frame", "flat", "grain", "light", "trembling"],
)
def test_still(frames: Frames) -> None:
    assert is_still(frames)


@pytest.mark.parametrize(
    "frames", [ball(6), comes_back(), moved(right=0.1).frames_THWC], ids=["small ball", "comes back", "slow pan"]
)
def test_something_happens(frames: Frames) -> None:
    assert not is_still(frames)


def test_the_share_is_that_of_the_cells_that_change() -> None:
    frames = np.full((5, 240, 480, 3), 100, np.uint8)
    frames[3, :60, :120] = 200
    assert changed_share(frames) == pytest.approx(1 / 16)
    assert changed_share(frames[:3]) == 0.0


def test_a_tiny_picture() -> None:
    frames = np.full((2, 16, 16, 3), 100, np.uint8)
    frames[1, 0, 0] = 200
    assert changed_share(frames) == pytest.approx(1 / 256)
