"""The words the judge can read: every word of the question grammar, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rushes_sandbox.questions import Check, Kind, When, ask, plural
from rushes_sandbox.scene import CAMERAS, COLOURS, DIRECTIONS, RELATIONS, SHAPES

MAX_WORDS = 16
"""Longest question, in words."""
PAD = 0
"""Id of the padding after a question's last word."""
NUMBERS = ("one", "two", "three")
VALUES: dict[Kind, tuple[str, ...]] = {
    "colour": COLOURS,
    "moves": DIRECTIONS,
    "relation": RELATIONS,
    "camera": CAMERAS,
    "count": NUMBERS,
}
"""The values that a check of a kind can ask about; kinds without one are absent."""
WHENS: dict[Kind, tuple[When, ...]] = {
    "colour": ("start", "end"),
    "moves": ("", "first", "second"),
    "relation": ("start", "end"),
}
"""The times that a check of a kind can ask about; kinds without one are absent."""
KINDS: tuple[Kind, ...] = (
    "exists", "colour", "grows", "shrinks", "moves", "relation",
    "camera", "count", "faster", "bounces", "waits", "touches",
)  # fmt: skip


def question_words(question: str) -> list[str]:
    """Lower-case words of a question, punctuation dropped."""
    return re.findall(r"[a-z0-9']+", question.lower())


@lru_cache(maxsize=1)
def question_vocabulary() -> tuple[str, ...]:
    """Every word of every phrasing, sorted; position + 1 is its id."""
    rng, words = np.random.default_rng(0), {*COLOURS, *SHAPES, *(plural(shape) for shape in SHAPES)}
    for kind in KINDS:
        for value in VALUES.get(kind, ("",)):
            for when in WHENS.get(kind, ("",)):
                check = Check(kind, "red circle", "blue square", value, when)
                for _ in range(12):  # enough for every phrasing to occur
                    words.update(question_words(ask(check, rng)))
    return tuple(sorted(words))


def word_ids() -> dict[str, int]:
    """The id of every word."""
    return {word: index + 1 for index, word in enumerate(question_vocabulary())}


def encode_question(question: str, ids: dict[str, int]) -> list[int] | str:
    """Word ids of a question, or the reason why it cannot be read."""
    words = question_words(question)
    unknown = [word for word in words if word not in ids]
    if unknown:
        return f"unknown word {unknown[0]!r}"
    if not 0 < len(words) <= MAX_WORDS:
        return f"a question has 1 to {MAX_WORDS} words, this one has {len(words)}"
    return [ids[word] for word in words]


def pad_questions(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Ids of shape (questions, MAX_WORDS), filled up with PAD."""
    out = np.full((len(rows), MAX_WORDS), PAD, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out
