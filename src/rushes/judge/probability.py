"""Yes or no by probability: p = P(yes) / (P(yes) + P(no)) of the first word, over all spellings, or why there is none.

Pure. Too little mass on yes and no together means that the model gave another reply: unscored, never a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from pydantic import ValidationError

from rushes.llm.ask import ReplyForm, Unusable, is_thinking, single_object, without_thoughts
from rushes.llm.chat import TokenChance
from rushes.roles import GivenAnswer

_MARKS: Final = " \t\r\n\"'`*.,!:;()[]\u0120\u2581\u010a"
_WORDS: Final[Mapping[str, Literal["yes", "no"]]] = {"yes": "yes", "no": "no"}
_SHOWN: Final = 80
_MOST: Final = 3
THINKS: Final = (
    "it thinks before it answers: switch that off with extra_body: {chat_template_kwargs: {enable_thinking: false}} "
    "beside its name (chat_template_kwargs for a model on this machine)"
)
"""What to do about a judge that writes thoughts first."""
_FENCE: Final = re.compile(r"^```(?:json)?|```$", re.MULTILINE)


class AnswerForm(ReplyForm):
    """The reply format for a server that gives no probabilities."""

    answer: Literal["yes", "no"]


def polarity(token: str) -> Literal["yes", "no"] | None:
    """A token as yes or no, ignoring case, surrounding space, quotes and punctuation; None for other tokens."""
    return _WORDS.get(token.strip(_MARKS).casefold())


def p_yes(mass_yes: float, mass_no: float, min_mass: float, instead: str = "") -> GivenAnswer:
    """The answer given by two probabilities.

    Args:
        mass_yes: probability of all spellings of yes, 0 to 1.
        mass_no: probability of all spellings of no, 0 to 1.
        min_mass: their sum below which there is no answer.
        instead: the most probable other words, for the reason.
    """
    mass = mass_yes + mass_no
    if not math.isfinite(mass) or mass_yes < 0 or mass_no < 0 or mass > 1.001:
        return GivenAnswer(None, f"the model's probabilities are not valid: yes {mass_yes!r}, no {mass_no!r}")
    mass = min(1.0, mass)
    if mass <= 0 or mass < min_mass:
        rather = f"; most probable: {instead}" if instead else ""
        rather += f"; {THINKS}" if "<think" in instead else ""
        return GivenAnswer(None, f"only {mass:.1%} of the first word is yes or no{rather}", mass)
    return GivenAnswer(mass_yes / (mass_yes + mass_no), None, mass)


def from_chances(chances: Iterable[TokenChance], min_mass: float) -> GivenAnswer:
    """The answer from a server's candidates for the first token.

    Less probable tokens than the last candidate are not reported, so the mass is a lower bound.
    """
    sums = {"yes": 0.0, "no": 0.0}
    found = list(chances)
    for chance in found:
        meaning = polarity(chance.text)
        if meaning is not None:
            sums[meaning] += math.exp(chance.logprob)
    instead = ", ".join(f"{each.text[:20]!r} {math.exp(each.logprob):.0%}" for each in found[:_MOST])
    return p_yes(sums["yes"], sums["no"], min_mass, instead)


def from_text(text: str) -> GivenAnswer:
    """The answer from a server without probabilities: the whole reply must be yes or no, or `{"answer": "yes"}`.

    A longer reply is not an answer: "Yes, but" and "No idea" start with the same words. Thoughts before it are ignored.
    """
    said = without_thoughts(text).strip()
    meaning = polarity(said) or _answer_in(_FENCE.sub("", said).strip())
    if meaning is None:
        why = f"expected yes or no, the model said {' '.join(said.split())[:_SHOWN]!r}"
        return GivenAnswer(None, f"{why}; {THINKS}" if is_thinking(said) else why)
    return GivenAnswer(1.0 if meaning == "yes" else 0.0)


def _answer_in(text: str) -> Literal["yes", "no"] | None:
    """The answer in a text that is one JSON object with nothing else in it."""
    try:
        return AnswerForm.model_validate(single_object(text), extra="forbid").answer
    except (Unusable, ValidationError):
        return None


def spellings(vocabulary: Mapping[str, int]) -> dict[Literal["yes", "no"], list[int]]:
    """Token numbers of every spelling of yes and of no in a tokenizer's vocabulary, sorted."""
    found: dict[Literal["yes", "no"], list[int]] = {"yes": [], "no": []}
    for token, number in vocabulary.items():
        meaning = polarity(token)
        if meaning is not None:
            found[meaning].append(number)
    return {meaning: sorted(numbers) for meaning, numbers in found.items()}
