"""Yes/no questions about a scene: exact checks, their wording, and parsing of the wording back into checks.

The judge gets only the wording. The perception measurer parses it back into a check and answers that from pixels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rushes.records import Question
from rushes_sandbox.scene import CAMERAS, COLOURS, DIRECTIONS, SHAPES, Camera, Scene, Thing

Rng = np.random.Generator
Kind = Literal[
    "exists",
    "colour",
    "grows",
    "shrinks",
    "moves",
    "relation",
    "camera",
    "count",
    "faster",
    "bounces",
    "waits",
    "touches",
]
When = Literal["", "start", "end", "first", "second"]


@dataclass(frozen=True)
class Check:
    """One exact statement about a clip.

    Example: `Check("moves", "red circle", value="right", when="first")`.
    """

    kind: Kind
    subject: str = ""
    """`colour shape`, or a bare shape if the question is about the colour."""
    other: str = ""
    """The second thing of a relation or a touch."""
    value: str = ""
    """The direction, colour, relation, camera motion or number in question."""
    when: When = ""


_THING = rf"(?:(?:{'|'.join(COLOURS)}) )?(?:{'|'.join(SHAPES)})(?:e?s)?"
_TO = {"left": "to the left", "right": "to the right", "up": "up", "down": "down"}
_OF = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}
_WHEN = {
    "": "",
    "start": " at the start",
    "end": " at the end",
    "first": " in the first half",
    "second": " in the second half",
}
_CAMERA: dict[Camera, tuple[str, ...]] = {
    "still": ("does the camera stay still?", "is the camera still?"),
    "pan_left": ("does the camera pan to the left?", "does the camera move to the left?"),
    "pan_right": ("does the camera pan to the right?", "does the camera move to the right?"),
    "zoom_in": ("does the camera zoom in?", "is the camera zooming in?"),
    "zoom_out": ("does the camera zoom out?", "is the camera zooming out?"),
}
_NUMBER = {"one": "one", "two": "two", "three": "three"}


def ask(check: Check, rng: Rng | None = None) -> str:
    """The question for a check, in lower case; with `rng` one of its phrasings, otherwise the first."""
    options = _phrasings(check)
    return options[int(rng.integers(len(options)))] if rng is not None else options[0]


def questions_of(facts: Sequence[tuple[Check, bool]], dimension: str, rng: Rng) -> tuple[Question, ...]:
    """The facts as questions in words, each with the answer that is true."""
    return tuple(
        Question(text=ask(check, rng), expected=yes_or_no(is_true), dimension=dimension, about=check.kind)
        for check, is_true in facts
    )


def yes_or_no(is_true: bool) -> Literal["yes", "no"]:
    """The answer to a question about something that is true, or is not."""
    return "yes" if is_true else "no"


def _phrasings(check: Check) -> tuple[str, ...]:
    s, o, v, when = check.subject, check.other, check.value, _WHEN[check.when]
    if check.kind == "exists":
        return (f"is there a {s}?", f"does the video show a {s}?")
    if check.kind == "colour":
        return (f"is the {s} {v}{when}?", f"does the {s} look {v}{when}?")
    if check.kind == "grows":
        return (f"does the {s} grow?", f"does the {s} get bigger?")
    if check.kind == "shrinks":
        return (f"does the {s} shrink?", f"does the {s} get smaller?")
    if check.kind == "moves":
        return (f"does the {s} move {_TO[v]}{when}?", f"is the {s} moving {_TO[v]}{when}?")
    if check.kind == "relation":
        return (f"is the {s} {_OF[v]} the {o}{when}?",)
    if check.kind == "camera":
        return _CAMERA[v]  # type: ignore[index]
    if check.kind == "count":
        return (f"are there exactly {v} {s} the whole time?", f"are there always exactly {v} {s}?")
    if check.kind == "faster":
        return (f"does the {s} get faster as it falls?", f"does the {s} speed up as it falls?")
    if check.kind == "bounces":
        return (f"does the {s} bounce back up?", f"does the {s} bounce?")
    if check.kind == "waits":
        return (f"does the {s} stay still until the {o} touches it?",)
    return (f"does the {s} touch the {o}?", f"does the {s} reach the {o}?")


def _patterns() -> list[tuple[re.Pattern[str], Kind, dict[str, str]]]:
    """Every phrasing as a pattern; built from the phrasings themselves, so the two cannot diverge."""
    subject, other = rf"(?P<subject>{_THING})", rf"(?P<other>{_THING})"
    found: list[tuple[re.Pattern[str], Kind, dict[str, str]]] = []

    def add(kind: Kind, values: tuple[str, ...] = ("",), whens: tuple[When, ...] = ("",)) -> None:
        for value in values:
            for when in whens:
                for text in _phrasings(Check(kind, "SUBJECT", "OTHER", value, when)):
                    pattern = re.escape(text).replace("SUBJECT", subject).replace("OTHER", other)
                    found.append((re.compile(pattern), kind, {"value": value, "when": when}))

    add("exists")
    add("colour", COLOURS, ("start", "end", ""))
    for kind in ("grows", "shrinks", "faster", "bounces", "waits", "touches"):
        add(kind)
    add("moves", DIRECTIONS, ("", "first", "second"))
    add("relation", tuple(_OF), ("start", "end", ""))
    add("camera", CAMERAS)
    add("count", tuple(_NUMBER))
    return found


_PATTERNS = _patterns()


def read(question: str) -> Check | None:
    """The check that a question asks, or None if this grammar cannot ask it."""
    text = " ".join(question.lower().split())
    for pattern, kind, fixed in _PATTERNS:
        match = pattern.fullmatch(text)
        if match:
            groups = {name: value for name, value in match.groupdict().items() if value}
            return Check(kind, **groups, **fixed)  # type: ignore[arg-type]
    return None


def plural(name: str) -> str:
    """`red circle` to `red circles`, `red cross` to `red crosses`."""
    return f"{name}es" if name.endswith("s") else f"{name}s"


def checks(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    """The checks of a scene's dimension, each with its true answer; true and false ones about equally often."""
    return _CHECKS[scene.dimension](scene, rng)


