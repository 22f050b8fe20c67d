"""A few words for each base prompt to start from, drawn by its seed: without them a model repeats itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TypeVar

import yaml

Item = TypeVar("Item")


@cache
def _lists() -> tuple[tuple[str, ...], ...]:
    text = (files("rushes.prompts") / "templates" / "ideas.v1.yaml").read_text(encoding="utf-8")
    return tuple(tuple(words) for words in yaml.safe_load(text).values())


def ideas(seed: int) -> tuple[str, ...]:
    """Someone or something, a place, a circumstance; the same for the same seed."""
    draw = random.Random(seed)
    return tuple(draw.choice(words) for words in _lists())


def shuffled(items: Sequence[Item], seed: int) -> tuple[Item, ...]:
    """The items in an order drawn by the seed: the last example influences a model most."""
    return tuple(random.Random(seed).sample(list(items), len(items)))
