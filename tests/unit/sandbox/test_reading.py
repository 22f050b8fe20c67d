"""What is read from a caption is what the scene holds, for every phrasing of the sandbox's grammar."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rushes_sandbox.captions import base_prompt, detailed_prompt
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.reader.facts import Fact
from rushes_sandbox.reader.reading import read
from rushes_sandbox.scene import Scene


def truth(scene: Scene) -> set[Fact]:
    """The facts of a scene, from its structure and not from any words."""
    name, acts = _name(scene, 0), scene.actions
    if scene.dimension == "Composition":
        return set()
    if scene.dimension == "Camera_Motion":
        return set() if scene.camera == "still" else {Fact("camera", "camera", scene.camera)}
    if scene.dimension == "Dynamic_Spatial_Relationship":
        assert scene.relations is not None
        return {Fact("at", name, side, _name(scene, 1), when) for when, side in enumerate(scene.relations)}
    if scene.dimension == "Dynamic_Attribute":
        verb = acts[0].verb
        return {Fact("turn", name, acts[0].colour or "") if verb == "turn" else Fact("grow", name, verb)}
    if scene.dimension == "Mechanics":
        if acts[0].verb == "rise":
            return {Fact("do", name, "rise")}
        return {Fact("do", name, "fall"), Fact("do", name, "bounce" if acts[0].amount else "land")}
    if scene.dimension == "Motion_Rationality":
        return {Fact("move", name, acts[0].direction or ""), Fact(acts[0].verb, name, other=_name(scene, 1))}
    if scene.dimension == "Motion_Order_Understanding":
        return {Fact("move", name, act.verb, when=when) for when, act in enumerate(acts)}
    return {Fact("move", name, acts[0].verb)}


def _name(scene: Scene, k: int) -> str:
    thing = scene.things[k]
    size = f"{thing.size} " if scene.dimension == "Simple" and thing.size != "medium" else ""
    return f"{size}{thing.name}"


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_phrasing_of_the_grammar_is_read_whole(dimension: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        scene = draw_scene(rng, dimension)
        for text in (base_prompt(scene, rng), detailed_prompt(scene, rng)):
            reading = read(text)
            assert reading.facts == truth(scene), text
            assert reading.rest == (), text
            backgrounds = {fact.value for fact in reading.setting if fact.kind == "background"}
            assert backgrounds == ({scene.background} if "background" in text else set()), text
            told = Counter({_name(scene, k): 1 for k in range(len(scene.things))})
            if dimension == "Instance_Preservation":
                told = Counter({_name(scene, 0): len(scene.things)})
            assert Counter({noun.name: noun.number for noun in reading.nouns}) == told, text


SAME = [
    ("a red circle slides to the left", "The red circle travels to the left."),
    ("a red circle and a blue square", "there are a blue square and a red circle together"),
    ("a red circle moves up, then to the left", "a red circle moves to the left after it moves up"),
    ("a red circle moves up, then to the left", "a red circle first moves up and then to the left"),
    ("a red circle begins above a star and ends below it", "a red circle moves from above a star to below it"),
    ("a red circle runs into a blue square and pushes it up", "a red circle moves up and pushes a blue square"),
    ("a red circle falls down and bounces", "a red circle drops to the floor and bounces back up"),
    ("a red circle moves up", "a red circle moves up, filmed with a still camera"),
    ("a circle changes its colour from red to blue", "a red circle becomes blue"),
    ("a cheese melts on the table", "on the table, a cheese melts"),
    ("a red circle and a star and the red circle moves up", "a red circle and a star, the red circle slides up"),
]
DIFFERENT = [
    ("a red circle moves up, then to the left", "a red circle moves to the left, then up"),
    ("a red circle above a blue square", "a blue square above a red circle"),
    ("a red circle pushes a blue square", "a blue square pushes a red circle"),
    ("two red circles", "three red circles"),
    ("two red circles", "two red circles and a red circle"),
    ("a red circle falls and bounces", "a red circle falls and stays there"),
    ("a red circle and a blue square", "a blue circle and a red square"),
    ("a small red circle moves up", "a big red circle moves up"),
    ("a red circle turns blue", "a blue circle turns red"),
    ("the camera pans to the left over a red circle", "a red circle moves to the left"),
    ("the cat sleeps, then it runs", "the cat runs, then it sleeps"),
    ("a cat sleeps", "a cat runs"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_said_otherwise_is_the_same_content(one: str, other: str) -> None:
    assert read(one).content(with_background=True) == read(other).content(with_background=True)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_content_is_told_apart(one: str, other: str) -> None:
    assert read(one).content(with_background=True) != read(other).content(with_background=True)


def test_the_background_counts_only_where_asked() -> None:
    one = read("a red circle moves up on a grey background")
    other = read("a red circle moves up against a navy background")
    assert one.content(with_background=True) != other.content(with_background=True)
    assert one.content(with_background=False) == other.content(with_background=False)


@pytest.mark.parametrize("text", ["", "...", "the", "of to the", "touches", "a red", "then then", "from above", "🟥 ☃"])
def test_any_text_can_be_read(text: str) -> None:
    read(text).content(with_background=True)


def test_of_a_very_long_text_the_end_is_compared_word_by_word() -> None:
    """Facts of many things that do many things would take time quadratic in the text."""
    long = "a red circle and " * 2_000 + "moves up " * 2_000
    assert len(read(long).facts) <= 1 and len(read(long).nouns) < 512
    assert read(long).content(with_background=True) != read(f"{long} left").content(with_background=True)
