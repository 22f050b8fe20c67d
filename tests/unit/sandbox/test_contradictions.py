"""Prompts that no video can follow are found, and no good one is refused."""

from __future__ import annotations

import numpy as np
import pytest

from rushes_sandbox.captions import base_prompt, detailed_prompt
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.reader.contradictions import objection
from rushes_sandbox.reader.reading import read

CONTRADICTIONS = [
    "a red circle moves to the left and to the right at once",
    "a red circle moves up and down",
    "a red square changes its colour from blue to green",
    "a red circle is blue",
    "a still camera zooms in on a red circle",
    "the camera stays still and zooms out on a red circle",
    "a red circle filmed with a still camera, the camera pans to the left",
    "a red circle, the camera zooms in and zooms out",
    "the camera pans to the left and to the right over a red circle",
    "a red circle is to the left of a blue square and to the right of it",
    "a red circle is above a blue square and the blue square is above the red circle",
    "two red squares and three red squares",
    "two squares move up and three squares move down",
    "a red blue circle moves up",
    "a small big circle moves up",
    "a red circle square",
    "a red circle grows and shrinks",
    "a red circle falls up",
    "a red circle rises down",
    "a red circle falls and rises",
    "a red circle falls, bounces and stays on the floor",
    "a red circle moves to the left and does not move",
    "a red circle pushes a blue square which does not move",
    "a red circle on a grey background on a navy background",
]
INFEASIBLE = [
    "a red circle turns red",
    "a square changes its colour from red to red",
    "a red circle starts above a blue square and ends above it",
    "a red circle is to the left of a blue square, then it is to the left of it",
]
FINE = [
    "a red circle moves to the left, then to the right",
    "a red circle moves up and to the left",
    "the camera pans to the left, then to the right over a red circle",
    "a red circle turns blue, then red",
    "a red circle moves left while a blue square moves right",
    "A cat moves left while a dog moves right.",
    "a red ball is chased by a dog which runs left and right",
    "a man lifts a red cup and a blue cube falls",
    "two red squares and a red square",
    "a red circle and a blue square, the red circle moves up, the blue square moves down",
    "a red circle grows, then shrinks",
    "a red circle falls down and bounces back up",
    "a red circle moves to the left after it moves to the right",
    "a blue square moves left before moving right",
    "a red circle is above a blue square and a green cross is below it",
    "a red circle falls while a blue square rises",
    "the camera zooms in, then out on a red circle",
    "a star falls from the sky and the camera moves up",
    "the camera stays still, then zooms in on a red circle",
    "a white cube on a white background",
    "",
]


@pytest.mark.parametrize("text", CONTRADICTIONS)
def test_contradictions_are_found(text: str) -> None:
    found = objection(read(text))
    assert found is not None
    assert found.reason == "contradiction"
    assert found.detail


@pytest.mark.parametrize("text", INFEASIBLE)
def test_what_cannot_be_seen_happening_is_found(text: str) -> None:
    found = objection(read(text))
    assert found is not None
    assert found.reason == "infeasible"


@pytest.mark.parametrize("text", FINE)
def test_good_prompts_pass(text: str) -> None:
    assert objection(read(text)) is None


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_nothing_the_grammar_says_is_objected_to(dimension: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        scene = draw_scene(rng, dimension)
        for text in (base_prompt(scene, rng), detailed_prompt(scene, rng)):
            assert objection(read(text)) is None, text
