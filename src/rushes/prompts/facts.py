"""What a prompt can say: things, statements about them, and when two texts say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

CAMERA: Final = "camera"
"""Name of the camera where a fact is about it."""
NATURAL_WAY: Final = {"fall": "down", "rise": "up", "bounce": "up"}
"""Where a thing goes that does this."""
UNKNOWN: Final = ""
"""Name of a subject that the reader does not know."""


@dataclass(frozen=True)
class Noun:
    """A mention of one thing or several alike.

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
    """Rank in time among the moments that the text tells apart: 0 first."""


@dataclass(frozen=True)
class Reading:
    """Everything a text says."""

    nouns: tuple[Noun, ...]
    """Things, in the order mentioned; a second mention with "the" is not another thing."""
    facts: frozenset[Fact]
    """What they and the camera do."""
    setting: frozenset[Fact]
    """Background, and a camera that stays still."""
    rest: tuple[str, ...]
    """Meaningful words that were not understood, in order."""
    is_timed: bool
    """True when the text tells moments apart: "then", "after", ..."""

    def content(self, *, with_background: bool) -> Hashable:
        """Equal for two texts that say the same in other words, or in another order where order says nothing.

        A camera that stays still is what every clip has unless the text says otherwise, so telling it adds nothing.
        Words that were not understood count as a bag, unless the text tells moments apart: then in their order.

        Args:
            with_background: False takes texts that differ only in the background for the same.
        """
        rest = self.rest if self.is_timed else tuple(sorted(self.rest))
        things = frozenset(Counter((noun.number, noun.name) for noun in self.nouns).items())
        background = frozenset(fact for fact in self.setting if fact.kind == "background" and with_background)
        return things, self.facts, background, rest
