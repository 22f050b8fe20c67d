"""What a prompt can state: things, facts about them, and when two texts state the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

CAMERA: Final = "camera"
"""Name of the camera in facts about it."""
NATURAL_WAY: Final = {"fall": "down", "rise": "up", "bounce": "up"}
"""Direction of each action."""
UNKNOWN: Final = ""
"""Name of an unknown subject."""


@dataclass(frozen=True)
class Noun:
    """A mention of one thing or of several equal ones.

    Example: "two small red circles" is `Noun(2, ("small",), ("red",), ("circle",))`.
    """

    number: int
    """How many; 0 for an unstated plural."""
    sizes: tuple[str, ...]
    colours: tuple[str, ...]
    shapes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its words without number, singular."""
        return " ".join((*self.sizes, *self.colours, *self.shapes))


@dataclass(frozen=True)
class Fact:
    """One statement.

    Example: "a red circle moves up, then left" holds `Fact("move", "red circle", "left", when=1)`.
    """

    kind: str
    """move, do, grow, turn, is, at, push, touch, stop, still, camera, background."""
    who: str
    """Name of the thing it is about, `CAMERA`, or `UNKNOWN`."""
    value: str = ""
    """Direction, new colour, relation, camera motion, ..."""
    other: str = ""
    """Name of the second thing."""
    when: int = 0
    """Rank in time among the moments that the text distinguishes: 0 first."""


@dataclass(frozen=True)
class Reading:
    """Everything a text states."""

    nouns: tuple[Noun, ...]
    """Things, in the order mentioned; a second mention with "the" is not another thing."""
    facts: frozenset[Fact]
    """What they and the camera do."""
    setting: frozenset[Fact]
    """Background, and a camera that stays still."""
    rest: tuple[str, ...]
    """Meaningful words that were not understood, in order."""
    is_timed: bool
    """True if the text distinguishes moments: "then", "after", ..."""

    def content(self, *, with_background: bool) -> Hashable:
        """Equal for two texts that state the same in other words, or in another order if order has no meaning.

        The camera is still unless the text states otherwise, so mentioning a still camera adds nothing. Words that were
        not understood count without their order, unless the text distinguishes moments.

        Args:
            with_background: False treats texts that differ only in the background as the same.
        """
        rest = self.rest if self.is_timed else tuple(sorted(self.rest))
        things = frozenset(Counter((noun.number, noun.name) for noun in self.nouns).items())
        background = frozenset(fact for fact in self.setting if fact.kind == "background" and with_background)
        return things, self.facts, background, rest
