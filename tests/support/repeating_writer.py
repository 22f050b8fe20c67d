"""A prompt writer for tests of the assembly: some of its drafts are what the screen must refuse.

Every evaluation list holds one text with a word that the tiny model cannot read. Drafts to train on begin with a text
of the probe list and one of the held-out list.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import ClassVar

from rushes.records import Question
from rushes.roles import Brief, Draft, Failed, PromptWriter, Runtime, Spec

UNREADABLE = "a red zebra moves up"
"""`zebra` is not in the tiny model's vocabulary."""
_THINGS = [f"a {colour} {shape}" for colour, shape in product(("red", "blue", "green", "yellow"), ("circle", "square"))]
_MOVES = ("moves to the left", "moves to the right", "moves up", "moves down")


def text_of(dimension: str, origin: str, index: int) -> str:
    """The text at a position of a list: every dimension and origin has eight of its own."""
    place = {"probe": 0, "held_out": 1}.get(origin, 2)
    thing, move = _THINGS[index % len(_THINGS)], _MOVES[place]
    return f"{thing} {move}" if dimension == "Composition" else f"a triangle and {thing} {move}"


class RepeatingWriterSpec(Spec):
    spec_name: ClassVar[str] = "tests.repeating-writer"

    def build(self, runtime: Runtime) -> PromptWriter:
        return RepeatingWriter()


class RepeatingWriter:
    def write(self, briefs: Sequence[Brief]) -> list[Draft | Failed]:
        return [self._one(brief) for brief in briefs]

    def _one(self, brief: Brief) -> Draft:
        if brief.origin == "weakness":
            repeated = {0: "probe", 1: "held_out"}.get(brief.index)
            text = text_of(brief.dimension, repeated or "weakness", 1 if repeated else brief.index)
        elif brief.index == 0:
            text = UNREADABLE
        else:
            text = text_of(brief.dimension, brief.origin, brief.index)
        asked = Question(text=f"is there {text}?", expected="yes", dimension=brief.dimension, about="test")
        return Draft(text=text, base_text=text, source="repeating", questions=(asked,))
