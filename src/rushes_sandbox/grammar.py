"""A seeded grammar of scenes: one small function per dimension draws a scene for it.

There are two distributions. In `BALANCED` every colour, shape and direction is equally likely. `SKEWED` is the world as
a scraped training set shows it: common things are common, rare ones rare.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rushes_sandbox.scene import (
    BACKGROUNDS,
    CAMERAS,
    COLOURS,
    DIRECTIONS,
    RADIUS_PX,
    RELATIONS,
    SHAPES,
    Action,
    Background,
    Camera,
    Colour,
    Direction,
    Relation,
    Scene,
    Shape,
    Size,
    Thing,
)

T = TypeVar("T")
Rng = np.random.Generator
EDGE_PX = 30.0
"""No part of a thing leaves [-EDGE_PX, EDGE_PX] by its own motion."""
ANGLE: dict[Relation, float] = {"right": 0.0, "below": 0.5 * math.pi, "left": math.pi, "above": -0.5 * math.pi}


@dataclass(frozen=True)
class World:
    """Relative frequencies of what a scene can hold."""

    dimensions: dict[str, float]
    colours: dict[Colour, float]
    shapes: dict[Shape, float]
    directions: dict[Direction, float]
    cameras: dict[Camera, float]


BALANCED = World(
    dimensions={
        "Simple": 1,
        "Composition": 1,
        "Dynamic_Attribute": 1,
        "Dynamic_Spatial_Relationship": 1,
        "Motion_Order_Understanding": 1,
        "Camera_Motion": 1,
        "Instance_Preservation": 1,
        "Mechanics": 1,
        "Motion_Rationality": 1,
    },
    colours=dict.fromkeys(COLOURS, 1.0),
    shapes=dict.fromkeys(SHAPES, 1.0),
    directions=dict.fromkeys(DIRECTIONS, 1.0),
    cameras=dict.fromkeys(CAMERAS, 1.0),
)
SKEWED = World(
    dimensions={
        "Simple": 6,
        "Composition": 4,
        "Dynamic_Attribute": 5,
        "Dynamic_Spatial_Relationship": 2,
        "Motion_Order_Understanding": 5,
        "Camera_Motion": 3,
        "Instance_Preservation": 4,
        "Mechanics": 3,
        "Motion_Rationality": 2,
    },
    colours={"red": 4, "blue": 4, "yellow": 3, "green": 3, "cyan": 2, "purple": 2},
    shapes={"circle": 4, "square": 3, "triangle": 2, "cross": 2},
    directions={"right": 3, "left": 2, "down": 2, "up": 2},
    cameras={"still": 2, "pan_right": 2, "pan_left": 2, "zoom_in": 3, "zoom_out": 2},
)


def draw_scene(rng: Rng, dimension: str | None = None, world: World = BALANCED) -> Scene:
    """Draw one scene, of `dimension` or of one drawn from the world's own mix.

    Raises:
        KeyError: the grammar has no such dimension.
    """
    chosen = dimension or _pick(rng, world.dimensions)
    return _DRAW[chosen](rng, world)


def _pick(rng: Rng, weights: dict[T, float]) -> T:
    keys, values = list(weights), np.fromiter(weights.values(), float)
    return keys[int(rng.choice(len(keys), p=values / values.sum()))]


def _one_of(rng: Rng, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]


def _uniform(rng: Rng, low: float, high: float) -> float:
    return round(float(rng.uniform(low, max(low, high))), 2)


def _looks(rng: Rng, world: World, count: int) -> list[tuple[Shape, Colour]]:
    """`count` looks with different colours, so that the colour alone identifies a thing."""
    looks: list[tuple[Shape, Colour]] = []
    left = dict(world.colours)
    for _ in range(count):
        colour = _pick(rng, left)
        del left[colour]
        looks.append((_pick(rng, world.shapes), colour))
    return looks


def _line(rng: Rng, direction: Direction, travel: float, reach: float) -> tuple[float, float]:
    """A start for a thing that travels `travel` px and extends `reach` px around it, so that it stays in view."""
    room = EDGE_PX - reach
    along = _uniform(rng, -room, room - travel)
    across = _uniform(rng, -room, room)
    sign = 1 if direction in ("right", "down") else -1
    return (sign * along, across) if direction in ("left", "right") else (across, sign * along)


def _simple(rng: Rng, world: World) -> Scene:
    (shape, colour), direction = _looks(rng, world, 1)[0], _pick(rng, world.directions)
    size: Size = _pick(rng, {"medium": 2.0, "small": 1.0, "big": 1.0})
    travel = _uniform(rng, 22, 30)
    x, y = _line(rng, direction, travel, RADIUS_PX[size] * 1.1)
    return Scene(
        "Simple", (Thing(shape, colour, size, x, y),), (Action(0, direction, amount=travel),), _background(rng)
    )


def _background(rng: Rng) -> Background:
    return _one_of(rng, BACKGROUNDS)


def _composition(rng: Rng, world: World) -> Scene:
    count = _pick(rng, {2: 1.0, 3: 1.0})
    turn = _uniform(rng, 0, 2 * math.pi)
    things = []
    for k, (shape, colour) in enumerate(_looks(rng, world, count)):
        angle = turn + 2 * math.pi * k / count + _uniform(rng, -0.25, 0.25)
        far = _uniform(rng, 15, 18)
        things.append(Thing(shape, colour, "medium", round(far * math.cos(angle), 2), round(far * math.sin(angle), 2)))
    return Scene("Composition", tuple(things), (), _background(rng))


def _dynamic_attribute(rng: Rng, world: World) -> Scene:
    shape, colour = _looks(rng, world, 1)[0]
    verb = _pick(rng, {"turn": 2.0, "grow": 1.0, "shrink": 1.0})
    size: Size = {"turn": "medium", "grow": "small", "shrink": "big"}[verb]  # type: ignore[assignment]
    x, y = _uniform(rng, -15, 15), _uniform(rng, -15, 15)
    new = _pick(rng, {c: w for c, w in world.colours.items() if c != colour}) if verb == "turn" else None
    action = Action(0, verb, amount=0.0 if verb == "turn" else 2.0, colour=new)  # type: ignore[arg-type]
    return Scene("Dynamic_Attribute", (Thing(shape, colour, size, x, y),), (action,), _background(rng))


def _spatial(rng: Rng, world: World) -> Scene:
    first, last = (RELATIONS[i] for i in rng.choice(4, size=2, replace=False))
    (shape, colour), (other_shape, other_colour) = _looks(rng, world, 2)
    other = Thing(other_shape, other_colour, "medium", _uniform(rng, -3, 3), _uniform(rng, -3, 3))
    far, angle = 19.5, ANGLE[first]
    sweep = (ANGLE[last] - angle + math.pi) % (2 * math.pi) - math.pi
    if math.isclose(abs(sweep), math.pi, abs_tol=1e-6):
        sweep = math.pi if rng.random() < 0.5 else -math.pi
    x, y = other.x + far * math.cos(angle), other.y + far * math.sin(angle)
    mover = Thing(shape, colour, "small", round(x, 2), round(y, 2))
    action = Action(0, "orbit", amount=sweep)
    return Scene("Dynamic_Spatial_Relationship", (mover, other), (action,), _background(rng), relations=(first, last))


def _motion_order(rng: Rng, world: World) -> Scene:
    """One thing moves in one direction, then at a right angle to it."""
    (shape, colour), first = _looks(rng, world, 1)[0], _pick(rng, world.directions)
    sideways = first in ("left", "right")
    then = _pick(rng, {d: w for d, w in world.directions.items() if (d in ("left", "right")) != sideways})
    travel, reach = _uniform(rng, 20, 26), RADIUS_PX["medium"] * 1.1
    (x1, y1), (x2, y2) = _line(rng, first, travel, reach), _line(rng, then, travel, reach)
    x, y = (x1, y2) if sideways else (x2, y1)
    actions = (Action(0, first, 0.0, 0.5, travel), Action(0, then, 0.5, 1.0, travel))
    return Scene("Motion_Order_Understanding", (Thing(shape, colour, "medium", x, y),), actions, _background(rng))


def _camera_motion(rng: Rng, world: World) -> Scene:
    (shape, colour), camera = _looks(rng, world, 1)[0], _pick(rng, world.cameras)
    amount = {"still": 0.0, "pan_left": 20.0, "pan_right": 20.0}.get(camera, 1.6)
    room = 10.0
    thing = Thing(shape, colour, "medium", _uniform(rng, -room, room), _uniform(rng, -room, room))
    return Scene("Camera_Motion", (thing,), (), _background(rng), camera, amount)


def _instances(rng: Rng, world: World) -> Scene:
    """Two or three of the same look, side by side across their common direction of motion."""
    (shape, colour), direction = _looks(rng, world, 1)[0], _pick(rng, world.directions)
    count = _pick(rng, {2: 1.0, 3: 1.0})
    travel, gap = _uniform(rng, 16, 24), 20.0 if count == 3 else _uniform(rng, 20, 28)
    x, y = _line(rng, direction, travel, RADIUS_PX["small"] * 1.2)
    middle = _uniform(rng, -3, 3)
    offsets = [middle + gap * (k - (count - 1) / 2) for k in range(count)]
    across = direction in ("left", "right")
    places = [(x, o) if across else (o, y) for o in offsets]
    things = tuple(Thing(shape, colour, "small", round(a, 2), round(b, 2)) for a, b in places)
    actions = tuple(Action(k, direction, amount=travel) for k in range(count))
    return Scene("Instance_Preservation", things, actions, _background(rng))


def _mechanics(rng: Rng, world: World) -> Scene:
    shape, colour = _looks(rng, world, 1)[0]
    what = _pick(rng, {"bounce": 2.0, "land": 1.0, "rise": 1.0})
    x = _uniform(rng, -18, 18)
    if what == "rise":
        travel = _uniform(rng, 28, 34)
        thing, action = Thing(shape, colour, "medium", x, _uniform(rng, 15, 18)), Action(0, "rise", amount=travel)
    else:
        bounce = 1.0 if what == "bounce" else 0.0
        thing, action = Thing(shape, colour, "medium", x, _uniform(rng, -20, -14)), Action(0, "fall", amount=bounce)
    return Scene("Mechanics", (thing,), (action,), _background(rng))


def _motion_rationality(rng: Rng, world: World) -> Scene:
    """One thing runs into another, which is pushed on or stays where it is."""
    (shape, colour), (other_shape, other_colour) = _looks(rng, world, 2)
    direction: Direction = _pick(rng, world.directions)
    pushed = bool(rng.random() < 0.5)
    sideways, sign = direction in ("left", "right"), 1 if direction in ("right", "down") else -1
    across = _uniform(rng, -15, 15)
    start, goal = -20.0 + _uniform(rng, -1, 1), _uniform(rng, 4, 8)
    mover_xy = (sign * start, across) if sideways else (across, sign * start)
    other_xy = (sign * goal, across) if sideways else (across, sign * goal)
    things = (
        Thing(shape, colour, "small", *mover_xy),
        Thing(other_shape, other_colour, "small", *other_xy),
    )
    run = round(goal - start - 2 * RADIUS_PX["small"], 2)
    first = Action(0, "push" if pushed else "stop", 0.0, 0.5, run, direction=direction)
    actions = (first, Action(1, "pushed", 0.5, 1.0, _uniform(rng, 12, 15), direction=direction)) if pushed else (first,)
    return Scene("Motion_Rationality", things, actions, _background(rng))


_DRAW: dict[str, Callable[[Rng, World], Scene]] = {
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
DIMENSIONS: tuple[str, ...] = tuple(_DRAW)
"""Every kind of scene the grammar can draw: `Simple` and the eight that are measured."""
