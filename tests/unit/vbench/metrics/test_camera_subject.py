"""A subject before a moving camera: left out where the rim of the picture tells it apart, and nowhere else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rushes_vbench.metrics.camera_stretch import Motion, Stretch, explained
from rushes_vbench.metrics.camera_subject import rim_weights, without_subjects

F64 = npt.NDArray[np.float64]
HEIGHT, WIDTH = 240, 416
POINTS: F64 = np.random.default_rng(5).uniform((-205, -118), (205, 118), (400, 2))
CAMERAS: dict[str, F64] = {
    "pan": np.tile([-9.0, 0.0], (400, 1)),
    "tilt": np.tile([0.0, 7.0], (400, 1)),
    "zoom in": POINTS * 0.08,
    "zoom out": POINTS * -0.08,
}
ACTORS: dict[str, npt.NDArray[np.bool_]] = {
    "a third of the picture": (abs(POINTS[:, 0]) < 120) & (abs(POINTS[:, 1]) < 70),
    "half of it": (abs(POINTS[:, 0]) < 150) & (abs(POINTS[:, 1]) < 82),
    "one who stands at the lower edge": (abs(POINTS[:, 0]) < 80) & (POINTS[:, 1] > -70),
}
WAYS = {"along": (-24.0, 0.0), "against": (24.0, 0.0), "across": (0.0, -20.0)}


def stretch(moved_N2: F64, start_N2: F64 = POINTS) -> Stretch:
    return Stretch(start_N2, moved_N2, len(start_N2), 0.5, (HEIGHT, WIDTH))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("camera", CAMERAS)
def test_the_camera_is_found_behind_a_large_actor(camera: str, actor: str, way: str) -> None:
    moved = CAMERAS[camera].copy()
    moved[ACTORS[actor]] = WAYS[way]
    found = explained(stretch(moved))
    assert isinstance(found, Motion)
    truth = np.linalg.lstsq(np.column_stack([np.ones(400), POINTS]), CAMERAS[camera], rcond=None)[0]
    assert found.fit_32 == pytest.approx(truth, abs=0.02)


def test_a_large_and_a_smaller_actor_are_left_out_one_after_the_other() -> None:
    moved = CAMERAS["pan"].copy()
    sizes = ((-80, (80.0, 85.0)), (100, (45.0, 60.0)))
    left, right = (np.linalg.norm((POINTS - (x, 20)) / size, axis=1) < 1 for x, size in sizes)
    moved[left], moved[right] = (24.0, 0.0), (0.0, -20.0)
    kept = without_subjects(stretch(moved))
    assert len(kept.start_N2) == 400 - (left | right).sum() == kept.num_placed
    assert (kept.moved_N2 == (-9.0, 0.0)).all()


@pytest.mark.parametrize("standing", ["the rim", "what is inside it"])
def test_nothing_is_left_out_where_something_stands(standing: str) -> None:
    """A window frame before a moving camera, and a bonnet or a subtitle: neither is an actor."""
    moved = CAMERAS["pan"].copy()
    inside = ACTORS["a third of the picture"]
    moved[~inside if standing == "the rim" else inside] = 0.0
    assert len(without_subjects(stretch(moved)).start_N2) == 400


def test_a_lively_part_of_the_rim_counts_no_more_than_the_rest() -> None:
    """Most corners are on an actor at the right edge; the rim is told by its sectors."""
    crowd = np.random.default_rng(6).uniform((110, -70), (205, 70), (900, 2))
    start = np.vstack([POINTS, crowd])
    moved = np.vstack([CAMERAS["tilt"], np.tile([-24.0, 0.0], (900, 1))])
    moved[:400][(POINTS > (110, -70)).all(axis=1) & (POINTS[:, 1] < 70)] = (-24.0, 0.0)
    found = explained(stretch(moved, start))
    assert isinstance(found, Motion) and found.fit_32[0] == pytest.approx((0.0, 7.0), abs=0.1)


def test_weights_of_the_rim() -> None:
    weight_N = rim_weights(stretch(CAMERAS["pan"]))
    outer = (abs(POINTS) > (WIDTH * 3 / 8, HEIGHT * 3 / 8)).any(axis=1)
    assert weight_N.sum() == pytest.approx(1.0) and not weight_N[~outer].any()
    few = POINTS[POINTS[:, 0] > 100]
    assert not rim_weights(stretch(np.zeros_like(few), few)).any(), "one side of the picture tells nothing of its rim"