def _other(rng: Rng, options: tuple[str, ...], *taken: str) -> str:
    free = [o for o in options if o not in taken]
    return free[int(rng.integers(len(free)))]


def _lookalike(thing: Thing, scene: Scene, rng: Rng) -> str:
    """A thing that is not in the scene but shares this one's shape."""
    return f"{_other(rng, COLOURS, *(t.colour for t in scene.things))} {thing.shape}"


def _simple(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    thing, verb = scene.things[0], scene.actions[0].verb
    return [
        (Check("exists", thing.name), True),
        (Check("exists", _lookalike(thing, scene, rng)), False),
        (Check("moves", thing.name, value=verb), True),
        (Check("moves", thing.name, value=_other(rng, DIRECTIONS, verb)), False),
    ]


def _composition(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    found = [(Check("exists", thing.name), True) for thing in scene.things]
    names = {thing.name for thing in scene.things}
    swapped = [f"{a.colour} {b.shape}" for a in scene.things for b in scene.things]
    wrong = [name for name in dict.fromkeys(swapped) if name not in names]
    wrong = wrong or [_lookalike(scene.things[0], scene, rng)]
    return [*found, *((Check("exists", name), False) for name in wrong[:2])]


def _dynamic_attribute(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    thing, action = scene.things[0], scene.actions[0]
    if action.verb == "turn":
        assert action.colour is not None
        return [
            (Check("colour", thing.shape, value=thing.colour, when="start"), True),
            (Check("colour", thing.shape, value=action.colour, when="end"), True),
            (Check("colour", thing.shape, value=thing.colour, when="end"), False),
            (Check("colour", thing.shape, value=action.colour, when="start"), False),
        ]
    grows = action.verb == "grow"
    return [
        (Check("exists", thing.name), True),
        (Check("grows", thing.name), grows),
        (Check("shrinks", thing.name), not grows),
    ]


def _spatial(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    assert scene.relations is not None
    (first, last), (a, b) = scene.relations, scene.things
    return [
        (Check("relation", a.name, b.name, first, "start"), True),
        (Check("relation", a.name, b.name, last, "end"), True),
        (Check("relation", a.name, b.name, _other(rng, tuple(_OF), first), "start"), False),
        (Check("relation", a.name, b.name, _other(rng, tuple(_OF), last), "end"), False),
    ]


def _motion_order(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    name, (first, then) = scene.things[0].name, scene.actions
    return [
        (Check("moves", name, value=first.verb, when="first"), True),
        (Check("moves", name, value=then.verb, when="second"), True),
        (Check("moves", name, value=then.verb, when="first"), False),
        (Check("moves", name, value=first.verb, when="second"), False),
    ]


def _camera_motion(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    wrong = [c for c in CAMERAS if c != scene.camera]
    picked = [wrong[int(i)] for i in rng.choice(len(wrong), size=2, replace=False)]
    right = (Check("camera", value=scene.camera), True)
    return [right, (Check("exists", scene.things[0].name), True), *((Check("camera", value=c), False) for c in picked)]


def _instances(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    name, count = plural(scene.things[0].name), len(scene.things)
    words = ("", "one", "two", "three")
    return [
        (Check("count", name, value=words[count]), True),
        (Check("count", name, value=words[5 - count]), False),
        (Check("exists", scene.things[0].name), True),
        (Check("exists", _lookalike(scene.things[0], scene, rng)), False),
    ]


def _mechanics(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    name, action = scene.things[0].name, scene.actions[0]
    if action.verb == "rise":
        return [
            (Check("exists", name), True),
            (Check("moves", name, value="up"), True),
            (Check("moves", name, value="down"), False),
        ]
    return [
        (Check("moves", name, value="down", when="first"), True),
        (Check("faster", name), True),
        (Check("bounces", name), action.amount > 0),
        (Check("moves", name, value="up", when="first"), False),
    ]


def _motion_rationality(scene: Scene, rng: Rng) -> list[tuple[Check, bool]]:
    (a, b), first = scene.things, scene.actions[0]
    direction, pushed = first.direction or "right", first.verb == "push"
    return [
        (Check("moves", a.name, value=direction, when="first"), True),
        (Check("touches", a.name, b.name), True),
        (Check("waits", b.name, a.name), True),
        (Check("moves", b.name, value=direction, when="second"), pushed),
        (Check("moves", a.name, value=_other(rng, DIRECTIONS, direction), when="first"), False),
    ]


_CHECKS = {
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
