"""The plots of a report: dots and intervals, bars, curves. Pure functions of numbers to SVG markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rushes.display.svg import Axis, nice_ticks, picture, polyline, stretched, tag
from rushes.display.words import figure, readable, score, signed, tones
from rushes.records import DimensionRow, DriftRow

F64 = NDArray[np.float64]
ROW_PX = 30
"""Height of a plot in a table row."""
RING_PX, DOT_PX = 6.0, 4.2
"""Radius of the ring for before and of the dot for after: the dot fits into the ring if nothing changed."""
NUM_BINS = 24
"""Bars of the weight histogram."""
MAX_POINTS = 1000
"""Points of a curve in the page; a plot is narrower than that, and training may have a million steps."""


# ---------------------------------------------------------------------------------------------- scorecard


SCORE_AXIS = Axis(0.0, 1.0)
SCORE_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def score_axis() -> Markup:
    """Labels of the score axis, 0 to 100."""
    return _labels(SCORE_AXIS, [(tick, f"{100 * tick:.0f}") for tick in SCORE_TICKS], "score, 0 to 100")


def score_plot(row: DimensionRow) -> Markup:
    """A ring for the base model, a dot for the tuned one, a line between them."""
    middle = ROW_PX / 2
    label = f"{readable(row.dimension)}: {score(row.before)} before, {score(row.after)} after"
    return picture(
        _grid(SCORE_AXIS, SCORE_TICKS),
        tag(
            "line",
            x1=SCORE_AXIS.at(row.before),
            x2=SCORE_AXIS.at(row.after),
            y1=middle,
            y2=middle,
            class_=f"way {tones[row.verdict]}",
        ),
        tag("circle", cx=SCORE_AXIS.at(row.before), cy=middle, r=RING_PX, class_="before"),
        tag("circle", cx=SCORE_AXIS.at(row.after), cy=middle, r=DOT_PX, class_=f"after {tones[row.verdict]}"),
        height_px=ROW_PX,
        label=label,
    )


def gain_ticks(rows: Iterable[DimensionRow], *more: float) -> list[float]:
    """Ticks that cover every interval and 0."""
    ends = [0.0, *more, *(end for row in rows for end in (row.gain_low, row.gain_high))]
    return nice_ticks(min(ends), max(ends))


def gain_axis(ticks: Sequence[float]) -> Markup:
    """Labels of the gain axis, in points."""
    return _labels(_axis(ticks), [(tick, signed(tick).removesuffix(".0")) for tick in ticks], "gain in points")


def gain_plot(mean: float, low: float, high: float, ticks: Sequence[float], tone: str, label: str) -> Markup:
    """A dot with its 95 % interval, and a line at 0.

    Args:
        mean: the gain, -1 to 1.
        low: lower end of its interval.
        high: upper end of its interval.
        ticks: from `gain_ticks`.
        tone: "good", "bad" or "even".
        label: the name of the quantity.
    """
    axis, middle = _axis(ticks), ROW_PX / 2
    caps = (
        tag("line", x1=axis.at(end), x2=axis.at(end), y1=middle - 5, y2=middle + 5, class_=f"bar {tone}")
        for end in (low, high)
    )
    return picture(
        _grid(axis, ticks),
        tag("line", x1=axis.at(0), x2=axis.at(0), y1=0, y2=ROW_PX, class_="zero"),
        tag("line", x1=axis.at(low), x2=axis.at(high), y1=middle, y2=middle, class_=f"bar {tone}"),
        *caps,
        tag("circle", cx=axis.at(mean), cy=middle, r=DOT_PX, class_=f"after {tone}"),
        height_px=ROW_PX,
        label=f"{label}: gain {signed(mean)} points, 95 % interval {signed(low)} to {signed(high)}",
    )


def row_gain_plot(row: DimensionRow, ticks: Sequence[float]) -> Markup:
    """`gain_plot` of a dimension."""
    return gain_plot(row.gain, row.gain_low, row.gain_high, ticks, tones[row.verdict], readable(row.dimension))


def _axis(ticks: Sequence[float]) -> Axis:
    return Axis(ticks[0], ticks[-1])


def _grid(axis: Axis, ticks: Iterable[float], height_px: float = ROW_PX) -> Markup:
    lines = (tag("line", x1=axis.at(tick), x2=axis.at(tick), y1=0, y2=height_px, class_="grid") for tick in ticks)
    return Markup("").join(lines)


def _labels(axis: Axis, ticks: Iterable[tuple[float, str]], label: str) -> Markup:
    texts = (tag("text", text, x=axis.at(at), y=12, text_anchor="middle", class_="tick") for at, text in ticks)
    return picture(*texts, height_px=16, label=label)


# ---------------------------------------------------------------------------------------------- weights and losses


def histogram(values: Sequence[float], unit: str) -> Markup:
    """A histogram of values from 0 to the largest.

    Args:
        values: 0 or more, at least one.
        unit: what they are, for the label.
    """
    top = max(values) or 1.0
    counts, edges = np.histogram(values, bins=NUM_BINS, range=(0.0, top))
    axis, height, foot = Axis(0.0, top, margin=1.0), 120.0, 18.0
    tallest = int(counts.max())
    bars = []
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            x, width = axis.percent(left), axis.percent(right) - axis.percent(left)
            tall = max(1.5, (height - 16) * int(count) / tallest)
            title = tag("title", f"{count} clips with a {unit} of {figure(float(left))} to {figure(float(right))}")
            bars.append(
                tag(
                    "rect",
                    title,
                    x=f"{x + 0.15:.2f}%",
                    width=f"{width - 0.3:.2f}%",
                    y=height - tall,
                    height=tall,
                    rx=1.5,
                    class_="column",
                )
            )
    # The name of the axis is at the right end.
    ticks = [tick for tick in nice_ticks(0.0, top) if tick <= 0.85 * top]
    return picture(
        tag("line", x1="0%", x2="100%", y1=height, y2=height, class_="base"),
        *bars,
        *(tag("text", f"{tick:g}", x=axis.at(tick), y=height + foot - 4, class_="tick") for tick in ticks),
        tag("text", f"{tallest} clips", x="0%", y=10, class_="tick"),
        tag("text", unit, x="100%", y=height + foot - 4, text_anchor="end", class_="tick"),
        height_px=int(height + foot),
        label=f"histogram of {len(values)} values of {unit}, 0 to {figure(top)}",
    )


def loss_curve(
    steps: Sequence[int], values: Sequence[float], label: str, *, alarms: Sequence[int] = (), last_step: int = 0
) -> Markup:
    """A curve of training: the raw values as a thin line, a running mean over a tenth of the steps as a bold one.

    Args:
        steps, values: one or more points, ascending.
        label: the name of the curve.
        alarms: steps at which the watch gave an alarm, drawn as upright lines.
        last_step: right end of the axis, so that curves stand below each other; 0 for the last point.
    """
    top, height, foot = 6.0, 104.0, 18.0
    series = np.asarray(values, np.float64)
    smooth = running_mean(series, max(1, len(series) // 10))
    # Single spikes must not flatten the rest of the curve.
    low = float(min(np.quantile(series, 0.02), smooth.min()))
    high = float(max(np.quantile(series, 0.98), smooth.max()))
    ticks = nice_ticks(low, high, most=4)
    first, last = steps[0], max(last_step, steps[-1], steps[0] + 1)
    across = [(step - first) / (last - first) for step in steps]
    raw, bold = (np.clip((each - ticks[0]) / (ticks[-1] - ticks[0]), 0.0, 1.0).tolist() for each in (series, smooth))
    bottom = top + height

    def y(value: float) -> float:
        return top + height * (1 - (value - ticks[0]) / (ticks[-1] - ticks[0]))

    def x(step: int) -> str:
        return f"{13 + 87 * (step - first) / (last - first):.2f}%"

    grid = [tag("line", x1="13%", x2="100%", y1=y(tick), y2=y(tick), class_="grid") for tick in ticks]
    texts = [tag("text", f"{tick:.6g}", x="11.5%", y=y(tick) + 4, text_anchor="end", class_="tick") for tick in ticks]
    rang = [
        tag("line", tag("title", f"alarm at step {at}"), x1=x(at), x2=x(at), y1=top, y2=bottom, class_="alarm")
        for at in alarms
        if first <= at <= last
    ]
    dot = [tag("circle", cx=x(steps[0]), cy=y(float(series[0])), r=3, class_="dot")] if len(steps) == 1 else []
    lines = polyline(*thinned(across, raw), "raw"), polyline(*thinned(across, bold), "curve")
    return picture(
        *(*grid, *texts, *rang),
        stretched(*lines, x="13%", y=top, width="87%", height=height),
        *dot,
        tag("text", f"step {first}", x="13%", y=bottom + foot - 3, class_="tick"),
        tag("text", str(last), x="100%", y=bottom + foot - 3, text_anchor="end", class_="tick"),
        height_px=int(bottom + foot),
        label=f"{label}: {figure(float(smooth[0]))} at step {first}, {figure(float(smooth[-1]))} at step {steps[-1]}",
    )


def thinned(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """A curve with at most `MAX_POINTS` points that looks the same: of each stretch its lowest and its highest point.

    Args:
        xs, ys: as many of each; a curve with no more points is returned as it is.
    """
    if len(ys) <= MAX_POINTS:
        return list(xs), list(ys)
    kept: list[int] = []
    for part in np.array_split(np.arange(len(ys)), MAX_POINTS // 2):
        values = [ys[i] for i in part]
        kept += sorted({int(part[int(np.argmin(values))]), int(part[int(np.argmax(values))])})
    return [xs[i] for i in kept], [ys[i] for i in kept]


def running_mean(values: F64, width: int) -> F64:
    """Mean of the last `width` values up to each value; of fewer at the start."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    means: F64 = (total[ends] - total[starts]) / (ends - starts)
    return means


