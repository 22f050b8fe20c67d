"""Prompts that no video can follow: rules on what a text states. Pure; words that were not understood never count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final

from rushes.prompts.reader import Objection
from rushes_sandbox.reader.facts import NATURAL_WAY, UNKNOWN, Fact, Reading
from rushes_sandbox.reader.phrases import COLOURS, OPPOSITE


def objection(reading: Reading) -> Objection | None:
    """The first thing wrong with a prompt; None when no rule objects."""
    for rule in _RULES:
        found = next(rule(reading), None)
        if found is not None:
            return found
    return None


def _no(detail: str) -> Objection:
    return Objection("contradiction", detail)


def _nouns(reading: Reading) -> Iterator[Objection]:
    for noun in reading.nouns:
        for values, what in ((noun.colours, "colours"), (noun.sizes, "sizes"), (noun.shapes, "shapes")):
            if len(set(values) - {"shape"}) > 1:
                yield _no(f"one thing has several {what} at once: {', '.join(values)}")


def _numbers(reading: Reading) -> Iterator[Objection]:
    counted: dict[str, int] = {}
    for noun in reading.nouns:
        if noun.number >= 2 and counted.setdefault(noun.name, noun.number) != noun.number:
            yield _no(f"the {noun.name} is there {counted[noun.name]} times and {noun.number} times")


def _directions(reading: Reading) -> Iterator[Objection]:
    ways = _values(reading, "move")
    for (who, _), values in ways.items():
        for way in sorted(values):
            if OPPOSITE[way] in values:
                yield _no(f"the {who} moves {way} and {OPPOSITE[way]} at once")


def _colours(reading: Reading) -> Iterator[Objection]:
    turns = {fact.who for fact in reading.facts if fact.kind == "turn"}
    for fact in _of(reading, "turn"):
        if fact.when == 0 and fact.value in fact.who.split():
            yield Objection("infeasible", f"the {fact.who} turns {fact.value}, which it is already")
    for fact in _of(reading, "is"):
        own = set(fact.who.split()) & COLOURS
        if own and fact.value not in own and (fact.who not in turns or fact.when == 0):
            yield _no(f"the {fact.who} is said to be {fact.value}")
    for (who, _), values in _values(reading, "turn").items():
        if len(values) > 1:
            yield _no(f"the {who} turns {' and '.join(sorted(values))} at once")


def _sizes(reading: Reading) -> Iterator[Objection]:
    for (who, _), values in _values(reading, "grow").items():
        if len(values) > 1:
            yield _no(f"the {who} grows and shrinks at once")


def _camera(reading: Reading) -> Iterator[Objection]:
    is_still = any(fact.kind == "camera" for fact in reading.setting) and not reading.is_timed
    for values in _values(reading, "camera").values():
        motions = sorted(value.replace("_", " ") for value in values)
        if is_still:
            yield _no(f"the camera is still and is to {', '.join(motions)}")
        for one, other in combinations(motions, 2):
            if {one, other} == {"zoom in", "zoom out"} or OPPOSITE.get(one.removeprefix("pan ")) == other[4:]:
                yield _no(f"the camera is to {one} and {other} at once")


def _relations(reading: Reading) -> Iterator[Objection]:
    pairs: dict[tuple[str, str], dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for fact in _of(reading, "at"):
        if fact.who == fact.other:
            continue  # two things that look alike, or one: the words do not distinguish them
        pairs[fact.who, fact.other][fact.when].add(fact.value)
        pairs[fact.other, fact.who][fact.when].add(OPPOSITE[fact.value])
    for (who, other), by_time in pairs.items():
        for values in by_time.values():
            both = sorted(value for value in values if OPPOSITE[value] in values)
            if both:
                yield _no(f"the {who} is {' and '.join(both)} of the {other} at once")
        if len(by_time) > 1 and len({frozenset(values) for values in by_time.values()}) == 1:
            yield Objection("infeasible", f"the {who} ends where it started, seen from the {other}")


def _falling(reading: Reading) -> Iterator[Objection]:
    done, moved = _values(reading, "do"), _values(reading, "move")
    for (who, when), values in done.items():
        if {"fall", "rise"} <= values:
            yield _no(f"the {who} falls and rises at once")
        if {"bounce", "land"} <= values:
            yield _no(f"the {who} bounces and stays on the floor")
        for verb in sorted(values & set(NATURAL_WAY)):
            if OPPOSITE[NATURAL_WAY[verb]] in moved.get((who, when), set()):
                yield _no(f"the {who} is to {verb} {OPPOSITE[NATURAL_WAY[verb]]}")


def _stillness(reading: Reading) -> Iterator[Objection]:
    for still in _of(reading, "still"):
        for fact in reading.facts:
            if fact.when != still.when:
                continue
            if fact.who == still.who and fact.kind in ("move", "do"):
                yield _no(f"the {still.who} stays still and moves")
            if fact.kind == "push" and fact.other == still.who:
                yield _no(f"the {still.who} is pushed and does not move")


def _backgrounds(reading: Reading) -> Iterator[Objection]:
    colours = sorted({fact.value for fact in reading.setting if fact.kind == "background"})
    if len(colours) > 1:
        yield _no(f"there are {len(colours)} backgrounds: {', '.join(colours)}")


def _of(reading: Reading, kind: str) -> list[Fact]:
    """Facts of one kind about known things, in a fixed order."""
    facts = [fact for fact in reading.facts if fact.kind == kind and fact.who != UNKNOWN]
    return sorted(facts, key=lambda fact: (fact.when, fact.who, fact.value, fact.other))


def _values(reading: Reading, kind: str) -> dict[tuple[str, int], set[str]]:
    """(who, when) -> values stated of it at that time."""
    values: dict[tuple[str, int], set[str]] = defaultdict(set)
    for fact in _of(reading, kind):
        values[fact.who, fact.when].add(fact.value)
    return dict(values)


_RULES: Final[tuple[Callable[[Reading], Iterator[Objection]], ...]] = (
    _nouns,
    _numbers,
    _directions,
    _colours,
    _sizes,
    _camera,
    _relations,
    _falling,
    _stillness,
    _backgrounds,
)
