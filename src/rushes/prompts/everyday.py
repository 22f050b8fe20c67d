"""Contradictions in everyday prompts: the patterns of `everyday.yaml`, as regular expressions.

A pattern is matched against words with one space after each. It begins with a word and its repeats are bounded, so
reading takes time linear in the text, whatever it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict

_FILE: Final = "everyday.yaml"
_NAME: Final = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Rule:
    """One way in which a sentence contradicts itself."""

    what: str
    """What is wrong, in words."""
    pattern: re.Pattern[str]
    """Found in a sentence that does."""


@dataclass(frozen=True)
class Rules:
    """All that is read in everyday prompts."""

    at_once: tuple[Rule, ...]
    """What is said to be at the same time."""
    states: tuple[Rule, ...]
    """What is said of one moment, for texts that tell of no change."""
    change: re.Pattern[str]
    """Found in a text that tells of a change."""
    elsewhere: re.Pattern[str]
    """Found in a text that tells of several things, or of what is not there."""


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid")
    what: str
    opposites: tuple[tuple[str, str], ...] = ()
    patterns: tuple[str, ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    words: Mapping[str, str]
    stretches: Mapping[str, str]
    at_once: tuple[_Group, ...]
    states: tuple[_Group, ...]
    change: str
    elsewhere: str


@cache
def everyday_rules() -> Rules:
    """The packaged rules."""
    text = (files("rushes.prompts") / _FILE).read_text(encoding="utf-8")
    held = _File.model_validate(yaml.safe_load(text))
    named = {name: _one_of(words.split()) for name, words in held.words.items()}
    for name, stretch in held.stretches.items():
        named[name] = _NAME.sub(lambda found: named[found[1]], stretch)
    return Rules(
        at_once=tuple(rule for group in held.at_once for rule in _rules(group, named)),
        states=tuple(rule for group in held.states for rule in _rules(group, named)),
        change=re.compile(rf"(?<= )(?:{_one_of(held.change.split())}|(?<!at )once |from (?:[^ ]{{1,24}} ){{1,3}}to )"),
        elsewhere=re.compile(rf"(?<= )(?:{_one_of(held.elsewhere.split())}|(?<!each )other |each (?!other))"),
    )


def _rules(group: _Group, named: Mapping[str, str]) -> Iterator[Rule]:
    pairs = [pair for one, other in group.opposites for pair in ((one, other), (other, one))]
    for pattern in group.patterns:
        for one, other in pairs or [("", "")]:
            steps = pattern.replace("{one}", one).replace("{other}", other).split()
            start = "" if steps[0] == "^" else "(?<= )"
            yield Rule(group.what, re.compile(start + "".join(_step(step, named) for step in steps)))


def _step(step: str, named: Mapping[str, str]) -> str:
    """The regular expression of one step of a pattern, with the space after its last word."""
    if step == "^":
        return "^ "
    if step.endswith("?"):
        return f"(?:{_step(step[:-1], named)})?"
    if step.startswith("!"):
        return f"(?!{_step(step[1:], named)})"
    if step.startswith("@"):
        return f"({_step(step[1:], named)})"
    if step.startswith("="):
        return f"\\{int(step[1:])}"
    choices = [named[found[1]] if (found := _NAME.fullmatch(each)) else _one_of([each]) for each in step.split("|")]
    return choices[0] if len(choices) == 1 else f"(?:{'|'.join(choices)})"


def _one_of(words: list[str]) -> str:
    """One of these words and the space after it."""
    return f"(?:{'|'.join(map(re.escape, words))}) "
