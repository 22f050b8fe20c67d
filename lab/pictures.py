"""Pictures of all arms as SVG: gains with their intervals, and gains against clips judged. Pure.

Colours are those of Okabe and Ito, which people with any colour vision tell apart, and shapes say the same; text and
lines are of a grey that is readable on white and on black.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from markupsafe import Markup

from lab.outcomes import Outcome
from rushes.display.svg import nice_ticks, tag
from rushes.display.words import signed
from rushes.statistics.resampling import Estimate

WIDTH: Final = 920
ROW: Final = 22
_PLOT: Final = (330.0, 720.0)
"""Left and right end of a plot's area, px."""
_FONTS: Final = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_STYLE: Final = """
.ink { fill: #737b85; font-size: 13px; } .title { fill: #737b85; font-size: 14px; font-weight: 650; }
.grid { stroke: #737b85; stroke-opacity: .3; } .zero { stroke: #737b85; stroke-width: 1.5; }
.up { stroke: #0072b2; fill: #0072b2; } .down { stroke: #d55e00; fill: #d55e00; }
.open { stroke: #737b85; fill: #737b85; } .bar { stroke-width: 2.5; } .lead { stroke: #737b85; stroke-opacity: .5; }
"""


@dataclass(frozen=True)
class _Scale:
    """Values -> px."""

    low: float
    high: float
    first_px: float
    last_px: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.first_px + share * (self.last_px - self.first_px)


def forest(groups: Mapping[str, Sequence[Outcome]]) -> str:
    """Every arm's focus gain with its 95 % interval, under the titles of their groups.

    Args:
        groups: title -> its arms; a group without any is left out.
    """
    shown = {title: arms for title, arms in groups.items() if arms}
    gains = {id(arm): arm.gain.gain for arms in shown.values() for arm in arms}
    most = max((len(arm.seeds) for arms in shown.values() for arm in arms), default=0)
    ticks = nice_ticks(*_ends([*gains.values()]))
    scale = _Scale(ticks[0], ticks[-1], *_PLOT)
    rows: list[Markup] = []
    y = 30.0
    for title, arms in shown.items():
        rows.append(tag("text", title, class_="title", x=10, y=y + 15))
        y += ROW + 4
        for arm in arms:
            fewer = f" ({len(arm.seeds)} of {most} seeds)" if len(arm.seeds) < most else ""
            rows.append(_row(f"{arm.name}{fewer}", gains[id(arm)], scale, y + ROW / 2))
            y += ROW
        y += 8
    lines = [_vertical(scale.at(tick), 26, y, tick) for tick in ticks]
    labels = [_text(signed(tick).removesuffix(".0"), scale.at(tick), 18, "middle") for tick in ticks]
    foot = _text("gain of the focus in points, with its 95 % interval; filled: the interval excludes 0", 10, y + 18)
    return _picture("Gain of every arm", [*lines, *labels, *rows, foot], y + 30)


