"""Camera_Motion from pixels: synthetic pans, tilts, zooms, orbits and still shots of textured pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from rushes.records import Scored, Unscored
from rushes.roles import Video
from rushes_vbench.metrics.camera_motion import camera_motion, labels_of
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.trackers import LucasKanade
from rushes_vbench.metrics.view import ClipView
from tests.support.vbench_clips import HEIGHT, WIDTH, flat, moved, orbit, texture


def view(video: Video) -> ClipView:
    return ClipView(video, LucasKanade())


def labels(video: Video, profile: Profile) -> set[str] | None:
    found = labels_of(view(video), profile)
    return set(found) if isinstance(found, frozenset) else None


MOVES: dict[str, tuple[Callable[[], Video], set[str]]] = {
    "still": (partial(moved), {"static"}),
    "pan right": (partial(moved, right=-1.5), {"pan_right"}),
    "pan left": (partial(moved, right=1.5), {"pan_left"}),
    "tilt up": (partial(moved, down=1.2), {"tilt_up"}),
    "tilt down": (partial(moved, down=-1.2), {"tilt_down"}),
    "zoom in": (partial(moved, grow=0.006), {"zoom_in"}),
    "zoom out": (partial(moved, grow=-0.006), {"zoom_out"}),
    "oblique": (partial(moved, grow=0.006, down=0.8), {"zoom_in", "tilt_up", "oblique"}),
    "roll": (partial(moved, roll=0.004), set()),
}


@pytest.mark.parametrize("name", MOVES)
def test_fixed_finds_exactly_the_move(name: str) -> None:
    motion, expected = MOVES[name]
    assert labels(motion(), "fixed") == expected


@pytest.mark.parametrize("name", ["pan right", "pan left", "tilt up", "tilt down"])
def test_compat_finds_pans_and_tilts(name: str) -> None:
    motion, expected = MOVES[name]
    assert labels(motion(), "compat") == expected


def test_compat_keeps_the_official_leaks() -> None:
    zoom = labels(moved(grow=0.006), "compat")
    assert zoom is not None and {"zoom_in", "pan_left", "tilt_up", "oblique"} == zoom
    assert labels(moved(), "compat") == set(), "officially a still clip above 20 frames is not static"


@pytest.mark.parametrize("degrees_per_frame", [0.5, -1.0])
def test_orbit_around_a_tower(degrees_per_frame: float) -> None:
    assert labels(orbit(degrees_per_frame), "fixed") == {"orbits"}


def test_rates_are_those_of_the_clip() -> None:
    pan = view(moved(right=1.5)).path
    zoom = view(moved(grow=0.006)).path
    assert pan is not None and pan.right == pytest.approx(1.5 * 16 / HEIGHT, rel=0.03)
    assert zoom is not None and zoom.grow == pytest.approx(0.006 * 16, rel=0.05)
    assert pan.grow == pytest.approx(0.0, abs=0.003)


def test_half_the_frame_rate_is_the_same_move() -> None:
    video = moved(right=1.0)
    halved = Video(video.frames_THWC[::2], video.fps / 2)
    whole, half = view(video).path, view(halved).path
    assert whole is not None and half is not None and half.right == pytest.approx(whole.right, rel=0.05)


def test_a_thing_that_moves_is_not_the_camera() -> None:
    frames = moved().frames_THWC.copy()
    thing = texture(60, 60, seed=9)
    for t, frame in enumerate(frames):
        frame[40:100, 10 + 6 * t : 70 + 6 * t] = thing
    assert labels(Video(frames, 16.0), "fixed") == {"static"}


def test_after_a_cut_the_longest_scene_counts() -> None:
    first, second = moved(right=2.0, seed=1), moved(down=1.2, seed=2)
    frames = np.concatenate([first.frames_THWC[:9] // 4, second.frames_THWC])
    assert labels(Video(frames, 16.0), "fixed") == {"tilt_up"}


@pytest.mark.parametrize("profile", ["compat", "fixed"])
def test_no_texture_is_unscored(profile: Profile) -> None:
    found = camera_motion(view(flat()), "static", profile)
    assert isinstance(found, Unscored) and "too little texture" in found.reason


@pytest.mark.parametrize("profile", ["compat", "fixed"])
def test_texture_that_cannot_be_followed_is_another_reason(profile: Profile) -> None:
    frames = np.stack([texture(HEIGHT, WIDTH, seed=t) for t in range(9)])
    found = camera_motion(view(Video(frames, 16.0)), "static", profile)
    assert isinstance(found, Unscored) and "has texture" in found.reason


def test_value_and_parts() -> None:
    pan = view(moved(right=-1.5))
    right, left = (camera_motion(pan, label, "fixed") for label in ("pan_right", "pan_left"))
    assert isinstance(right, Scored) and right.value == 1.0 and right.parts[0].name == "found pan_right"
    assert isinstance(left, Scored) and left.value == 0.0


def test_two_frames_are_enough() -> None:
    frames = moved(right=-3.0).frames_THWC[:2]
    assert labels(Video(frames, 4.0), "fixed") == {"pan_right"}
    assert frames.shape[1:3] == (HEIGHT, WIDTH)
