"""What the sandbox's model was pre-trained on: skewed and carelessly described, but nothing is missing."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from rushes_sandbox.captions import Captioner, base_prompt, detailed_prompt, scraped_caption
from rushes_sandbox.grammar import BALANCED, DIMENSIONS, SKEWED, World, draw_scene
from rushes_sandbox.scene import CAMERAS, COLOURS, DIRECTIONS, SHAPES, Scene

CAREFUL = Captioner(vague_colour=0.0, vague_shape=0.0, no_motion=0.0, wrong={})


def scenes(world: World, num: int, dimension: str | None = None) -> list[Scene]:
    rng = np.random.default_rng(7)
    return [draw_scene(rng, dimension, world) for _ in range(num)]


@pytest.mark.parametrize("world", [BALANCED, SKEWED], ids=["balanced", "skewed"])
def test_both_worlds_hold_everything(world: World) -> None:
    drawn = scenes(world, 1500)
    assert {scene.dimension for scene in drawn} == set(DIMENSIONS)
    assert {thing.colour for scene in drawn for thing in scene.things} == set(COLOURS)
    assert {thing.shape for scene in drawn for thing in scene.things} == set(SHAPES)
    assert {scene.camera for scene in drawn} == set(CAMERAS)
    assert {action.verb for scene in drawn for action in scene.actions} >= set(DIRECTIONS)


def test_the_skewed_world_shows_common_things_more_often() -> None:
    kinds = Counter(scene.dimension for scene in scenes(SKEWED, 3000))
    assert kinds["Simple"] > 2 * kinds["Dynamic_Spatial_Relationship"]
    colours = Counter(scene.things[0].colour for scene in scenes(SKEWED, 3000, "Simple"))
    weights = SKEWED.colours
    for colour in COLOURS:
        assert colours[colour] / 3000 == pytest.approx(weights[colour] / sum(weights.values()), abs=0.03)


def test_the_balanced_world_shows_all_alike() -> None:
    colours = Counter(scene.things[0].colour for scene in scenes(BALANCED, 3000, "Simple"))
    assert all(colours[colour] / 3000 == pytest.approx(1 / len(COLOURS), abs=0.03) for colour in COLOURS)


def told_order(text: str) -> list[str]:
    """The two directions in the order in which a caption says they happen."""
    found = [re.sub("to the ", "", way) for way in re.findall(r"to the left|to the right|\bup\b|\bdown\b", text)]
    return found[::-1] if " after " in text else found


@pytest.mark.parametrize(("captioner", "share"), [(CAREFUL, 0.0), (Captioner(no_motion=0.0), 0.2)])
def test_how_often_the_order_is_told_wrong(captioner: Captioner, share: float) -> None:
    rng = np.random.default_rng(3)
    drawn = scenes(SKEWED, 1500, "Motion_Order_Understanding")
    wrong = [
        told_order(scraped_caption(scene, rng, captioner)) != [action.verb for action in scene.actions]
        for scene in drawn
    ]
    assert np.mean(wrong) == pytest.approx(share, abs=0.04 if share else 1e-9)


def test_how_often_captions_are_vague() -> None:
    rng = np.random.default_rng(5)
    texts = [scraped_caption(scene, rng, Captioner()) for scene in scenes(SKEWED, 3000, "Simple")]
    no_colour = np.mean([not set(text.split()) & set(COLOURS) for text in texts])
    no_shape = np.mean(["shape" in text.split() for text in texts])
    no_motion = np.mean([not set(text.split()) & {"moves", "slides", "travels"} for text in texts])
    assert (no_colour, no_shape, no_motion) == pytest.approx((0.06, 0.06, 0.06), abs=0.02)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_prompts_are_never_careless(dimension: str) -> None:
    """Prompts and the captions of real clips name every colour and shape, whatever the training data say."""
    rng = np.random.default_rng(11)
    for scene in scenes(BALANCED, 40, dimension):
        for text in (base_prompt(scene, rng), detailed_prompt(scene, rng)):
            for thing in scene.things:
                assert thing.colour in text and thing.shape in text
