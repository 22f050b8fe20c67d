"""How many of what a prompt asks for, read from its words. Pure.

The benchmark states the counts of each of its prompts beside the text. Prompts that a language model wrote have only
the text: a number word with a plural counts wherever it stands, a single thing only as what the prompt begins with
("a red ball and a blue ball bounce"), because the things around it ("on a table") are scenery.
"""

from __future__ import annotations

import re
from typing import Final

from rushes.records import Unscored

_NUMBERS: Final = {
    **{
        word: number
        for number, word in enumerate("two three four five six seven eight nine ten eleven twelve".split(), start=2)
    },
    "pair": 2,
    "couple": 2,
    "dozen": 12,
}
_ONE: Final = frozenset({"a", "an", "one", "single"})
_MOST: Final = 12
"""More things than this are not counted: detectors lose count, and so do prompts."""
_PLURALS: Final = {
    "people": "person", "persons": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse",
    "geese": "goose", "feet": "foot", "teeth": "tooth", "wolves": "wolf", "knives": "knife", "leaves": "leaf",
    "loaves": "loaf", "calves": "calf", "sheep": "sheep", "fish": "fish", "deer": "deer", "buses": "bus",
    "policemen": "policeman", "firemen": "fireman", "horses": "horse", "houses": "house", "vases": "vase",
    "roses": "rose", "oxen": "ox",
}  # fmt: skip
_NO_THINGS: Final = frozenset(
    "second seconds minute minutes hour hours day days year years time times meter meters metre metres inch inches "
    "side sides step steps degree degrees way ways kind kinds color colors colour colours phases phase stages stage "
    "by of or".split()
)
_GROUPS: Final = frozenset(
    "group crowd flock herd pile stack bunch set series row line lot few handful swarm pack school field team".split()
)
_ENDS: Final = frozenset(
    "is are was were be on in at by with from to into onto off over under across through along around near beside "
    "behind before after against between above below up down out and or then while as that which who whose when "
    "where for its his her their the this these those not has have had does do can will each all both together".split()
)
_ABOUT: Final = frozenset("or to than least most about nearly almost around".split())
"""Before a number: it is none that a clip could be checked against."""
_VERBS: Final = frozenset(
    "fall roll run walk play fight jump spin float fly collide bounce move swim dance drift stand sit lie rest chase "
    "hug sleep eat drink race slide rotate hang sail cross meet talk sing".split()
)
"""What two single things do together has no ending: "a red ball and a blue ball fall"."""
_COLOURS: Final = frozenset("red blue green yellow white black orange brown grey gray pink purple golden".split())
_MAX_WORDS: Final = 4
"""Most words in the name of a thing, adjectives included."""
_TOKEN: Final = re.compile(r"[a-z0-9'-]+|[.,;:!?]")
_NO_VERB: Final = re.compile(r"(?:ss|us|is)$")


def asked_counts(text: str) -> dict[str, int] | Unscored:
    """How many of what: "Two red balloons float." -> {"red balloon": 2}; the reason if no number can be read.

    Args:
        text: the prompt, English.
    """
    words = _TOKEN.findall(text.casefold().replace("\u2019", "'"))
    found: dict[str, int] = {}
    place, is_subject = 0, True
    while place < len(words):
        number, start = _number_at(words, place)
        name, end = ("", start)
        if number is not None and number > 1:
            name, end = _plural_at(words, start)
        elif number == 1 and is_subject:
            name, end = _single_at(words, start)
        if name and number is not None:
            if found.get(name, number) != number:
                return Unscored(reason=f"the prompt gives two numbers of {name!r}: {found[name]} and {number}")
            found[name] = number
            is_subject = words[end : end + 1] == ["and"]
            place = end + 1 if is_subject else end
        else:
            is_subject = is_subject and not found and number is None
            place += 1
    return found or Unscored(reason="the prompt says of nothing how many there are, from one to twelve")


def _number_at(words: list[str], place: int) -> tuple[int | None, int]:
    """The number that begins here, and where the thing begins; None for no number."""
    word, *after = words[place : place + 3]
    if word in _ONE and after and _NUMBERS.get(after[0], 0):
        return None, place + 1  # "a pair of": the next word counts
    if word in _ONE:
        return 1, place + 1
    number = int(word) if word.isdigit() else _NUMBERS.get(word)
    is_exact = place == 0 or words[place - 1] not in _ABOUT
    if number is None or not (is_exact and 1 <= number <= _MOST):
        return None, place + 1
    return number, place + (2 if word in ("pair", "couple") and after[:1] == ["of"] else 1)


def _plural_at(words: list[str], start: int) -> tuple[str, int]:
    """The things that begin here, in the singular: up to the first plural among the next words."""
    for end in range(start, min(start + _MAX_WORDS, len(words))):
        word = words[end]
        if word in _ENDS or word in _NO_THINGS or not word[0].isalpha():
            break
        single = _singular(word)
        if single is not None:
            return " ".join([*words[start:end], single]), end + 1
    return "", start


def _single_at(words: list[str], start: int) -> tuple[str, int]:
    """The one thing that begins here: up to a verb, a preposition or a sign."""
    end = start
    while end < min(start + _MAX_WORDS, len(words)) and not _ends_name(words[end], is_first=end == start):
        end += 1
    name = words[start:end]
    if not name or name[-1] in _GROUPS | _NO_THINGS | _COLOURS:
        return "", start
    if words[end : end + 1] == ["of"]:
        rest, after = _single_at(words, end + 1)
        return (f"{' '.join(name)} of {rest}", after) if rest else ("", start)
    return " ".join(name), end


def _ends_name(word: str, *, is_first: bool) -> bool:
    if word in _ENDS or word == "of" or not word[0].isalpha():
        return True
    if is_first:
        return False
    return (
        word in _VERBS
        or word.endswith("ing")
        or (word.endswith("s") and _NO_VERB.search(word) is None and word not in _PLURALS)
    )


def _singular(word: str) -> str | None:
    """The singular of a plural; None for any other word."""
    if word in _PLURALS:
        return _PLURALS[word]
    if not word.endswith("s") or _NO_VERB.search(word) or len(word) < 4:
        return None
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses", "zes")) else word[:-1]
