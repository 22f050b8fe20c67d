"""Small SVG pictures as safe markup. Positions are percentages, so that a plot fills the available width while its dots
and letters keep their size. Colours are classes of the style sheet, so that light and dark themes both work."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape


def tag(name: str, *children: str, **attributes: str | float) -> Markup:
    """One element; texts and attribute values are escaped unless they are `Markup` already.

    Args:
        name: of the element.
        children: what is inside.
        attributes: a trailing or inner `_` in a name stands for `-` (`class_`, `text_anchor`); numbers are shortened.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inside)


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def picture(*children: str, height_px: int, label: str, classes: str = "") -> Markup:
    """An SVG as wide as its container, with a label for screen readers."""
    # Attributes of SVG are case-sensitive, unlike HTML's.
    return Markup('<svg role="img" aria-label="{}" class="plot {}" width="100%" height="{}">{}</svg>').format(
        label, classes, height_px, Markup("").join(children)
    )


class Axis:
    """Maps values to percentages of the width, with a margin so that dots at the ends are not cut off."""

    def __init__(self, low: float, high: float, margin: float = 3.0) -> None:
        """`low` is drawn at `margin` percent and `high` at 100 - `margin`."""
        if not low < high:
            raise ValueError(f"an axis must run from low to high, got {low!r} to {high!r}")
        self.low, self.high, self.margin = low, high, margin

    def at(self, value: float) -> str:
        """Position of a value, for example "42.5%"; values beyond the ends are clamped."""
        return f"{self.percent(value):.2f}%"

    def percent(self, value: float) -> float:
        """Position of a value, 0 to 100."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.margin + share * (100.0 - 2 * self.margin)


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` round numbers from at or below `low` to at or above `high`: multiples of 1, 2 or 5 x 10^k.

    Args:
        low: smallest value to hold.
        high: largest value to hold; equal to `low` is widened.
        most: how many ticks, at least 3.
    """
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    size = 10.0 ** math.floor(math.log10(high - low) - 1)
    for factor in (1, 2, 5, 10, 20, 50, 100):
        step = factor * size
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first + 1 <= most:
            return [k * step for k in range(first, last + 1)]
    raise AssertionError(f"no step fits {low!r} to {high!r}")


def polyline(xs: Sequence[float], ys: Sequence[float], classes: str) -> Markup:
    """A line through points in the unit square, y upwards, for use inside `stretched`."""
    points = " ".join(f"{x:.4f},{1 - y:.4f}" for x, y in zip(xs, ys, strict=True))
    return Markup('<polyline points="{}" class="{}" vector-effect="non-scaling-stroke"/>').format(points, classes)


def stretched(*children: str, x: str, y: float, width: str, height: float) -> Markup:
    """A unit square pulled to a rectangle; lines in it keep their width."""
    return Markup(
        '<svg x="{}" y="{}" width="{}" height="{}" viewBox="0 0 1 1" preserveAspectRatio="none" overflow="visible">'
        "{}</svg>"
    ).format(x, y, width, height, Markup("").join(children))
