"""The looks of a watched training as plots: a dot for each look, alarms, limits, and which look is the result. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from markupsafe import Markup

from rushes.display.svg import nice_ticks, picture, polyline, stretched, tag
from rushes.display.words import figure, readable
from rushes.report.data import LossCurve, WatchPanel

TOP_PX, HEIGHT_PX, FOOT_PX = 16.0, 112.0, 20.0
"""Above the plot, where names of curves may stand; the plot; below it, for the steps."""
LEFT, RIGHT = 12.0, 97.0
"""Where the plot begins and ends, percent of the width; dots at its ends are not cut off."""
_SECOND: Final = "judge"
"""The curve that is drawn broken and in the other colour, so that two curves differ without colour too."""


def looks_plot(panel: WatchPanel, best_step: int, last_step: int) -> Markup:
    """The curves of one panel on one axis.

    Args:
        panel: what to draw.
        best_step: the step whose checkpoint is the result.
        last_step: the last step trained, at the right end.
    """
    shown = [value for curve in panel.curves for value in curve.values]
    shown += [] if panel.limit is None else [panel.limit]
    ticks = nice_ticks(min(shown), max(shown), most=4)
    frame = _Frame(ticks[0], ticks[-1], max(last_step, 1))
    several = len(panel.curves) > 1
    told = "; ".join(
        f"{readable(each.term)} {figure(each.values[0])} to {figure(each.values[-1])}" for each in panel.curves
    )
    rang = f"; alarms at step {', '.join(map(str, panel.alarms))}" if panel.alarms else ""
    return picture(
        *frame.grid(ticks),
        *frame.marks(panel.limit, best_step),
        *(part for curve in panel.curves for part in frame.curve(curve, panel.alarms)),
        *(frame.names(panel.curves) if several else ()),
        height_px=int(TOP_PX + HEIGHT_PX + FOOT_PX),
        label=f"{panel.title}: {told}{rang}",
    )


class _Frame:
    """Maps steps to percentages of the width and values to pixels of the height."""

    def __init__(self, low: float, high: float, last_step: int) -> None:
        self.low, self.high, self.last_step = low, high, last_step

    def x(self, step: int) -> str:
        return f"{LEFT + (RIGHT - LEFT) * step / self.last_step:.2f}%"

    def share(self, value: float) -> float:
        """Height of a value, 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def y(self, value: float) -> float:
        return TOP_PX + HEIGHT_PX * (1 - self.share(value))

    def grid(self, ticks: list[float]) -> Iterator[Markup]:
        for tick in ticks:
            yield tag("line", x1=f"{LEFT}%", x2="100%", y1=self.y(tick), y2=self.y(tick), class_="grid")
            yield tag("text", f"{tick:.6g}", x=f"{LEFT - 1.5}%", y=self.y(tick) + 4, text_anchor="end", class_="tick")
        foot = TOP_PX + HEIGHT_PX + FOOT_PX - 4
        yield tag("text", "step 0", x=f"{LEFT}%", y=foot, class_="tick")
        yield tag("text", str(self.last_step), x=f"{RIGHT}%", y=foot, text_anchor="middle", class_="tick")

    def marks(self, limit: float | None, best_step: int) -> Iterator[Markup]:
        """The look that is the result, and the limit of the alarm."""
        at, foot = self.x(best_step), TOP_PX + HEIGHT_PX
        yield tag("line", x1=at, x2=at, y1=TOP_PX, y2=foot, class_="result")
        if 0.12 < best_step / self.last_step < 0.9:
            yield tag("text", str(best_step), x=at, y=foot + FOOT_PX - 4, text_anchor="middle", class_="tick")
        if limit is not None:
            yield tag("line", x1=f"{LEFT}%", x2="100%", y1=self.y(limit), y2=self.y(limit), class_="limit")

    def curve(self, curve: LossCurve, rang: Sequence[int]) -> Iterator[Markup]:
        second = " second" if curve.term == _SECOND else ""
        xs, ys = [step / self.last_step for step in curve.steps], [self.share(value) for value in curve.values]
        line = polyline(xs, ys, f"curve{second}")
        yield stretched(line, x=f"{LEFT}%", y=TOP_PX, width=f"{RIGHT - LEFT}%", height=HEIGHT_PX)
        for step, value in zip(curve.steps, curve.values, strict=True):
            title = tag("title", f"{readable(curve.term)} at step {step}: {figure(value)}")
            yield tag("circle", title, cx=self.x(step), cy=self.y(value), r=3.6, class_=f"dot{second}")
            if step in rang:
                yield tag("circle", cx=self.x(step), cy=self.y(value), r=7.0, class_="rang")

    def names(self, curves: Sequence[LossCurve]) -> Iterator[Markup]:
        """The name of each curve at its end: that of the upper one above, that of the lower one below."""
        for position, curve in enumerate(sorted(curves, key=lambda each: -each.values[-1])):
            y = self.y(curve.values[-1]) + (-12 if position == 0 else 21)
            second = " second" if curve.term == _SECOND else ""
            yield tag("text", readable(curve.term), x="100%", y=y, text_anchor="end", class_=f"name{second}")
