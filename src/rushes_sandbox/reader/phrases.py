"""The words of the world of shapes: colours, sizes, shapes, and the short phrases that the reader understands.

The lists are about coloured shapes, motion and cameras. Other words are compared one by one; no rule applies to them.
"""

from __future__ import annotations

from typing import Final

from rushes.prompts.language import VERBS, forms

COLOURS: Final = frozenset(
    "red yellow green cyan blue purple orange pink white black grey gray brown navy sand magenta violet".split()
)
SIZES: Final = {"small": "small", "little": "small", "tiny": "small", "big": "big", "large": "big", "huge": "big"}
SHAPES: Final = frozenset("circle square triangle cross shape ball star box cube ring diamond".split())
NUMBERS: Final = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
OPPOSITE: Final = {"left": "right", "right": "left", "up": "down", "down": "up", "above": "below", "below": "above"}

_PLURAL: Final = {f"{shape}es" if shape[-1] in "sx" else f"{shape}s": shape for shape in SHAPES}
_UNORDERED: Final = ("together", "side by side", "at once", "at same time", "simultaneously")


def shape_of(word: str) -> tuple[str, bool] | None:
    """The shape that a noun names, and whether it is a plural; None for any other word."""
    if word in SHAPES:
        return word, False
    return (_PLURAL[word], True) if word in _PLURAL else None


def _phrases() -> dict[tuple[str, ...], tuple[str, str]]:
    """Phrase without articles -> (kind, value)."""
    table: dict[tuple[str, ...], tuple[str, str]] = {}

    def add(kind: str, value: str, *phrases: str) -> None:
        for phrase in phrases:
            table[tuple(phrase.split())] = (kind, value)

    def verbs(kind: str, value: str, stems: str, tail: str = "") -> None:
        for stem in stems.split():
            add(kind, value, *(f"{form}{tail}" for form in forms(stem)))

    for way in ("left", "right"):
        add("direction", way, f"to {way}", way, f"{way}wards", f"{way}ward", f"towards {way}", f"toward {way}")
        add("relation", way, f"to {way} of", f"{way} of", f"on {way} of", f"from {way} of")
    for way in ("up", "down"):
        add("direction", way, way, f"{way}wards", f"{way}ward")
    for way, synonyms in (("above", "above over"), ("below", "below under beneath")):
        for word in synonyms.split():
            add("relation", way, word, f"from {word}", f"to {word}")
    add("relation", "above", "on top of")
    verbs("move", "", VERBS["move"])
    verbs("grow", "grow", VERBS["grow"])
    verbs("grow", "shrink", VERBS["shrink"])
    add("grow", "grow", "gets bigger", "get bigger", "becomes bigger", "gets larger", "becomes larger")
    add("grow", "shrink", "gets smaller", "get smaller", "becomes smaller")
    verbs("turn", "", VERBS["turn"])
    add("turn", "", "turns into", "turning", "changes to", "changes colour to", "changes its colour to")
    add("change", "", "changes its colour from", "changes colour from", "changes from", "turns from")
    for tail in ("", " to floor", " to ground"):
        verbs("do", "fall", VERBS["fall"], tail)
    for tail in ("", " into air", " up"):
        verbs("do", "rise", VERBS["rise"], tail)
    for tail in ("", " back", " back up"):
        verbs("do", "bounce", VERBS["bounce"], tail)
    for place in ("on floor", "there", "on ground"):
        verbs("do", "land", "stay", f" {place}")
    add("still", "", "does not move", "do not move", "is still", "are still", "never moves")
    for stem in ("stay", "stand", "keep"):
        verbs("still", "", stem, " still")
    verbs("onto", "push", VERBS["push"])
    verbs("onto", "touch", "run bump", " into")
    verbs("onto", "touch", VERBS["touch"])
    add("onto", "stop", "stops at", "stop at", "stopping at")
    verbs("when", "start", "start begin")
    verbs("when", "end", "end")
    add("then", "", "then", "and then", "afterwards", "after that", "before", "finally")
    add("after", "", "after")
    add("nothing", "", "first", "at first", *_UNORDERED, *(f"all {word}" for word in _UNORDERED))
    add("camera", "", "camera")
    for how in ("", "with ", "filmed with "):
        add("still_camera", "", f"{how}still camera", f"{how}static camera")
    verbs("pan", "", VERBS["pan"])
    for way in ("in", "out"):
        verbs("zoom", way, "zoom", f" {way}")
    add("it", "", "it", "them", "itself")
    add("which", "", "which", "that", "who")
    return table


PHRASES: Final = _phrases()
"""The phrases that the reader understands: phrase without articles -> (kind, value)."""
LONGEST_PHRASE: Final = max(map(len, PHRASES))
