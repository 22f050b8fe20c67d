"""The camera's path: the sum of its stretches, and the labels."""

from __future__ import annotations

import numpy as np
import pytest

from rushes_vbench.metrics.camera_path import CameraPath, camera_path, path_labels
from rushes_vbench.metrics.camera_stretch import Motion, Unclear

M = 480.0
STILL = Motion(np.zeros((3, 2)), 0.0, 0.0, 0.0)
LEFT = Motion(np.array([[4.8, 0.0], [0.0, 0.0], [0.0, 0.0]]), 0.0, 4.8, 4.8)
RIGHT = Motion(-LEFT.fit_32, 0.0, -4.8, -4.8)


def path(**rates: float) -> CameraPath:
    none = dict.fromkeys(("right", "down", "grow", "roll", "above", "below", "speed"), 0.0)
    return CameraPath(**{**none, "moving": 1.0, "told": 1.0, **rates})


def summed(*motions: Motion | Unclear, least_s: float = 0.0) -> CameraPath | Unclear:
    return camera_path([(each, 0.5) for each in motions], M, least_s)


def test_path_is_a_sum_per_second_of_what_is_known() -> None:
    found = summed(LEFT, LEFT, "disagree")
    assert isinstance(found, CameraPath)
    assert (found.right, found.above, found.speed) == pytest.approx((0.02, 0.02, 0.02)) and found.down == 0.0
    assert found.moving == 1.0 and found.told == pytest.approx(2 / 3)


def test_too_little_is_known() -> None:
    assert summed(LEFT, "both", "disagree", "disagree") == "disagree"
    assert summed("texture", "both", "both") == "both"


def test_the_longest_part_between_cuts_counts() -> None:
    found = summed(RIGHT, "lost", LEFT, LEFT, "lost", RIGHT)
    assert isinstance(found, CameraPath) and found.right == pytest.approx(0.02)
    assert summed(RIGHT, "lost", LEFT, LEFT, "lost", RIGHT, least_s=1.1) == "lost"
    assert summed(least_s=0.1) == summed("lost", least_s=0.1) == "lost"


def test_there_and_back_is_no_pan_and_not_still() -> None:
    found = summed(*[Motion(10 * each.fit_32, 0.0, 0.0, 0.0) for each in (LEFT, LEFT, RIGHT, RIGHT, RIGHT)])
    assert isinstance(found, CameraPath) and found.right == 0.0 and found.speed == pytest.approx(0.2)
    assert path_labels(found) == frozenset()


def test_one_stretch_that_is_amiss_moves_no_still_camera() -> None:
    amiss = summed(STILL, STILL, STILL, STILL, Motion(5 * LEFT.fit_32, 0.0, 24.0, 24.0))
    assert isinstance(amiss, CameraPath) and amiss.right > 0.012 and path_labels(amiss) == {"static"}
    quick = summed(STILL, STILL, STILL, STILL, Motion(20 * LEFT.fit_32, 0.0, 96.0, 96.0))
    assert isinstance(quick, CameraPath) and path_labels(quick) == {"pan_left"}


def test_a_camera_is_still_only_if_enough_is_known() -> None:
    found = summed(STILL, STILL, "disagree")
    assert isinstance(found, CameraPath) and path_labels(found) == "disagree"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (path(), {"static"}),
        (path(right=0.05), {"pan_left"}),
        (path(right=-0.05), {"pan_right"}),
        (path(down=0.05), {"tilt_up"}),
        (path(down=-0.05), {"tilt_down"}),
        (path(grow=0.05), {"zoom_in"}),
        (path(grow=-0.05), {"zoom_out"}),
        (path(right=0.011, down=-0.011, grow=0.02), {"static"}),
        (path(right=0.0, speed=0.04), set()),
        (path(right=0.1, down=0.02), {"pan_left"}),
        (path(right=0.1, down=0.06), {"pan_left", "tilt_up"}),
        (path(grow=0.1, down=0.05), {"zoom_in", "tilt_up", "oblique"}),
        (path(above=-0.02, below=0.12, right=0.05), {"orbits"}),
        (path(above=-0.02, below=0.12, grow=0.3), {"zoom_in"}),
        (path(above=0.02, below=0.12, right=0.05), {"pan_left"}),
        (path(above=-0.005, below=0.12, right=0.05), {"pan_left"}),
        (path(above=-0.02, below=-0.02), set()),
        (path(roll=0.1), set()),
    ],
)
def test_labels(found: CameraPath, expected: set[str]) -> None:
    assert path_labels(found) == expected
