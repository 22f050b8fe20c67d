"""New prompts by analogy with one of the user's examples: the same sentence about other things.

One substitution is drawn and applied word for word to the prompt and to all of its questions: colours, shapes and
backgrounds are each permuted, and the world may be mirrored. Different words stay different and opposites stay
opposites, so every expected answer stays correct, whatever the sentence says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rushes_sandbox.questions import plural
from rushes_sandbox.scene import BACKGROUNDS, COLOURS, RADIUS_PX, SHAPES

Rng = np.random.Generator
_TOKEN: Final = re.compile(r"[A-Za-z]+|[^A-Za-z]+")
_SIDEWAYS: Final = {"left": "right", "leftward": "rightward", "leftwards": "rightwards", "leftmost": "rightmost"}
_UPRIGHT: Final = {"up": "down", "above": "below", "upward": "downward", "upwards": "downwards"}
_WEIGHT: Final = frozenset(
    "fall falls falling drop drops dropping floor ground bounce bounces bouncing rise rises rising float floats "
    "floating air sink sinks gravity top bottom over under beneath high low higher lower".split()
)
"""Words that imply gravity or height: with any of them the world is not turned upside down."""
_BEFORE: Final = frozenset(
    "move moves moving slide slides sliding travel travels go goes going pan pans panning then and to the from on "
    "towards toward camera straight first its".split()
)
_AFTER: Final = frozenset(
    "of side edge half and then at in after before while when on over by until again it the a to together "
    "against".split()
)
_NOUN_BEFORE: Final = frozenset(("a", "the", "another", "each", "one", "two", "three", "other", *COLOURS, *RADIUS_PX))


@dataclass(frozen=True)
class Variation:
    """An example with some of its words replaced."""

    text: str
    """The new prompt."""
    questions: dict[str, str]
    """The new questions, each with the expected answer of the old one."""
    changes: tuple[str, ...]
    """What was substituted, e.g. `red -> blue`, in the order of the words; empty if nothing could be."""


def vary(prompt: str, questions: Mapping[str, str], rng: Rng) -> Variation:
    """Draw one substitution and apply it to a prompt and its questions.

    Args:
        prompt: a text about the sandbox world, or any other; words that the world does not have stay as they are.
        questions: question -> expected answer.
        rng: decides the substitution.
    """
    texts = [prompt, *questions]
    swaps = _permutation(rng, COLOURS) | _mirror(rng, texts)
    nouns = _permutation(rng, SHAPES)
    nouns |= {plural(old): plural(new) for old, new in nouns.items()}
    backgrounds = _permutation(rng, BACKGROUNDS)
    changed: dict[str, str] = {}
    new = [_substituted(text, swaps, nouns, backgrounds, changed) for text in texts]
    answers = dict(zip(new[1:], questions.values(), strict=True))
    return Variation(new[0], answers, tuple(f"{a} -> {b}" for a, b in changed.items() if a != b))


def _permutation(rng: Rng, words: Sequence[str]) -> dict[str, str]:
    return {word: words[int(i)] for word, i in zip(words, rng.permutation(len(words)), strict=True)}


def _mirror(rng: Rng, texts: Sequence[str]) -> dict[str, str]:
    """Swaps left with right, and up with down: each at random, and only if every use is certainly a direction."""
    sideways, upright = (bool(rng.random() < 0.5) for _ in range(2))
    swaps: dict[str, str] = {}
    if sideways and all(_is_direction(text, _SIDEWAYS) for text in texts):
        swaps |= _both_ways(_SIDEWAYS)
    heavy = any(_WEIGHT & set(re.findall(r"[a-z]+", text.lower())) for text in texts)
    if upright and not heavy and all(_is_direction(text, _UPRIGHT) for text in texts):
        swaps |= _both_ways(_UPRIGHT)
    return swaps


def _both_ways(pairs: Mapping[str, str]) -> dict[str, str]:
    return dict(pairs) | {b: a for a, b in pairs.items()}


def _is_direction(text: str, pairs: Mapping[str, str]) -> bool:
    """False if one of the words may mean something else: `left the frame`, `right away`, `speeds up`."""
    ambiguous = {"left", "right", "up", "down"} & _both_ways(pairs).keys()
    found = re.findall(r"[a-z]+|[^a-z\s]", text.lower())
    for i, word in enumerate(found):
        before, after = found[i - 1] if i else "", found[i + 1] if i + 1 < len(found) else ""
        is_after_fine = not after or not after.isalpha() or after in _AFTER
        if word in ambiguous and not (before in _BEFORE and is_after_fine):
            return False
    return True


def _substituted(
    text: str,
    swaps: Mapping[str, str],
    nouns: Mapping[str, str],
    backgrounds: Mapping[str, str],
    changed: dict[str, str],
) -> str:
    """`text` with its words replaced; appends each replacement to `changed`."""
    pieces = _TOKEN.findall(text)
    places = [i for i, piece in enumerate(pieces) if piece[0].isalpha()]
    lower = [pieces[i].lower() for i in places]
    for k, word in enumerate(lower):
        before, after = lower[k - 1] if k else "", lower[k + 1] if k + 1 < len(lower) else ""
        new = swaps.get(word)
        if word in nouns and before in _NOUN_BEFORE:
            # "crosses" and "circles" are verbs too: a word is a noun only after an article, a number or an adjective.
            new = nouns[word]
        elif word in backgrounds and after == "background":
            new = backgrounds[word]
        if new is not None:
            changed[word] = new
            pieces[places[k]] = new.capitalize() if pieces[places[k]][0].isupper() else new
    return "".join(pieces)
