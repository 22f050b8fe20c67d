"""Multi-View_Consistency: golden gaps and strides, values, and what it says about real and flat orbits."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.records import Outcome, Scored, Unscored
from rushes.roles import Video
from rushes_vbench.metrics import multi_view as module
from rushes_vbench.metrics.core import Profile, is_not_applicable
from rushes_vbench.metrics.models import Matches
from rushes_vbench.metrics.motion_models import DenseInverseSearch, SiftRansac
from rushes_vbench.metrics.multi_view import (
    even_pairs,
    flow_strength,
    multi_view_consistency,
    official_pairs,
    official_value,
    rigid_outcome,
)
from rushes_vbench.metrics.trackers import LucasKanade
from rushes_vbench.metrics.view import ClipView
from tests.support.vbench_clips import HEIGHT, WIDTH, flat, moved, orbit


@pytest.mark.parametrize(("num_frames", "fps", "g", "k", "num_pairs"), [(129, 24.0, 13, 8, 15), (81, 16.0, 20, 3, 21)])
def test_golden_gaps(num_frames: int, fps: float, g: int, k: int, num_pairs: int) -> None:
    pairs = official_pairs(num_frames, fps, 10.0)
    assert pairs[0] == (0, g) and pairs[1] == (k, k + g) and len(pairs) == num_pairs
    assert pairs[-1][1] <= num_frames - 1


def test_slow_frame_rates_are_left_out_officially() -> None:
    assert official_pairs(49, 8.0, 10.0) == []
    assert official_pairs(49, 8.0, 17.0) != []
    assert official_pairs(3, 16.0, 30.0) == []
    assert official_pairs(600, 999.0, 30.0) == [], "a gap of no frame compares nothing"


def test_pairs_end_with_the_first_scene() -> None:
    assert max(i for i, _ in official_pairs(129, 24.0, 10.0, scene_end=40)) == 40
    assert official_pairs(129, 24.0, 10.0, scene_end=0) == []


def test_even_pairs_do_not_depend_on_the_frame_rate() -> None:
    slow, fast = even_pairs(41, 8.6), even_pairs(81, 4.3)
    assert slow[0] == (0, 5) and fast[0] == (0, 10)
    assert slow[-1][1] == 40 and fast[-1][1] == 80 and len(slow) == len(fast) == 12
    assert even_pairs(10, 0.1) == []


def test_values() -> None:
    assert official_value(20.0, [375, 375]) == pytest.approx(0.5)
    assert official_value(5.0, [2000, 0]) == pytest.approx(0.5)
    flow = np.zeros((10, 20, 2), np.float32)
    flow[0, :10] = (3.0, 4.0)
    assert flow_strength(flow) == pytest.approx(5.0)


def test_rigid_outcome() -> None:
    good = rigid_outcome([Matches(100, 90, 45)] * 3)
    assert isinstance(good, Scored) and good.value == pytest.approx(0.9)
    assert is_not_applicable(rigid_outcome([Matches(100, 90, 89)] * 3))
    few = rigid_outcome([Matches(100, 90, 45), Matches(5, 5, 5)])
    assert isinstance(few, Unscored) and not is_not_applicable(few)


def test_a_handful_of_points_shows_no_parallax() -> None:
    """Matches by chance: a few fit a rigid motion, and fewer a plane."""
    for by_chance in (Matches(900, 20, 6), Matches(3000, 70, 12)):
        found = rigid_outcome([by_chance] * 3)
        assert isinstance(found, Unscored) and not is_not_applicable(found)
        mixed = rigid_outcome([Matches(100, 90, 45)] * 2 + [by_chance] * 2)
        assert isinstance(mixed, Scored) and mixed.value == pytest.approx(
            0.45 + by_chance.num_epipolar / by_chance.num_matches / 2
        )
        assert mixed.parts[1].value == pytest.approx(0.5)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller views and fewer pairs: SIFT at full size takes seconds a clip."""
    monkeypatch.setattr(module, "SIZE", (WIDTH, HEIGHT))
    monkeypatch.setattr(module, "MAX_PAIRS", 4)


def measured(video: Video, profile: Profile) -> Outcome:
    view = ClipView(video, LucasKanade())
    return multi_view_consistency(view, profile, DenseInverseSearch(), SiftRansac(600))


@pytest.mark.usefixtures("_quick")
def test_a_rigid_world_is_consistent_and_a_boiling_one_less() -> None:
    video = orbit(0.5)
    video = Video(video.frames_THWC[:17], video.fps)
    found = measured(video, "fixed")
    assert isinstance(found, Scored) and found.value > 0.75
    rng = np.random.default_rng(0)
    boiling = [np.roll(frame, rng.integers(-9, 10), axis=0) for frame in video.frames_THWC[:, :, 110:210]]
    mixed = video.frames_THWC.copy()
    mixed[:, :, 110:210] = boiling
    worse = measured(Video(mixed, video.fps), "fixed")
    assert isinstance(worse, Scored) and worse.value < found.value - 0.03


@pytest.mark.parametrize("profile", ["compat", "fixed"])
def test_what_does_not_orbit_is_not_applicable(profile: Profile) -> None:
    assert is_not_applicable(measured(moved(right=1.0), profile))


@pytest.mark.usefixtures("_quick")
def test_a_flat_picture_that_shears_shows_no_third_dimension() -> None:
    found = measured(moved(shear=2.5), "fixed")
    assert isinstance(found, Unscored) and "parallax" in found.reason


@pytest.mark.parametrize("profile", ["compat", "fixed"])
def test_no_texture(profile: Profile) -> None:
    found = measured(flat(), profile)
    assert isinstance(found, Unscored) and "texture" in found.reason


def test_compat_scores_a_fast_orbit() -> None:
    video = moved(shear=4.0)
    found = measured(Video(video.frames_THWC, 24.0), "compat")
    assert isinstance(found, Scored) and 0.0 < found.value <= 1.0
    assert [part.name for part in found.parts] == ["motion", "matched points"]


def test_blank_pictures_match_nowhere() -> None:
    blank = flat().frames_THWC
    assert SiftRansac().match(blank[0], blank[1]) == Matches(0, 0, 0)


def test_flow_of_a_shift() -> None:
    frames = moved(right=2.0).frames_THWC
    flow = DenseInverseSearch().pair(frames[0], frames[1])
    assert flow.shape == (*frames.shape[1:3], 2)
    assert np.median(flow[20:-20, 20:-20], axis=(0, 1)) == pytest.approx([2.0, 0.0], abs=0.15)
