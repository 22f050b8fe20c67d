"""The reader of prompts about coloured shapes, as the screen uses it."""

from __future__ import annotations

from collections.abc import Hashable

from rushes.prompts.reader import Objection
from rushes_sandbox.reader.contradictions import objection
from rushes_sandbox.reader.reading import read


class ShapeReader:
    """`PromptReader` of the sandbox's world; words that it does not know are compared one by one."""

    def objection(self, text: str) -> Objection | None:
        """The first thing wrong with a prompt; None if no rule objects."""
        return objection(read(text))

    def content(self, text: str, *, with_background: bool) -> Hashable:
        """Equal for two texts that state the same facts; see `rushes_sandbox.reader.facts.Reading.content`."""
        return read(text).content(with_background=with_background)
