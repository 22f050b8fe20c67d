"""Odd clips: a wrong label is worse than none. And some known cameras, in depth."""

from __future__ import annotations

import pytest

from rushes_vbench.metrics.camera_motion import labels_of
from rushes_vbench.metrics.trackers import LucasKanade
from rushes_vbench.metrics.view import ClipView
from tests.support.known_cameras import FPS, HEIGHT, SCENES, TRAVELS, WIDTH, cropped, flat, travel
from tests.support.odd_clips import UNSCORED, odd_clips
from tests.support.vbench_clips import texture

PICTURE, OTHER = texture(HEIGHT, WIDTH, 0), texture(HEIGHT, WIDTH, 1)
ODD = odd_clips(PICTURE, OTHER)


def said(view: ClipView) -> frozenset[str]:
    found = labels_of(view, "fixed")
    return found if isinstance(found, frozenset) else frozenset({UNSCORED})


@pytest.mark.parametrize("name", ODD)
def test_no_label_is_wrong(name: str) -> None:
    make, allowed = ODD[name]
    assert said(ClipView(make(), LucasKanade())) in allowed


@pytest.mark.parametrize("move", TRAVELS)
@pytest.mark.parametrize("scene", SCENES)
def test_travels_through_depth(scene: str, move: str) -> None:
    label, _ = TRAVELS[move]
    found = said(ClipView(SCENES[scene](PICTURE, OTHER, travel(move, 0.2, 21)), LucasKanade()))
    assert label in found or found == {UNSCORED}


def test_the_made_cameras_are_what_they_are_called() -> None:
    """Compared by pixels, without any measure."""
    pan = flat(PICTURE, "pan_right", FPS * 10 / HEIGHT, 2).frames_THWC
    assert abs(pan[1, :, 50:-50].astype(int) - pan[0, :, 60:-40]).mean() < 1.0
    window = cropped(flat(PICTURE, "static", 0.0), "tilt_up").frames_THWC
    assert abs(window[-1, 100:].astype(int) - window[0, :-100]).mean() < abs(window[-1].astype(int) - window[0]).mean()
