"""Plots of the studio as SVG: a curve with alarms marked, and a forest of gains with their intervals. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from markupsafe import Markup

from rushes.display.svg import nice_ticks, picture, polyline, stretched, tag
from rushes.display.words import figure, readable
from rushes.report.plots import running_mean
from rushes.view.curves import Points

TOP_PX, HEIGHT_PX, FOOT_PX = 8.0, 104.0, 18.0
LEFT: Final = 14.0
"""Percent of the width for the numbers of the axis."""
_MOST_POINTS: Final = 1500
"""Of a line: a picture shows no more."""


def curve_plot(name: str, points: Points, alarms: Sequence[int] = (), last_step: int = 0) -> Markup:
    """One curve: every value as a thin line, a running mean as a bold one, alarms as upright lines.

    Args:
        name: of the term.
        points: at least one.
        alarms: steps at which the watch gave an alarm.
        last_step: right end of the axis, so that curves stand below each other; 0 for the last point.
    """
    steps, values = np.array([step for step, _ in points]), np.array([value for _, value in points])
    smooth = running_mean(values, max(1, len(values) // 10))
    low, high = min(np.quantile(values, 0.02), smooth.min()), max(np.quantile(values, 0.98), smooth.max())
    ticks = nice_ticks(float(low), float(high), most=4)
    first, last = min(0, int(steps[0])), max(last_step, int(steps[-1]), int(steps[0]) + 1)
    every = max(1, len(points) // _MOST_POINTS)
    xs = ((steps - first) / (last - first))[::every].tolist()
    raw, bold = (
        np.clip((each - ticks[0]) / (ticks[-1] - ticks[0]), 0, 1)[::every].tolist() for each in (values, smooth)
    )

    def y(value: float) -> float:
        return TOP_PX + HEIGHT_PX * (1 - (value - ticks[0]) / (ticks[-1] - ticks[0]))

    def x(step: int) -> str:
        return f"{LEFT + (100 - LEFT) * (step - first) / (last - first):.2f}%"

    foot = TOP_PX + HEIGHT_PX + FOOT_PX - 3
    dots = [tag("circle", cx=x(int(steps[0])), cy=y(float(values[0])), r=3, class_="dot")] if len(points) == 1 else []
    return picture(
        *(tag("line", x1=f"{LEFT}%", x2="100%", y1=y(tick), y2=y(tick), class_="grid") for tick in ticks),
        *(
            tag("text", f"{tick:.6g}", x=f"{LEFT - 1.5}%", y=y(tick) + 4, text_anchor="end", class_="tick")
            for tick in ticks
        ),
        *(_alarm(x(each), each) for each in alarms if first <= each <= last),
        stretched(
            polyline(xs, raw, "raw"),
            polyline(xs, bold, "curve"),
            x=f"{LEFT}%",
            y=TOP_PX,
            width=f"{100 - LEFT}%",
            height=HEIGHT_PX,
        ),
        *dots,
        tag("text", f"step {first}", x=f"{LEFT}%", y=foot, class_="tick"),
        tag("text", str(last), x="100%", y=foot, text_anchor="end", class_="tick"),
        height_px=int(TOP_PX + HEIGHT_PX + FOOT_PX),
        label=f"{readable(name)}: {figure(float(smooth[0]))} at step {steps[0]}, "
        f"{figure(float(smooth[-1]))} at step {steps[-1]}",
    )


def _alarm(x: str, step: int) -> Markup:
    title = tag("title", f"alarm at step {step}")
    return tag("line", title, x1=x, x2=x, y1=TOP_PX, y2=TOP_PX + HEIGHT_PX, class_="alarm")
