"""What prompts ask for: a camera motion, numbers of things. Nothing is guessed where the words do not say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.records import Unscored
from rushes_vbench.catalogue import dimensions
from rushes_vbench.judges.asked_camera import asked_motion
from rushes_vbench.judges.asked_counts import asked_counts
from rushes_vbench.metrics.counts import expected_counts
from rushes_vbench.suite import read_suite

SEEDS = {each.name: each.examples for each in dimensions()}

MOTIONS = {
    "A market at dawn. The camera slowly pans across the stalls to the left.": "pan_left",
    "A pier, panning right at an even pace": "pan_right",
    "The shot tilts upward from the doors to the spire": "tilt_up",
    "A waterfall; the camera gently tilts down": "tilt_down",
    "A wide shot: the camera gently pushes in on a violin": "zoom_in",
    "The camera pulls back from a chessboard": "zoom_out",
    "A bakery window, static camera": "static",
    "The camera does not move while trains pass": "static",
    "The camera circles slowly around a bronze horse": "orbits",
    "A canyon, oblique shot from a drone": "oblique",
}


@pytest.mark.parametrize(("text", "label"), MOTIONS.items())
def test_a_motion_is_read(text: str, label: str) -> None:
    assert asked_motion(text) == label


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A planet orbits the sun", "names no camera motion"),
        ("A frying pan left on the stove smokes", "names no camera motion"),
        ("A market; the camera never pans to the left", "names no camera motion"),
        ("A hall, without zooming in", "names no camera motion"),
        ("The camera circles the statue and then zooms in", "several camera motions (zoom_in, orbits)"),
        ("The camera pans left, then pans right", "several camera motions (pan_left, pan_right)"),
    ],
)
def test_a_motion_is_not_guessed(text: str, says: str) -> None:
    found = asked_motion(text)
    assert isinstance(found, Unscored) and says in found.reason


def test_the_catalogue_s_own_camera_prompts_are_read() -> None:
    assert [asked_motion(text) for text in SEEDS["Camera_Motion"]] == ["pan_left", "orbits", "tilt_up", "zoom_out"]


COUNTS = {
    "Two red balloons rise over a town": {"red balloon": 2},
    "A pair of swans glide on a lake": {"swan": 2},
    "A group of five cyclists climbs a pass": {"cyclist": 5},
    "a dozen eggs lie in a carton": {"egg": 12},
    "exactly 4 red apples lie on a table": {"red apple": 4},
    "Three glass marbles roll past two wooden blocks": {"glass marble": 3, "wooden block": 2},
    "A red kite and a blue kite fly over a field": {"red kite": 1, "blue kite": 1},
    "A drop of water falls on a leaf": {"drop of water": 1},
    "Two children and a dog run along a beach": {"child": 2, "dog": 1},
    "A man in a hat walks past a shop": {"man": 1},
}


@pytest.mark.parametrize(("text", "counts"), COUNTS.items())
def test_numbers_of_things_are_read(text: str, counts: dict[str, int]) -> None:
    assert asked_counts(text) == counts


@pytest.mark.parametrize(
    "text",
    [
        "A flock of birds over a lake",
        "Many lanterns float away",
        "At least two boats leave",
        "Two or three boats leave",
        "Two minutes of rain",
        "One by one the candles go out",
        "40 runners start",
    ],
)
def test_numbers_are_not_guessed(text: str) -> None:
    assert isinstance(asked_counts(text), Unscored)


def test_two_numbers_of_one_thing_are_none() -> None:
    found = asked_counts("Two boats leave and three boats return")
    assert isinstance(found, Unscored) and "two numbers of 'boat': 2 and 3" in found.reason


def test_the_catalogue_s_own_counting_prompts_are_read() -> None:
    found = [asked_counts(text) for text in SEEDS["Instance_Preservation"]]
    assert found == [{"duck": 4}, {"marble": 3}, {"kite": 2}, {"egg": 5}]


def test_the_suite_s_references_are_what_its_prompts_say(shared_data: Path) -> None:
    folder = shared_data / "vbench2"
    if not folder.is_dir():
        pytest.skip("the suite is not there")
    suite = read_suite(str(folder))
    camera = [asked_motion(each.prompt) == each.reference[0] for each in suite.of("Camera_Motion")]
    assert all(camera) and len(camera) == 108
    counts = [
        found == expected_counts(each.reference[0])
        for each in suite.of("Instance_Preservation")
        if not isinstance(found := asked_counts(each.prompt), Unscored)
    ]
    assert all(counts) and len(counts) == 56, "one of 57 has a singular with a plural's ending, and is left out"
