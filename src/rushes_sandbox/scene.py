"""The nouns of the sandbox world: what a scene contains, before it is animated or rendered.

World units are pixels at zoom 1. The origin is the middle of the frame, x points right and y points down,
so the camera at rest sees [-32, 32] in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SIZE_PX = 64
NUM_FRAMES = 17
FPS = 8

Shape = Literal["circle", "square", "triangle", "cross"]
Colour = Literal["red", "yellow", "green", "cyan", "blue", "purple"]
Background = Literal["black", "grey", "navy", "sand"]
Size = Literal["small", "medium", "big"]
Direction = Literal["left", "right", "up", "down"]
Relation = Literal["left", "right", "above", "below"]
Camera = Literal["still", "pan_left", "pan_right", "zoom_in", "zoom_out"]
Verb = Literal[
    "left", "right", "up", "down", "grow", "shrink", "turn", "fall", "rise", "orbit", "push", "stop", "pushed"
]

SHAPES: tuple[Shape, ...] = ("circle", "square", "triangle", "cross")
DIRECTIONS: tuple[Direction, ...] = ("left", "right", "up", "down")
RELATIONS: tuple[Relation, ...] = ("left", "right", "above", "below")
CAMERAS: tuple[Camera, ...] = ("still", "pan_left", "pan_right", "zoom_in", "zoom_out")
COLOUR_RGB: dict[Colour, tuple[int, int, int]] = {
    "red": (228, 48, 44),
    "yellow": (242, 214, 44),
    "green": (46, 184, 66),
    "cyan": (60, 206, 222),
    "blue": (52, 86, 236),
    "purple": (186, 62, 206),
}
COLOURS: tuple[Colour, ...] = tuple(COLOUR_RGB)
BACKGROUND_RGB: dict[Background, tuple[int, int, int]] = {
    "black": (36, 36, 38),
    "grey": (120, 120, 122),
    "navy": (40, 48, 84),
    "sand": (198, 186, 164),
}
BACKGROUNDS: tuple[Background, ...] = tuple(BACKGROUND_RGB)
RADIUS_PX: dict[Size, float] = {"small": 7.0, "medium": 9.0, "big": 12.0}


@dataclass(frozen=True)
class Thing:
    """One coloured shape.

    Example: `Thing("circle", "red", "medium", x=-14.0, y=3.5)`.
    """

    shape: Shape
    colour: Colour
    size: Size
    x: float
    """World x of its centre in the first frame."""
    y: float
    """World y of its centre in the first frame."""

    @property
    def name(self) -> str:
        """The words a caption uses, e.g. `red circle`."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Action:
    """What one thing does between two moments of the clip.

    Example: `Action(0, "right", start=0.0, end=0.5, amount=20.0)` moves thing 0 right by 20 px in the first half.
    """

    thing: int
    """Index into `Scene.things`."""
    verb: Verb
    start: float = 0.0
    """Fraction of the clip at which it begins, in [0, 1]."""
    end: float = 1.0
    """Fraction of the clip at which it is over, in (start, 1]."""
    amount: float = 0.0
    """Pixels travelled, growth factor, or radians of an orbit, depending on the verb."""
    colour: Colour | None = None
    """The new colour of a `turn`."""
    direction: Direction | None = None
    """The direction of a `push`, `stop` or `pushed`."""


@dataclass(frozen=True)
class Scene:
    """A whole clip, exactly: its things, what they do, where, and how the camera moves.

    Example: `Scene("Simple", (Thing("circle", "red", "medium", -14, 0),), (Action(0, "right", amount=28),), "grey")`.
    """

    dimension: str
    """The quality dimension the scene exercises; `Simple` for one thing with one motion."""
    things: tuple[Thing, ...]
    actions: tuple[Action, ...]
    background: Background
    camera: Camera = "still"
    camera_amount: float = 0.0
    """Pixels panned, or the factor zoomed by, over the clip."""
    relations: tuple[Relation, Relation] | None = None
    """Where thing 0 is relative to thing 1 at the start and at the end, if the scene is about that."""
