"""Negate a yes/no question where that is safe, so that the other answer becomes the right one. Pure."""

from __future__ import annotations

import re
from typing import Final

_OPENING: Final = re.compile(
    r"(is|are|was|were|does|do|did|has|have|had|can|could|will|would)\b(?!n['\u2019]?t)", re.IGNORECASE
)
_THERE: Final = re.compile(r"(is|are|was|were) there (?P<rest>.+)", re.IGNORECASE)
_UNSAFE: Final = re.compile(
    r"\b(not|no|never|none|nothing|nobody|neither|nor|or|without|false|true|cannot)\b|n['\u2019]t\b", re.IGNORECASE
)
_HINT: Final = re.compile(r"\s*\(yes or no\)\s*[?.]?$", re.IGNORECASE)
MAX_CHARS: Final = 400
"""Longest question that is negated, characters."""


def negated(question: str) -> str | None:
    """The same question with the opposite right answer, or None if no simple rule is sure to give that.

    "Is there a red ball?" becomes "Is it false that there is a red ball?"; any other yes/no question is quoted: "Is it
    false that the answer to 'does the ball roll to the left?' is yes?". Not negated: texts that do not start like a
    yes/no question (or end with the hint "(yes or no)", which is kept), questions with a negation or an "or" in them,
    several questions in one, quotations, very long ones.
    """
    text = " ".join(question.split())
    hint = _HINT.search(text)
    if hint is not None:
        turned = _turned(text[: hint.start()], is_yes_no=True)
        return None if turned is None else f"{turned} (yes or no)"
    return _turned(text, is_yes_no=False)


def _turned(text: str, *, is_yes_no: bool) -> str | None:
    body = text.removesuffix("?").strip()
    if len(text) > MAX_CHARS or not text.endswith("?") or not (is_yes_no or _OPENING.match(body)):
        return None
    if _UNSAFE.search(body) or re.search(r"[?!.;:\"\u201c\u201d]", body) or re.search(r"(^|\s)['\u2018]", body):
        return None
    there = _THERE.fullmatch(body)
    if there is not None:
        return f"Is it false that there {body.split()[0].lower()} {there['rest']}?"
    return f"Is it false that the answer to '{text[0].lower()}{text[1:]}' is yes?"
