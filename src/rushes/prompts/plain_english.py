"""The reader of everyday prompts in plain English: a few contradictions, and which texts say the same.

It has high precision on purpose: a prompt that it refuses wrongly is lost without anybody noticing, one that it lets
pass is left to the critic. So it looks at one short stretch of words at a time, and says nothing where the text tells
of a change, of several things, or of pictures.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Final

from rushes.prompts.everyday import Rule, everyday_rules
from rushes.prompts.language import is_filler, normalised
from rushes.prompts.reader import Objection

_TOKEN: Final = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|[,;:.!?\"]")
_LONGEST: Final = 24
"""Characters of a word that are read: no rule knows a longer one, and so every step of a rule is short."""
_ENDS: Final = re.compile(r" [.!?]")
_ORDERED: Final = frozenset("then after afterwards before finally".split())
_NO_CONTENT: Final = frozenset("to towards toward first".split())
_BACKGROUND: Final = frozenset(("on", "with", "before"))
_STILL_CAMERA: Final = re.compile(r"(?:(?:filmed )?with )?(?:a )?\b(?:still|static) camera\b", re.IGNORECASE)
_SHOWN: Final = 80


class PlainEnglish:
    """`PromptReader` of prompts of any subject."""

    def objection(self, text: str) -> Objection | None:
        """The first contradiction found; None where no rule objects."""
        rules, read = everyday_rules(), _spaced(text)
        if '"' in read or rules.elsewhere.search(read):
            return None
        fitting = rules.at_once if rules.change.search(read) else (*rules.at_once, *rules.states)
        for sentence in _ENDS.split(read):
            for rule in fitting:
                found = rule.pattern.search(f"{sentence.rstrip()} ")
                if found is not None:
                    return _objection(rule, found[0])
        return None

    def content(self, text: str, *, with_background: bool) -> Hashable:
        """The words that carry meaning, in order where the text tells what comes first ("then", "from red to blue").

        A camera that stays still is what every video has, unless it says otherwise.
        """
        found = [
            word for word in normalised(_STILL_CAMERA.sub(" ", text)) if not is_filler(word) or word in _BACKGROUND
        ]
        if not with_background:
            found = _without_background(found)
        kept = [word for word in found if not is_filler(word) and word not in _NO_CONTENT]
        return tuple(kept) if _is_ordered(found) else tuple(sorted(kept))


def _is_ordered(words: list[str]) -> bool:
    from_there = words[words.index("from") :] if "from" in words else []
    return not _ORDERED.isdisjoint(words) or "to" in from_there


def _without_background(words: list[str]) -> list[str]:
    """Without each `on a W background`, for any word W."""
    gone: set[int] = set()
    for i in range(len(words) - 2):
        if words[i] in _BACKGROUND and words[i + 2] == "background":
            gone |= {i, i + 1, i + 2}
    return [word for i, word in enumerate(words) if i not in gone]


def _spaced(text: str) -> str:
    """Lower-case words and marks with one space between them and around them."""
    plain = text.lower().replace("\u2019", "'").replace("\u201c", '"').replace("\u201d", '"')
    words = " ".join(word[:_LONGEST] for word in _TOKEN.findall(plain))
    return f" {words} ".replace("n't ", " not ").replace(" it's ", " it is ")


def _objection(rule: Rule, stretch: str) -> Objection:
    phrase = " ".join(stretch.split())[:_SHOWN]
    return Objection("contradiction", f"{rule.what}: {phrase!r}")
