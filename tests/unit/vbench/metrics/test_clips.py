"""Real clips with known camera prompts: the clear ones must be told. Skipped where the clips are not there.

Looked at by eye: the ant, the snowman and the balloons are seen by a camera that stands still, while the subject
moves; the flight towards Machu Picchu and towards the cheese comes closer. Two clips do not show what their prompts ask
for ("Pyramid, pan right" stands still, "Alhambra, zoom out" slides past a pillar), so they must not get the score; what
near and far things do in the second fits no one motion, so it has none.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.store.video import read_video
from rushes_vbench.metrics.camera_motion import labels_of
from rushes_vbench.metrics.stillness import MIN_SHARE, changed_share
from rushes_vbench.metrics.trackers import LucasKanade
from rushes_vbench.metrics.view import ClipView

CLIPS = Path(__file__).resolve().parents[5] / "shared" / "clips"
EXPECTED = {
    "ant": {"static"},
    "snowman": {"static"},
    "red balloons": {"static"},
    "Machu Picchu, zoom in": {"zoom_in"},
    "cheese": {"zoom_in"},
}

pytestmark = pytest.mark.skipif(not CLIPS.is_dir(), reason="the sample clips are not there")


def seen(words: str) -> set[str] | None:
    (path,) = (each for each in CLIPS.glob("*.mp4") if words in each.name)
    found = labels_of(ClipView(read_video(path), LucasKanade()), "fixed")
    return set(found) if isinstance(found, frozenset) else None


@pytest.mark.parametrize("words", EXPECTED)
def test_clear_clips(words: str) -> None:
    assert seen(words) == EXPECTED[words]


@pytest.mark.parametrize(("words", "asked"), [("Pyramid, pan right", "pan_right"), ("Alhambra, zoom out", "zoom_out")])
def test_clips_that_do_not_follow_their_prompt(words: str, asked: str) -> None:
    found = seen(words)
    assert found is None or asked not in found
    assert found == {"static"} or words.startswith("Alhambra")


@pytest.mark.parametrize("words", ["ant", "snowman", "red balloons", "cheese"])
def test_something_happens_in_front_of_a_still_camera_too(words: str) -> None:
    (path,) = (each for each in CLIPS.glob("*.mp4") if words in each.name)
    frames = read_video(path).frames_THWC
    assert changed_share(frames) > 20 * MIN_SHARE
    assert changed_share(frames[:1].repeat(9, axis=0)) == 0.0
