"""The truth agrees with the grammar's own answers, and knows what breakages change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rushes_sandbox.animate import Tracks, animate
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.questions import Check, checks
from rushes_sandbox.scene import COLOUR_RGB, Action, Scene, Thing
from rushes_sandbox.truth import Witness, truth

RED = Thing("circle", "red", "medium", -14.0, 0.0)
BLUE = Thing("square", "blue", "medium", 14.0, 12.0)


def scene_of(*things: Thing, actions: tuple[Action, ...] = ()) -> Scene:
    return Scene("Simple", things, actions, "grey")


def answers(scene: Scene, tracks: Tracks, *asked: Check) -> list[bool | None]:
    return [truth(check, scene, tracks) for check in asked]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_agrees_with_the_grammar_on_every_check(dimension: str) -> None:
    rng = np.random.default_rng(DIMENSIONS.index(dimension))
    wrong = []
    for _ in range(150):
        scene = draw_scene(rng, dimension)
        witness = Witness(scene, animate(scene))
        wrong += [(check, scene) for check, answer in checks(scene, rng) if witness.answer(check) is not answer]
    assert not wrong


def test_no_thing_no_true_statement_about_it() -> None:
    scene = scene_of(RED, actions=(Action(0, "right", amount=26.0),))
    tracks = animate(scene)
    absent = [
        Check("exists", "blue circle"),
        Check("moves", "red square", value="right"),
        Check("relation", "red circle", "blue square", "left", "start"),
        Check("count", "green crosses", value="one"),
        Check("bounces", "green cross"),
        Check("grows", "green cross"),
        Check("touches", "red circle", "green cross"),
    ]
    assert answers(scene, tracks, *absent) == [False] * len(absent)
    assert truth(Check("moves", "red circle", value="right"), scene, tracks) is True


def test_a_moving_camera_makes_motion_and_size_ill_posed_but_not_presence() -> None:
    scene = replace(scene_of(RED), camera="pan_left", camera_amount=20.0)
    moves, grows = Check("moves", "red circle", value="right"), Check("grows", "red circle")
    there, pans, still = (
        Check("exists", "red circle"),
        Check("camera", value="pan_left"),
        Check("camera", value="still"),
    )
    assert answers(scene, animate(scene), moves, grows, there, pans, still) == [None, None, True, True, False]


def test_borderlines_are_not_answered() -> None:
    short = scene_of(RED, actions=(Action(0, "right", amount=5.0),))
    diagonal = scene_of(RED, actions=(Action(0, "right", amount=20.0), Action(0, "down", amount=20.0)))
    asked = Check("moves", "red circle", value="right")
    assert truth(asked, short, animate(short)) is None
    assert truth(asked, diagonal, animate(diagonal)) is None
    beside = scene_of(RED, replace(BLUE, x=0.0, y=13.0))
    assert truth(Check("relation", "red circle", "blue square", "left", "start"), beside, animate(beside)) is None


def test_vanishing_midway() -> None:
    scene = scene_of(RED, BLUE, actions=(Action(0, "right", amount=26.0),))
    tracks = animate(scene)
    tracks.x_KT[0, 6:] = 1000.0
    asked = [
        Check("exists", "red circle"),
        Check("moves", "red circle", value="right"),
        Check("count", "red circles", value="one"),
        Check("relation", "red circle", "blue square", "left", "start"),
        Check("relation", "red circle", "blue square", "left", "end"),
        Check("exists", "blue square"),
    ]
    assert answers(scene, tracks, *asked) == [False, False, False, True, False, True]


def test_splitting_in_two() -> None:
    scene = scene_of(RED, RED, actions=(Action(0, "right", amount=26.0), Action(1, "right", amount=26.0)))
    tracks = animate(scene)
    tracks.x_KT[1, :6] = 1000.0
    tracks.y_KT[1, 6:] -= np.linspace(2, 24, 11, dtype=np.float32)
    asked = [
        Check("count", "red circles", value="one"),
        Check("count", "red circles", value="two"),
        Check("exists", "red circle"),
        Check("moves", "red circle", value="right"),
        Check("moves", "red circle", value="right", when="first"),
    ]
    assert answers(scene, tracks, *asked) == [False, False, True, False, None]


def test_jumping_is_not_moving() -> None:
    scene = scene_of(RED)
    tracks = animate(scene)
    tracks.x_KT[0, 8:] += 24.0
    assert truth(Check("moves", "red circle", value="right"), scene, tracks) is False


def test_changing_colour_midway() -> None:
    scene = scene_of(RED)
    tracks = animate(scene)
    tracks.rgb_KT3[0, 8:] = COLOUR_RGB["blue"]
    asked = [
        Check("colour", "circle", value="red", when="start"),
        Check("colour", "circle", value="red", when="end"),
        Check("colour", "circle", value="blue", when="end"),
        Check("exists", "red circle"),
    ]
    assert answers(scene, tracks, *asked) == [True, False, True, None]


def test_half_transparent_is_neither_there_nor_missing() -> None:
    scene = scene_of(RED)
    tracks = animate(scene)
    tracks.rgb_KT3[0] += (np.float32(120) - tracks.rgb_KT3[0]) * np.float32(0.4)
    assert truth(Check("exists", "red circle"), scene, tracks) is None


def test_falling_at_one_speed_is_not_getting_faster() -> None:
    scene = Scene("Mechanics", (replace(RED, x=0.0, y=-18.0),), (Action(0, "fall", amount=1.0),), "grey")
    tracks = animate(scene)
    faster, bounces = Check("faster", "red circle"), Check("bounces", "red circle")
    assert answers(scene, tracks, faster, bounces) == [True, True]
    low = int(tracks.y_KT[0, :10].argmax())
    tracks.y_KT[0, : low + 1] = np.linspace(-18, tracks.y_KT[0, low], low + 1)
    tracks.y_KT[0, low:] = tracks.y_KT[0, low]
    assert answers(scene, tracks, faster, bounces) == [False, False]


def test_leaving_before_being_touched_is_not_waiting() -> None:
    mover, other = replace(RED, x=-20.0, size="small"), Thing("cross", "green", "small", 6.0, 0.0)
    pushed = Action(1, "pushed", 0.5, 1.0, 14.0, direction="right")
    scene = scene_of(mover, other, actions=(Action(0, "push", 0.0, 0.5, 12.0, direction="right"), pushed))
    asked = Check("waits", "green cross", "red circle"), Check("touches", "red circle", "green cross")
    assert answers(scene, animate(scene), *asked) == [True, True]
    early = replace(scene, actions=(scene.actions[0], replace(pushed, start=0.0, end=0.5)))
    assert answers(early, animate(early), *asked) == [False, False]
