"""Which replies of a judge server hold an answer, and which: the strict rule that scores are held against.

It shares no code with the judge. A reply that breaks the format in its answer holds no answer at all; what is odd
elsewhere (an unknown field, a wrong date) changes nothing.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

_MARKS: Final = " \t\r\n\"'`*.,!:;()[]Ġ▁Ċ"
_LARGEST_SUM: Final = 1.01
"""Of the probabilities of all candidates: rounding of 16-bit numbers explains that much."""
_LARGEST_MASS: Final = 1.001
"""Of yes and no together."""


def valid_p_yes(status: int, body: bytes, min_mass: float) -> float | None:
    """The probability of yes that a reply holds; None if it holds no answer.

    Args:
        status: of HTTP.
        body: as sent.
        min_mass: share of the first word that must be yes or no.
    """
    choice = _choice(status, body)
    if choice is None:
        return None
    has_chances, chances = _chances(choice.get("logprobs"))
    if has_chances:
        return None if chances is None else _from_chances(chances, min_mass)
    return _from_text(choice["message"]["content"])


def _choice(status: int, body: bytes) -> dict[str, Any] | None:
    if status != 200:
        return None
    try:
        value = json.loads(body.decode("utf-8", "replace"))
        choice = value["choices"][0]
        return choice if isinstance(choice["message"]["content"], str) else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _chances(value: Any) -> tuple[bool, list[tuple[str, float]] | None]:
    """Whether the server gives probabilities, and they; None in their place if any of them is wrong."""
    if value is None or (isinstance(value, dict) and value.get("content") in (None, [])):
        return False, None
    try:
        first = value["content"][0]
        # A token with its own probability, but no other candidates, is a whole reply too.
        gives_others = first.get("top_logprobs") not in (None, [])
        entries = first["top_logprobs"] if gives_others else [first]
        chances = [(entry["token"], entry["logprob"]) for entry in entries]
    except (LookupError, TypeError, AttributeError):
        return True, None
    good = all(isinstance(token, str) and type(chance) in (int, float) for token, chance in chances)
    if not good or not all(math.isfinite(_number(chance)) and chance <= 0 for _, chance in chances):
        return True, None
    return gives_others, chances


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _from_chances(chances: list[tuple[str, float]], min_mass: float) -> float | None:
    if math.fsum(math.exp(chance) for _, chance in chances) > _LARGEST_SUM:
        return None
    mass = {word: math.fsum(math.exp(c) for token, c in chances if _word(token) == word) for word in ("yes", "no")}
    whole = mass["yes"] + mass["no"]
    return None if whole <= 0 or whole < min_mass or whole > _LARGEST_MASS else mass["yes"] / whole


def _from_text(text: str) -> float | None:
    said = _word(text)
    if said not in ("yes", "no"):
        try:
            value = json.loads(text.strip().removeprefix("```json").removeprefix("```").removesuffix("```"))
        except (ValueError, RecursionError):
            return None
        said = value.get("answer") if isinstance(value, dict) else None
    return {"yes": 1.0, "no": 0.0}.get(said) if isinstance(said, str) else None


def _word(text: str) -> str:
    return text.strip(_MARKS).casefold()
