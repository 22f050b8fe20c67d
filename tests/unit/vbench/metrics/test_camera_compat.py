"""Golden camera labels of the official rules, from synthetic tracks of a 720 x 1280 picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rushes_vbench.metrics.camera_compat import camera_labels, has_orbit, official_grid

HEIGHT, WIDTH = 720, 1280
F64 = npt.NDArray[np.float64]


def tracks(num_frames: int, *, right: float = 0.0, down: float = 0.0, zoom: float = 1.0, shear: float = 0.0) -> F64:
    """The official grid under a motion: pixels per frame; zoom over the whole clip; shear at top and bottom row."""
    grid = official_grid(HEIGHT, WIDTH)
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    lean = (grid[:, 1] - HEIGHT / 2) / (grid[-1, 1] - HEIGHT / 2)
    steps = []
    for t in range(num_frames):
        scale = 1.0 + (zoom - 1.0) * t / max(1, num_frames - 1)
        moved = middle + (grid - middle) * scale + t * np.array([right, down])
        moved[:, 0] += shear * t * lean
        steps.append(moved)
    return np.stack(steps)


def labels(num_frames: int = 81, **motion: float) -> set[str]:
    return set(camera_labels(tracks(num_frames, **motion), HEIGHT, WIDTH))


def test_the_grid_is_that_of_the_official_tracker() -> None:
    grid = official_grid(384, 512)
    assert grid.shape == (100, 2)
    assert grid[0].tolist() == [8.0, 8.0] and grid[99].tolist() == [504.0, 376.0]
    assert grid[1, 0] > grid[0, 0] and grid[1, 1] == grid[0, 1]


def test_golden_sets() -> None:
    assert labels() == set()
    assert labels(20) == {"static"}
    assert labels(21) == set()
    assert labels(right=-1.0) == {"pan_right"}
    assert labels(right=1.0) == {"pan_left"}
    assert labels(down=1.0) == {"tilt_up"}
    assert labels(down=-1.0) == {"tilt_down"}
    assert labels(zoom=1.16) == {"zoom_in", "pan_left", "tilt_up", "oblique"}
    assert labels(zoom=0.84) == {"zoom_out", "pan_right", "tilt_down"}
    assert labels(shear=0.4) == {"orbits"}
    assert labels(zoom=1.04) == {"zoom_in"}


def test_thresholds_are_strict_and_positions_are_cut_to_integers() -> None:
    grid = official_grid(HEIGHT, WIDTH)
    for moved, expected in ((3.0, {"static"}), (4.0, {"pan_left"})):
        end = np.trunc(grid) + np.array([moved, 0.0])
        assert set(camera_labels(np.stack([np.trunc(grid), end]), HEIGHT, WIDTH)) == expected


def test_orbit_alone() -> None:
    assert has_orbit(tracks(81, shear=0.4), HEIGHT, WIDTH)
    assert has_orbit(tracks(81, shear=-0.4), HEIGHT, WIDTH)
    assert not has_orbit(tracks(20, shear=2.0), HEIGHT, WIDTH)
    assert not has_orbit(tracks(81, shear=0.4, down=1.0), HEIGHT, WIDTH)
    assert not has_orbit(tracks(81, right=1.0), HEIGHT, WIDTH)


def test_probes_outside_the_picture_make_no_orbit_test() -> None:
    outside = tracks(41) + np.array([5000.0, 0.0])
    assert set(camera_labels(outside, HEIGHT, WIDTH)) == {"static"}


def test_wrong_shape() -> None:
    with pytest.raises(ValueError, match=r"expected tracks of shape \(T, 100, 2\)"):
        camera_labels(np.zeros((5, 99, 2)), HEIGHT, WIDTH)
