"""Who reads a prompt's words for the screen: plain English, or what a plug-in brings for a world of its own."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True)
class Objection:
    """Why no clip can show a prompt.

    Example:
        Objection("contradiction", "it is open and closed: 'the closed door is open'")
    """

    reason: Literal["contradiction", "infeasible"]
    """`contradiction`: two statements exclude each other; `infeasible`: nothing that could be seen would happen."""
    detail: str
    """What is wrong, in words."""


class PromptReader(Protocol):
    """Reads texts for the screen. Pure: the same text is always read the same; any text can be read, in linear time."""

    def objection(self, text: str) -> Objection | None:
        """Why no clip can show it; None where no rule objects, which does not mean that one can."""
        ...

    def content(self, text: str, *, with_background: bool) -> Hashable:
        """Equal for two texts that state the same: a draft that states what an evaluation prompt does is refused.

        Args:
            text: any text.
            with_background: False treats texts that differ only in the background as the same.
        """
        ...


@runtime_checkable
class BringsReader(Protocol):
    """The Spec of a prompt writer or of a source of real clips that knows how texts of its world are read.

    Its reader replaces the one of plain English for every prompt of the recipe. It is code and not a setting, so it
    enters no work key.
    """

    def reader(self) -> PromptReader:
        """The reader; nothing heavy is loaded."""
        ...
