"""Plain English words: how a prompt is split, forms of verbs, synonyms. It knows no world of its own."""

from __future__ import annotations

import re
from typing import Final

ARTICLES: Final = frozenset(("a", "an", "the"))
_WORD: Final = re.compile(r"\w+(?:'\w+)?|,")
_NO_MEANING: Final = frozenset("and is are be there while , with on of its their his her".split())
VERBS: Final = {
    "move": "move slide travel go glide drift",
    "grow": "grow",
    "shrink": "shrink",
    "turn": "turn become",
    "fall": "fall drop",
    "rise": "rise float",
    "bounce": "bounce",
    "push": "push",
    "touch": "touch hit",
    "pan": "pan",
}
"""Verbs of motion and change that say much the same: standard word -> verbs."""


def words(text: str) -> list[str]:
    """The lower-case words of a text, and its commas; other punctuation is ignored."""
    return _WORD.findall(text.lower())


def forms(verb: str) -> tuple[str, str, str]:
    """A verb, its third person and its -ing form. Consonants are not doubled: the sandbox's words need none."""
    gerund = verb.removesuffix("e") + "ing" if verb.endswith("e") else f"{verb}ing"
    third = f"{verb}es" if verb.endswith(("sh", "ch", "go")) else f"{verb}s"
    return verb, third, gerund


def is_filler(word: str) -> bool:
    """True for words that carry no meaning of their own in a description."""
    return word in ARTICLES or word in _NO_MEANING


_SAME: Final = {"against": "on", "gray": "grey", "color": "colour", "starts": "start", "begins": "start"} | {
    form: standard for standard, verbs in VERBS.items() for verb in verbs.split() for form in forms(verb)
}


def normalised(text: str) -> tuple[str, ...]:
    """The words of a text in order, without articles and punctuation, each synonym replaced by one standard word.

    Example: "A red circle slides to the left." and "the red circle moves to the left" give the same words.
    """
    return tuple(_SAME.get(word, word) for word in words(text) if word not in ARTICLES and word != ",")
