"""What the motion of points in a short stretch says of the camera: the fit, and when neither explanation holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rushes_vbench.metrics.camera_stretch import Motion, Stretch, Unclear, affine_flow, explained

F64 = npt.NDArray[np.float64]
HEIGHT, WIDTH = 480, 832
POINTS: F64 = np.random.default_rng(5).uniform((-400, -240), (400, 240), (300, 2))
LOW = POINTS[:, 1] > HEIGHT / 6


def stretch(start_N2: F64, moved_N2: F64, num_placed: int = 0, duration_s: float = 0.5) -> Stretch:
    return Stretch(start_N2, moved_N2, num_placed or len(start_N2), duration_s, (HEIGHT, WIDTH))


def jitter(deviation: float, seed: int = 1) -> F64:
    found: F64 = np.random.default_rng(seed).normal(0.0, deviation, POINTS.shape)
    return found


def is_still(found: Motion | Unclear) -> bool:
    return isinstance(found, Motion) and not found.fit_32.any()


def flight(standing: int, seed: int) -> Stretch:
    """A camera that flies forwards and to the right through depths of 1.2 to 12; some points stand, as the sky does."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(-1, 1, (100, 2)) * [416, 240]
    depth = np.exp(rng.uniform(np.log(1.2), np.log(12), 100))[:, None]
    end = (start * depth - [120.0, 24.0]) / (depth - 0.4) + rng.normal(0.0, 2.0, (100, 2))
    end[:standing] = start[:standing]
    return stretch(start, end - start)


def test_affine_flow_ignores_what_moves_by_itself() -> None:
    truth = np.array([[3.0, -2.0], [0.02, 0.01], [-0.015, 0.03]])
    moved = np.column_stack([np.ones(len(POINTS)), POINTS]) @ truth
    moved[:80] += (25.0, -13.0)
    assert np.allclose(affine_flow(POINTS, moved), truth, atol=0.03)
    plain = np.linalg.lstsq(np.column_stack([np.ones(len(POINTS)), POINTS]), moved, rcond=None)[0]
    assert abs(plain[0] - truth[0]).max() > 3.0, "least squares would be pulled far off"


@pytest.mark.parametrize("standing", [0, 2, 4, 8, 12, 20, 30, 40])
def test_a_flying_camera_is_never_still(standing: int) -> None:
    """A handful of points that stand beat no share of tight fits, be that ever so small."""
    found = [explained(flight(standing, seed)) for seed in range(40)]
    assert not any(is_still(each) for each in found)
    if standing <= 12:  # more of them may also be what stands behind something large
        assert all(isinstance(each, Motion) and each.grown > 0.02 and each.fit_32[0, 0] < -3.0 for each in found)


def test_clouds_over_a_still_ground_are_no_camera_move() -> None:
    moved = jitter(0.1)
    moved[POINTS[:, 1] < -40] += (30.0, 0.0)
    assert (moved[:, 0] > 20).mean() > 0.3
    assert is_still(explained(stretch(POINTS, moved)))


def test_the_ground_moves_under_a_still_sky() -> None:
    """Points that stand are the majority, but not those of the ground: a flight, or sideways perhaps a river."""
    flown, flowed = jitter(0.1), jitter(0.1)
    flown[LOW] += POINTS[LOW] * 0.1
    flowed[LOW] += (20.0, 0.0)
    assert (np.linalg.norm(flown, axis=1) < 1.0).mean() > 0.5
    found = explained(stretch(POINTS, flown))
    assert isinstance(found, Motion) and found.grown > 0.05
    assert explained(stretch(POINTS, flowed)) == "both"


def test_a_river_in_most_of_the_picture_is_not_the_camera() -> None:
    """The same pixels as a camera that travels sideways over a plain; a plain that grows is no river."""
    river, plain = jitter(0.1), jitter(0.1)
    below = POINTS[:, 1] > -110
    river[below] += (20.0, 0.0)
    plain[below] += POINTS[below] * 0.1
    assert 0.2 < 1.0 - below.mean() < 0.4
    assert explained(stretch(POINTS, river)) == "both"
    found = explained(stretch(POINTS, plain))
    assert isinstance(found, Motion) and found.grown > 0.05


def test_what_fills_most_of_the_picture_is_not_the_camera() -> None:
    moved = jitter(0.1)
    inside = (abs(POINTS) < (330, 200)).all(axis=1)
    moved[inside] += (20.0, 0.0)
    assert 0.5 < inside.mean() < 0.8
    assert explained(stretch(POINTS, moved)) == "both"


def test_crowds_before_a_still_camera() -> None:
    """Fewer than half stand, but the ground does, and what moves does not move together."""
    moved = jitter(15.0)
    moved[LOW] *= 0.01
    moved[:30] *= 0.01
    assert (np.linalg.norm(moved, axis=1) < 1.0).mean() < 0.5
    assert is_still(explained(stretch(POINTS, moved)))


def test_too_few_points_and_points_that_do_not_agree_have_reasons_of_their_own() -> None:
    assert explained(stretch(POINTS, jitter(30.0))) == "disagree"
    assert explained(stretch(POINTS[:5], POINTS[:5] * 0.1)) == "texture"
    assert explained(stretch(POINTS[:13], POINTS[:13] * 0.1, num_placed=100)) == "lost"
    assert explained(stretch(POINTS[:5], POINTS[:5] * 0.1, num_placed=30)) == "lost"


def test_a_slow_pan_is_not_still_in_a_short_time() -> None:
    pan = np.tile([0.9, 0.0], (len(POINTS), 1))
    assert is_still(explained(stretch(POINTS, pan)))
    found = explained(stretch(POINTS, pan, duration_s=0.0625))
    assert isinstance(found, Motion) and found.fit_32[0, 0] == pytest.approx(0.9)


def test_near_and_far_things_may_move_apart() -> None:
    """Sideways past things at many depths: their motions differ five times, but all go one way."""
    moved = jitter(0.3)
    moved[:, 0] -= np.random.default_rng(3).uniform(4.0, 40.0, len(POINTS))
    found = explained(stretch(POINTS, moved))
    assert isinstance(found, Motion) and found.fit_32[0, 0] < -10.0 and abs(found.grown) < 0.01


@pytest.mark.parametrize(("by", "grown"), [((0.05, 0.05), 0.05), ((0.0, 0.1), 0.05), ((-0.04, -0.01), -0.025)])
def test_growth_is_seen_where_opposite_sides_go_opposite_ways(by: tuple[float, float], grown: float) -> None:
    found = explained(stretch(POINTS, POINTS * by))
    assert isinstance(found, Motion) and found.grown == pytest.approx(grown, abs=1e-6)


def test_a_camera_that_rises_over_a_plain_does_not_zoom() -> None:
    moved = np.column_stack([np.zeros(len(POINTS)), (POINTS[:, 1] + 240.0) * 0.05 + 2.0])
    found = explained(stretch(POINTS, moved))
    assert isinstance(found, Motion) and found.grown == pytest.approx(0.0, abs=1e-6) and found.fit_32[0, 1] > 10.0


def test_above_and_below_leave_out_the_roll() -> None:
    turned = explained(stretch(POINTS, np.column_stack([-0.04 * POINTS[:, 1], 0.04 * POINTS[:, 0]])))
    assert isinstance(turned, Motion) and (turned.above, turned.below) == pytest.approx((0.0, 0.0), abs=1e-6)
    apart = explained(stretch(POINTS, np.column_stack([0.04 * POINTS[:, 1], np.zeros(len(POINTS))])))
    assert isinstance(apart, Motion) and apart.above < -4.0 and apart.below > 4.0
