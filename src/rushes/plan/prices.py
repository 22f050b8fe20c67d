"""What a unit of each kind of work costs, and counts times prices: the product behind every estimate.

Prices come from `measured` (runs on this machine) or from `arithmetic` (a GPU by its data sheet).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rushes.plan.counts import work_of
from rushes.plan.kinds import Kind, Units
from rushes.recipe.recipe import Recipe

_WITHIN: Final[Mapping[Kind, Kind]] = {"decodes": "clip_calls", "encodes": "train_clips"}
"""Work that runs do not record separately: without its own price, it is covered by that of the other kind. A clip's
time includes decoding. A checkpoint's time does not include encoding before training, which is short in comparison."""


@dataclass(frozen=True)
class Price:
    """What one unit of a kind of work costs."""

    seconds: float
    """Wall-clock."""
    source: str
    """Where the price comes from: a run folder, "calibration", arithmetic on a GPU."""
    left_out: str = ""
    """Part of the work that it does not include, in words; empty if it includes all."""


@dataclass(frozen=True)
class Prices:
    """The known prices in time and disk space on one machine."""

    by_kind: Mapping[Kind, Price] = field(default_factory=dict[Kind, Price])
    """Kinds of work with unknown prices are absent."""
    clip_bytes: int | None = None
    """Stored bytes of one clip with its latents; None if none has been stored."""
    checkpoint_bytes: int | None = None
    """Stored bytes of one checkpoint; None if none has been stored."""

    def of(self, kind: Kind) -> Price | None:
        """The price of a kind of work; None if unknown."""
        known = self.by_kind.get(kind)
        if known is None and (whole := self.by_kind.get(_WITHIN.get(kind, kind))) is not None:
            return Price(0.0, whole.source)
        return known

    def or_else(self, other: Prices) -> Prices:
        """These prices, completed by those that only `other` has."""
        return Prices(
            by_kind={**other.by_kind, **self.by_kind},
            clip_bytes=other.clip_bytes if self.clip_bytes is None else self.clip_bytes,
            checkpoint_bytes=other.checkpoint_bytes if self.checkpoint_bytes is None else self.checkpoint_bytes,
        )


@dataclass(frozen=True)
class Cost:
    """What an amount of work costs."""

    seconds: float
    """Seconds of all work that has a price."""
    unknown: tuple[Kind, ...]
    """Kinds of work without a price."""
    sources: tuple[str, ...]
    """Where the prices come from."""
    left_out: tuple[str, ...]
    """Parts of the work that the prices do not include, in words."""


def cost(units: Units, prices: Prices) -> Cost:
    """Counts times prices."""
    wanted = [(kind, amount, prices.of(kind)) for kind, amount in units.items() if amount]
    known = [(amount, price) for _, amount, price in wanted if price is not None]
    return Cost(
        seconds=sum(amount * price.seconds for amount, price in known),
        unknown=tuple(kind for kind, _, price in wanted if price is None),
        sources=tuple(dict.fromkeys(price.source for _, price in known)),
        left_out=tuple(price.left_out for _, price in known if price.left_out),
    )


def unknown_kinds(recipe: Recipe, prices: Prices) -> tuple[Kind, ...]:
    """The recipe's kinds of work whose price is unknown."""
    return tuple(dict.fromkeys(kind for work in work_of(recipe) for kind in cost(work.units, prices).unknown))
