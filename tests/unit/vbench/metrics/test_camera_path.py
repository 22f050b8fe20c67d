"""The camera's path: the fit against known motions, and the labels."""

from __future__ import annotations

import numpy as np
import pytest

from rushes_vbench.metrics.camera_path import CameraPath, Stretch, affine_flow, camera_path, explained, path_labels

M = 480.0
RNG = np.random.default_rng(5)
POINTS = RNG.uniform((-400, -240), (400, 240), (200, 2))


def path(**rates: float) -> CameraPath:
    return CameraPath(**{**dict.fromkeys(("right", "down", "grow", "roll", "shear"), 0.0), **rates})


def test_affine_flow_ignores_what_moves_by_itself() -> None:
    truth = np.array([[3.0, -2.0], [0.02, 0.01], [-0.015, 0.03]])
    moved = np.column_stack([np.ones(len(POINTS)), POINTS]) @ truth
    moved[:60] += (25.0, -13.0)
    assert np.allclose(affine_flow(Stretch(POINTS, moved)), truth, atol=0.03)
    plain = np.linalg.lstsq(np.column_stack([np.ones(len(POINTS)), POINTS]), moved, rcond=None)[0]
    assert abs(plain[0] - truth[0]).max() > 3.0, "least squares would be pulled far off"


def test_clouds_over_a_still_ground_are_no_camera_move() -> None:
    moved = RNG.normal(0.0, 0.1, POINTS.shape)
    moved[POINTS[:, 1] < -40] += (30.0, 0.0)
    assert (moved[:, 0] > 20).mean() > 0.3
    fit = explained(Stretch(POINTS, moved), M)
    assert fit is not None and not fit.any()


def test_points_that_do_not_agree_explain_nothing() -> None:
    assert explained(Stretch(POINTS, RNG.normal(0.0, 30.0, POINTS.shape)), M) is None
    assert explained(Stretch(POINTS[:5], POINTS[:5] * 0.1), M) is None


def test_path_is_a_sum_per_second() -> None:
    step = Stretch(POINTS, np.tile([4.8, 0.0], (200, 1)))
    unclear = Stretch(POINTS[:3], POINTS[:3])
    found = camera_path([step, step, unclear], 1.5, M)
    assert found is not None and found.right == pytest.approx(0.02) and found.down == pytest.approx(0.0, abs=1e-9)
    assert camera_path([step, unclear, unclear], 1.5, M) is None
    assert camera_path([], 1.0, M) is None


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
        (path(right=0.1, down=0.02), {"pan_left"}),
        (path(right=0.1, down=0.06), {"pan_left", "tilt_up"}),
        (path(grow=0.1, down=0.05), {"zoom_in", "tilt_up", "oblique"}),
        (path(shear=0.2, right=0.05), {"orbits"}),
        (path(shear=0.2, grow=0.2), {"zoom_in"}),
        (path(roll=0.1), set()),
    ],
)
def test_labels(found: CameraPath, expected: set[str]) -> None:
    assert set(path_labels(found)) == expected
