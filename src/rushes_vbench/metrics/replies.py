"""Parses replies of models by rule: yes or no, numbered lists, lists of numbers. Pure."""

from __future__ import annotations

import json
import re

from rushes_vbench.metrics.core import Profile

_FIRST_WORD = re.compile(r"^[\s\"'*_(\[`]*(yes|no)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+\.\s*")
_ITEM = re.compile(r"^\s*(?:\*\*)?\d+\s*[.):]\s*", re.MULTILINE)
_LIST = re.compile(r"\[[^\[\]]*\]")


def says_yes(reply: str, profile: Profile) -> bool | None:
    """Whether a reply says yes; None if it says neither.

    `compat`: yes if "yes" occurs anywhere in it, else no, as in the official code ("yesterday" is a yes).
    `fixed`: the first word must be yes or no.

    Args:
        reply: the model's words.
        profile: whose rule.
    """
    if profile == "compat":
        return "yes" in reply.lower()
    found = _FIRST_WORD.match(reply)
    return None if found is None else found.group(1).lower() == "yes"


def split_numbered(reply: str) -> list[str]:
    """The official split: at every number with a full stop, wherever it occurs; parts without words are dropped.

    So words before the first number become an item, a decimal such as 3.5 is cut in two, and an empty slot moves the
    later items forward.
    """
    return [part.strip() for part in _NUMBER.split(reply) if part.strip()]


def numbered_items(reply: str) -> list[str]:
    """The items of a numbered list, one per line; text before the first is left out. Empty if there is no list."""
    starts = list(_ITEM.finditer(reply))
    if not starts:
        return []
    ends = [*(match.start() for match in starts[1:]), len(reply)]
    items = [reply[match.end() : end].strip(" \t\r\n*;") for match, end in zip(starts, ends, strict=True)]
    return [item for item in items if item]


def chosen_numbers(reply: str, num_expected: int, largest: int) -> list[int] | None:
    """A JSON list of whole numbers in a reply, such as [1, 3, 0]; None if none is as requested, or several differ.

    Args:
        reply: the model's words; other text around the list is allowed.
        num_expected: how many numbers there must be.
        largest: each must be between 0 and this.
    """
    good: list[list[int]] = []
    for text in _LIST.findall(reply):
        try:
            numbers = json.loads(text)
        except ValueError:
            continue
        if len(numbers) == num_expected and all(type(n) is int and 0 <= n <= largest for n in numbers):
            good.append(numbers)
    return good[0] if good and all(numbers == good[0] for numbers in good) else None
