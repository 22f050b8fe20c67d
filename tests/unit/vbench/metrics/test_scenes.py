"""Cuts: the official rule, and the one that fast motion does not set off."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from rushes_vbench.metrics.scenes import changes, first_cut, longest_scene
from tests.support.vbench_clips import moved


def test_changes_are_mean_differences_in_hsv() -> None:
    frames = np.zeros((3, 20, 20, 3), np.uint8)
    frames[1] = frames[2] = (200, 100, 50)
    hue, saturation, value = colorsys.rgb_to_hsv(200 / 255, 100 / 255, 50 / 255)
    expected = (hue * 180 + saturation * 255 + value * 255) / 3
    assert changes(frames) == pytest.approx([0.0, expected, 0.0], abs=0.5)


def test_large_pictures_are_shrunk() -> None:
    frames = np.repeat(np.repeat(moved(right=2.0).frames_THWC[:3], 3, axis=1), 3, axis=2)
    assert changes(frames).shape == (3,) and changes(frames)[0] == 0.0


def test_the_first_cut_needs_quiet_before_it() -> None:
    assert first_cut(np.array([0.0] * 30), 5.0) is None
    quiet = np.zeros(40)
    quiet[20] = 9.0
    assert first_cut(quiet, 5.0) == 20
    assert first_cut(quiet, 9.5) is None
    quiet[10] = 9.0
    assert first_cut(quiet, 5.0) is None, "10 is too early, and 20 too soon after it"
    quiet[35] = 5.0
    assert first_cut(quiet, 5.0) == 35


def test_longest_scene() -> None:
    steady = np.full(40, 12.0)
    assert longest_scene(steady) == range(0, 40)
    fast = np.full(40, 40.0)
    assert longest_scene(fast) == range(0, 40), "fast motion is not a cut"
    steady[30] = 90.0
    assert longest_scene(steady) == range(0, 30)
    steady[10] = 90.0
    assert longest_scene(steady) == range(10, 30)
    assert longest_scene(np.array([0.0, 1.0])) == range(0, 2)
