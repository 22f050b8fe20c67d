"""Prompts for tests, by text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from rushes.records import Origin, Prompt


@pytest.fixture
def prompt() -> Callable[..., Prompt]:
    """Make a prompt record from its text."""

    def make(text: str, dimension: str = "Simple", origin: Origin = "weakness", index: int = 0) -> Prompt:
        key = hashlib.sha256(f"{text} {dimension} {origin} {index}".encode()).hexdigest()
        return Prompt(key=key, text=text, base_text=text, dimension=dimension, origin=origin, index=index)

    return make