def gain_by_clips(arms: Sequence[Outcome]) -> str:
    """The focus gain of arms against the number of clips that the judge was asked about, on average over seeds."""
    gains = [arm.gain.gain for arm in arms]
    clips = [fmean(each.budget.clips_judged for each in arm.results) for arm in arms]
    y_ticks, x_ticks = nice_ticks(*_ends(gains), most=8), nice_ticks(0.0, max(*clips, 1.0))
    bottom = max(360.0, 18.0 * len(arms))
    x, y = _Scale(x_ticks[0], x_ticks[-1], 60, 640), _Scale(y_ticks[0], y_ticks[-1], bottom, 20)
    parts = [tag("line", class_=_kind(tick), x1=60, x2=640, y1=y.at(tick), y2=y.at(tick)) for tick in y_ticks]
    parts += [_text(signed(tick).removesuffix(".0"), 50, y.at(tick) + 4, "end") for tick in y_ticks]
    parts += [_text(f"{tick:,.0f}", x.at(tick), bottom + 22, "middle") for tick in x_ticks]
    order = sorted(range(len(arms)), key=lambda i: -gains[i].value)
    across = side_by_side([x.at(clips[i]) for i in order], 11)
    labels = spread([y.at(gains[i].value) for i in order], 16, bottom)
    for i, at, label in zip(order, across, labels, strict=True):
        gain, tone = gains[i], _tone(gains[i])
        parts.append(tag("line", class_="lead", x1=at, y1=y.at(gain.value), x2=662, y2=label))
        parts.append(tag("line", class_=f"bar {tone}", x1=at, x2=at, y1=y.at(gain.low), y2=y.at(gain.high)))
        parts += [_mark(gain, at, y.at(gain.value)), _text(arms[i].name, 668, label + 4)]
    said = "gain of the focus in points, with its 95 % interval, against clips judged; equal numbers side by side"
    foot = _text(said, 10, bottom + 46)
    return _picture("Gain against clips judged", [*parts, foot], bottom + 58)


def side_by_side(places: Sequence[float], gap: float) -> list[float]:
    """Places of marks of which equal ones stand beside each other, around where they belong."""
    near = [[k for k, other in enumerate(places) if abs(other - place) < 1.0] for place in places]
    return [
        place + gap * (own.index(i) - (len(own) - 1) / 2)
        for i, (place, own) in enumerate(zip(places, near, strict=True))
    ]


def spread(places: Sequence[float], gap: float, last: float) -> list[float]:
    """Places of labels, at least `gap` apart and none after `last`, near where they belong.

    Args:
        places: where they belong, ascending.
        gap: smallest distance.
        last: the last place that one may have.
    """
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + gap) if found else place)
    for i in reversed(range(len(found))):
        found[i] = min(found[i], last if i == len(found) - 1 else found[i + 1] - gap)
    return found


def _ends(gains: Sequence[Estimate]) -> tuple[float, float]:
    return min(0.0, *(each.low for each in gains)), max(0.0, *(each.high for each in gains))


def _row(name: str, gain: Estimate, scale: _Scale, y: float) -> Markup:
    said = f"{signed(gain.value)} ({signed(gain.low)} to {signed(gain.high)})"
    bar = tag("line", class_=f"bar {_tone(gain)}", x1=scale.at(gain.low), x2=scale.at(gain.high), y1=y, y2=y)
    parts = _text(name, 24, y + 4), bar, _mark(gain, scale.at(gain.value), y), _text(said, 738, y + 4)
    return Markup("").join(parts)


def _tone(gain: Estimate) -> str:
    return "up" if gain.low > 0 else "down" if gain.high < 0 else "open"


def _mark(gain: Estimate, x: float, y: float) -> Markup:
    """A dot for a gain, a square for a loss, a ring where the interval holds 0."""
    kind = _tone(gain)
    if kind == "down":
        return tag("rect", class_=kind, x=x - 4.5, y=y - 4.5, width=9, height=9)
    return tag("circle", class_=kind, cx=x, cy=y, r=5, **({"fill_opacity": 0.0} if kind == "open" else {}))


def _kind(tick: float) -> str:
    return "zero" if abs(tick) < 1e-9 else "grid"


def _vertical(x: float, top: float, bottom: float, tick: float) -> Markup:
    return tag("line", class_=_kind(tick), x1=x, x2=x, y1=top, y2=bottom)


def _text(words: str, x: float, y: float, anchor: str = "start") -> Markup:
    return tag("text", words, class_="ink", x=x, y=y, text_anchor=anchor)


def _picture(title: str, parts: Sequence[Markup], height: float) -> str:
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}" '
        'font-family="{}">\n<style>{}</style>\n{}\n</svg>\n'
    ).format(WIDTH, f"{height:.0f}", title, Markup(_FONTS), Markup(_STYLE), Markup("\n").join(parts))
