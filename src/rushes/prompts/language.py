"""Words: how a prompt is split, which words are synonyms here, and which short phrases the reader understands.

The lists are about coloured shapes, motion and cameras. Other words are compared one by one; no rule applies to them.
"""

from __future__ import annotations

import re
from typing import Final

COLOURS: Final = frozenset(
    "red yellow green cyan blue purple orange pink white black grey gray brown navy sand magenta violet".split()
)
SIZES: Final = {"small": "small", "little": "small", "tiny": "small", "big": "big", "large": "big", "huge": "big"}
SHAPES: Final = frozenset("circle square triangle cross shape ball star box cube ring diamond".split())
NUMBERS: Final = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
ARTICLES: Final = frozenset(("a", "an", "the"))
OPPOSITE: Final = {"left": "right", "right": "left", "up": "down", "down": "up", "above": "below", "below": "above"}

_PLURAL: Final = {f"{shape}es" if shape[-1] in "sx" else f"{shape}s": shape for shape in SHAPES}
_WORD: Final = re.compile(r"\w+(?:'\w+)?|,")
_NO_MEANING: Final = frozenset("and is are be there while , with on of its their his her".split())
_UNORDERED: Final = ("together", "side by side", "at once", "at same time", "simultaneously")


def words(text: str) -> list[str]:
    """The lower-case words of a text, and its commas; other punctuation is ignored."""
    return _WORD.findall(text.lower())


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
            gerund = stem.removesuffix("e") + "ing" if stem.endswith("e") else f"{stem}ing"
            third = f"{stem}es" if stem.endswith(("sh", "ch", "go")) else f"{stem}s"
            add(kind, value, *(f"{form}{tail}" for form in (stem, third, gerund)))

    for way in ("left", "right"):
        add("direction", way, f"to {way}", way, f"{way}wards", f"{way}ward", f"towards {way}", f"toward {way}")
        add("relation", way, f"to {way} of", f"{way} of", f"on {way} of", f"from {way} of")
    for way in ("up", "down"):
        add("direction", way, way, f"{way}wards", f"{way}ward")
    for way, synonyms in (("above", "above over"), ("below", "below under beneath")):
        for word in synonyms.split():
            add("relation", way, word, f"from {word}", f"to {word}")
    add("relation", "above", "on top of")
    verbs("move", "", "move slide travel go glide drift")
    verbs("grow", "grow", "grow")
    verbs("grow", "shrink", "shrink")
    add("grow", "grow", "gets bigger", "get bigger", "becomes bigger", "gets larger", "becomes larger")
    add("grow", "shrink", "gets smaller", "get smaller", "becomes smaller")
    verbs("turn", "", "turn become")
    add("turn", "", "turns into", "turning", "changes to", "changes colour to", "changes its colour to")
    add("change", "", "changes its colour from", "changes colour from", "changes from", "turns from")
    for tail in ("", " to floor", " to ground"):
        verbs("do", "fall", "fall drop", tail)
    for tail in ("", " into air", " up"):
        verbs("do", "rise", "rise float", tail)
    for tail in ("", " back", " back up"):
        verbs("do", "bounce", "bounce", tail)
    for place in ("on floor", "there", "on ground"):
        verbs("do", "land", "stay", f" {place}")
    add("still", "", "does not move", "do not move", "is still", "are still", "never moves")
    for stem in ("stay", "stand", "keep"):
        verbs("still", "", stem, " still")
    verbs("onto", "push", "push")
    verbs("onto", "touch", "run bump", " into")
    verbs("onto", "touch", "touch hit")
    add("onto", "stop", "stops at", "stop at", "stopping at")
    verbs("when", "start", "start begin")
    verbs("when", "end", "end")
    add("then", "", "then", "and then", "afterwards", "after that", "before", "finally")
    add("after", "", "after")
    add("nothing", "", "first", "at first", *_UNORDERED, *(f"all {word}" for word in _UNORDERED))
    add("camera", "", "camera")
    for how in ("", "with ", "filmed with "):
        add("still_camera", "", f"{how}still camera", f"{how}static camera")
    verbs("pan", "", "pan")
    for way in ("in", "out"):
        verbs("zoom", way, "zoom", f" {way}")
    add("it", "", "it", "them", "itself")
    add("which", "", "which", "that", "who")
    return table


PHRASES: Final = _phrases()
"""The phrases that the reader understands: phrase without articles -> (kind, value)."""
LONGEST_PHRASE: Final = max(map(len, PHRASES))


def is_filler(word: str) -> bool:
    """True for words that carry no meaning of their own in a description."""
    return word in ARTICLES or word in _NO_MEANING


_SAME: Final = {"against": "on", "gray": "grey", "color": "colour", "starts": "start", "begins": "start"}
_NORMAL_VERB: Final = {
    phrase[0]: f"<{kind}{value}>"
    for phrase, (kind, value) in PHRASES.items()
    if len(phrase) == 1 and kind in ("move", "grow", "turn", "do", "onto", "pan")
}


def normalised(text: str) -> tuple[str, ...]:
    """The words of a text in order, without articles and punctuation, each synonym replaced by one standard word.

    Example: "A red circle slides to the left." and "the red circle moves to the left" give the same words.
    """
    return tuple(
        _SAME.get(word, _NORMAL_VERB.get(word, word)) for word in words(text) if word not in ARTICLES and word != ","
    )
