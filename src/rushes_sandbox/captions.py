"""From a scene to its texts: a short idea, a detailed prompt, or what a careless captioner would write."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rushes_sandbox.questions import plural
from rushes_sandbox.scene import CAMERAS, COLOURS, DIRECTIONS, RELATIONS, Action, Direction, Relation, Scene, Thing

Rng = np.random.Generator
TO = {"left": "to the left", "right": "to the right", "up": "up", "down": "down"}
OF: dict[Relation, str] = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}
AT: dict[Relation, str] = {
    "left": "from the left of",
    "right": "from the right of",
    "above": "from above",
    "below": "from below",
}
NUMBER = {2: "two", 3: "three"}
OPPOSITE: dict[str, Direction] = {"left": "right", "right": "left", "up": "down", "down": "up"}


@dataclass(frozen=True)
class Style:
    """How much a caption says."""

    colour: bool = True
    shape: bool = True
    setting: bool = False
    """Whether it mentions the background and, for a still camera, the camera."""
    motion: bool = True


@dataclass(frozen=True)
class Captioner:
    """How careless the captions of scraped clips are. Rates are probabilities per caption."""

    vague_colour: float = 0.06
    vague_shape: float = 0.06
    no_motion: float = 0.06
    wrong: dict[str, float] = dataclasses.field(
        default_factory=lambda: {
            "Motion_Order_Understanding": 0.2,
            "Dynamic_Spatial_Relationship": 0.2,
            "Camera_Motion": 0.15,
            "Motion_Rationality": 0.2,
            "Mechanics": 0.15,
            "Instance_Preservation": 0.15,
            "Dynamic_Attribute": 0.15,
            "Composition": 0.1,
        }
    )
    """How often the one detail that matters in a dimension is wrong (left for right, two for three, ...)."""


def base_prompt(scene: Scene, rng: Rng) -> str:
    """A short idea, e.g. `a red circle moves to the right`."""
    return _sentence(scene, rng, Style())


def detailed_prompt(scene: Scene, rng: Rng) -> str:
    """The idea with its setting, e.g. `a red circle moves to the right on a grey background`."""
    return _sentence(scene, rng, Style(setting=True))


def scraped_caption(scene: Scene, rng: Rng, captioner: Captioner) -> str:
    """What a careless captioner writes: sometimes vague, sometimes wrong in the detail that matters."""
    if rng.random() < captioner.wrong.get(scene.dimension, 0.0):
        scene = _misread(scene, rng)
    style = Style(
        colour=rng.random() >= captioner.vague_colour,
        shape=rng.random() >= captioner.vague_shape,
        setting=rng.random() < 0.4,
        motion=rng.random() >= captioner.no_motion,
    )
    return _sentence(scene, rng, style)


def words(text: str) -> list[str]:
    """The lower-case words and punctuation marks of a text, as the sandbox tokenizer splits them."""
    return re.findall(r"[a-z]+|[.,]", text.lower())


def _pick(rng: Rng, *options: str) -> str:
    return options[int(rng.integers(len(options)))]


def _sentence(scene: Scene, rng: Rng, style: Style) -> str:
    text = _WRITE[scene.dimension](scene, rng, style) if style.motion else _still_life(scene, rng, style)
    if not style.setting:
        return text
    text = f"{text} {_pick(rng, 'on', 'against')} a {scene.background} background"
    if scene.camera == "still" and scene.dimension != "Camera_Motion" and rng.random() < 0.3:
        text += _pick(rng, ", the camera stays still", ", filmed with a still camera")
    return text


def _noun(thing: Thing, style: Style, *, sized: bool = False) -> str:
    size = f"{thing.size} " if sized and thing.size != "medium" else ""
    colour = f"{thing.colour} " if style.colour else ""
    return f"{size}{colour}{thing.shape if style.shape else 'shape'}"


def _a(thing: Thing, style: Style, *, sized: bool = False) -> str:
    return f"a {_noun(thing, style, sized=sized)}"


def _still_life(scene: Scene, rng: Rng, style: Style) -> str:
    if scene.dimension == "Instance_Preservation":
        return f"{NUMBER[len(scene.things)]} {plural(_noun(scene.things[0], style))}"
    return _listing([_a(thing, style) for thing in scene.things])


def _listing(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _simple(scene: Scene, rng: Rng, style: Style) -> str:
    verb = _pick(rng, "moves", "slides", "travels")
    return f"{_a(scene.things[0], style, sized=True)} {verb} {TO[scene.actions[0].verb]}"


def _composition(scene: Scene, rng: Rng, style: Style) -> str:
    order = rng.permutation(len(scene.things))
    names = _listing([_a(scene.things[int(i)], style) for i in order])
    return _pick(rng, names, f"there are {names}", f"{names} together")


def _dynamic_attribute(scene: Scene, rng: Rng, style: Style) -> str:
    thing, action = scene.things[0], scene.actions[0]
    if action.verb == "turn":
        shape = thing.shape if style.shape else "shape"
        return _pick(
            rng,
            f"a {thing.colour} {shape} turns {action.colour}",
            f"a {thing.colour} {shape} becomes {action.colour}",
            f"a {shape} changes its colour from {thing.colour} to {action.colour}",
        )
    verb = _pick(rng, "grows", "gets bigger") if action.verb == "grow" else _pick(rng, "shrinks", "gets smaller")
    return f"{_a(thing, style)} {verb}"


def _spatial(scene: Scene, rng: Rng, style: Style) -> str:
    assert scene.relations is not None
    (first, last), (a, b) = scene.relations, scene.things
    one, other = _a(a, style), _a(b, style)
    return _pick(
        rng,
        f"{one} starts {OF[first]} {other} and ends {OF[last]} it",
        f"{one} moves {AT[first]} {other} to {OF[last].removeprefix('to ')} it",
        f"{one} is {OF[first]} {other}, then it is {OF[last]} it",
    )


def _motion_order(scene: Scene, rng: Rng, style: Style) -> str:
    one, (first, then) = _a(scene.things[0], style), scene.actions
    return _pick(
        rng,
        f"{one} moves {TO[first.verb]}, then {TO[then.verb]}",
        f"{one} first moves {TO[first.verb]} and then {TO[then.verb]}",
        f"{one} moves {TO[then.verb]} after it moves {TO[first.verb]}",
    )


def _camera_motion(scene: Scene, rng: Rng, style: Style) -> str:
    one, camera = _a(scene.things[0], style), scene.camera
    if camera == "still":
        return _pick(rng, f"{one}, the camera stays still", f"{one} filmed with a still camera")
    if camera.startswith("pan"):
        to = TO[camera.removeprefix("pan_")]
        return _pick(rng, f"the camera pans {to} over {one}", f"{one}, the camera moves {to}")
    way = camera.removeprefix("zoom_")
    return _pick(rng, f"the camera zooms {way} on {one}", f"{one}, the camera zooms {way}")


def _instances(scene: Scene, rng: Rng, style: Style) -> str:
    many = f"{NUMBER[len(scene.things)]} {plural(_noun(scene.things[0], style))}"
    to = TO[scene.actions[0].verb]
    return _pick(rng, f"{many} move {to}", f"{many} move {to} side by side", f"there are {many} moving {to} together")


def _mechanics(scene: Scene, rng: Rng, style: Style) -> str:
    one, action = _a(scene.things[0], style), scene.actions[0]
    if action.verb == "rise":
        return _pick(rng, f"{one} rises into the air", f"{one} floats up")
    if action.amount > 0:
        return _pick(rng, f"{one} falls and bounces", f"{one} drops to the floor and bounces back up")
    return _pick(rng, f"{one} falls and stays on the floor", f"{one} drops to the floor and stays there")


def _motion_rationality(scene: Scene, rng: Rng, style: Style) -> str:
    one, other = _a(scene.things[0], style), _a(scene.things[1], style)
    to = TO[scene.actions[0].direction or "right"]
    if scene.actions[0].verb == "push":
        return _pick(rng, f"{one} moves {to} and pushes {other}", f"{one} runs into {other} and pushes it {to}")
    return _pick(rng, f"{one} moves {to} and stops at {other}", f"{one} moves {to} to {other} which does not move")


_WRITE: dict[str, Callable[[Scene, Rng, Style], str]] = {
    "Simple": _simple,
    "Composition": _composition,
    "Dynamic_Attribute": _dynamic_attribute,
    "Dynamic_Spatial_Relationship": _spatial,
    "Motion_Order_Understanding": _motion_order,
    "Camera_Motion": _camera_motion,
    "Instance_Preservation": _instances,
    "Mechanics": _mechanics,
    "Motion_Rationality": _motion_rationality,
}


def _misread(scene: Scene, rng: Rng) -> Scene:
    """The scene as a careless captioner misread it; used only for wrong captions, never rendered."""
    change, dimension = dataclasses.replace, scene.dimension
    if dimension == "Motion_Order_Understanding":
        return change(scene, actions=scene.actions[::-1])
    if dimension == "Dynamic_Spatial_Relationship" and scene.relations is not None:
        first, last = scene.relations
        other = [r for r in RELATIONS if r not in (first, last)]
        options: list[tuple[Relation, Relation]] = [(last, first), (first, other[0]), (first, other[1])]
        return change(scene, relations=options[int(rng.integers(3))])
    if dimension == "Camera_Motion":
        others = [c for c in CAMERAS if c != scene.camera]
        return change(scene, camera=others[int(rng.integers(len(others)))])
    if dimension == "Motion_Rationality":
        verb = "stop" if scene.actions[0].verb == "push" else "push"
        return change(scene, actions=(change(scene.actions[0], verb=verb), *scene.actions[1:]))
    if dimension == "Mechanics":
        action = scene.actions[0]
        return change(scene, actions=(change(action, verb="fall", amount=0.0 if action.amount == 1.0 else 1.0),))
    if dimension == "Instance_Preservation":
        things = scene.things[:2] if len(scene.things) == 3 else (*scene.things, scene.things[0])
        return change(scene, things=things)
    if dimension == "Dynamic_Attribute":
        return change(scene, actions=(_misread_attribute(scene.actions[0], scene.things[0], rng),))
    if dimension == "Composition":
        k = int(rng.integers(len(scene.things)))
        free = [c for c in COLOURS if c not in {t.colour for t in scene.things}]
        wrong = change(scene.things[k], colour=free[int(rng.integers(len(free)))])
        return change(scene, things=(*scene.things[:k], wrong, *scene.things[k + 1 :]))
    action = scene.actions[0]
    return change(scene, actions=(change(action, verb=DIRECTIONS[int(rng.integers(4))]),))


def _misread_attribute(action: Action, thing: Thing, rng: Rng) -> Action:
    if action.verb != "turn":
        return dataclasses.replace(action, verb="shrink" if action.verb == "grow" else "grow")
    others = [c for c in COLOURS if c not in (action.colour, thing.colour)]
    return dataclasses.replace(action, colour=others[int(rng.integers(len(others)))])