# ---------------------------------------------------------------------------------------------- small rows


def share_bar(share: float, label: str, classes: str = "column") -> Markup:
    """A bar from 0 to 1."""
    return picture(
        tag("rect", x="0%", width="100%", y=4, height=8, rx=4, class_="track"),
        tag("rect", x="0%", width=f"{100 * share:.2f}%", y=4, height=8, rx=4, class_=classes),
        height_px=16,
        label=label,
    )


def interval_bar(mean: float, low: float, high: float, label: str) -> Markup:
    """A score with its interval on the axis from 0 to 100."""
    middle = ROW_PX / 2
    return picture(
        _grid(SCORE_AXIS, SCORE_TICKS),
        tag("line", x1=SCORE_AXIS.at(low), x2=SCORE_AXIS.at(high), y1=middle, y2=middle, class_="bar base-model"),
        tag("circle", cx=SCORE_AXIS.at(mean), cy=middle, r=RING_PX, class_="before"),
        height_px=ROW_PX,
        label=label,
    )


def halves_of_real(row: DriftRow) -> float | None:
    """The distance between two halves of the real clips, where a row is a distance to them; else None.

    Other rows have no reference: real clips show other things than the held-out prompts ask for, and move and are
    coloured otherwise for that reason alone.
    """
    return row.real if "distance to real" in row.name else None


def drift_plot(row: DriftRow) -> Markup:
    """Before, after and, where there is one, the reference on the row's own axis, from 0."""
    halves = halves_of_real(row)
    real = [] if halves is None else [halves]
    values = [row.before, row.after, *real]
    low, high = min(0.0, *values), max(0.0, *values)
    axis = Axis(low, high if high > low else low + 1.0)
    middle = ROW_PX / 2
    return picture(
        tag("line", x1=axis.at(low), x2="100%", y1=middle, y2=middle, class_="grid"),
        *(tag("line", x1=axis.at(at), x2=axis.at(at), y1=4, y2=ROW_PX - 4, class_="real") for at in real),
        tag("line", x1=axis.at(row.before), x2=axis.at(row.after), y1=middle, y2=middle, class_="way even"),
        tag("circle", cx=axis.at(row.before), cy=middle, r=RING_PX, class_="before"),
        tag("circle", cx=axis.at(row.after), cy=middle, r=DOT_PX, class_="after even"),
        height_px=ROW_PX,
        label=f"{row.name}: {figure(row.before)} before, {figure(row.after)} after",
    )
