"""The words and numbers of a report: how to read it, tones, rounded numbers. Pure."""

from __future__ import annotations

import math
import re

from rushes.records import Scorecard

MINUS, NARROW = "\u2212", "\u202f"
tones = {"better": "good", "worse": "bad", "no clear change": "even"}
"""Colour of each verdict of a dimension."""


def rule(num_dimensions: int, *, has_focus: bool = False) -> str:
    """How to read intervals and verdicts of a table of dimensions; summarises docs/design/007-one-decision-rule.md."""
    texts = ["Intervals are 95 % for each dimension alone, resampling prompts."]
    if num_dimensions > 1:
        texts.append(f"Better and worse are corrected for {num_dimensions} dimensions together (Holm, 5 %).")
        texts.append("Losses are excluded by the interval that reaches lowest, which needs no correction.")
    if has_focus:
        texts.append("The mean of the focus is fixed in advance and decided alone.")
    return " ".join(texts)


def tone(scorecard: Scorecard) -> str:
    """The verdict as "good", "bad" or "even", which decides its colour."""
    return "even" if scorecard.focus_verdict is None else tones[scorecard.focus_verdict]


def readable(name: str) -> str:
    """A dimension's name for people: `Dynamic_Attribute` becomes `Dynamic Attribute`."""
    return name.replace("_", " ")


def points(value: float) -> str:
    """A gain in points (hundredths of the score range) with its sign: `+4.2`, `-0.8`, `0.0`."""
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def signed(value: float) -> str:
    """A gain in points with a true minus sign: `+4.2`, `0.0`."""
    return points(value).replace("-", MINUS)


def score(value: float) -> str:
    """A score in points, one decimal: 0.4273 becomes `42.7`."""
    return f"{100 * value:.1f}"


def typeset(text: str) -> str:
    """A text for the page: true minus signs before negative numbers, and no line break between a number and its %."""
    return re.sub(r"(?<=\d) %", f"{NARROW}%", re.sub(r"(?<![\w.,-])-(?=\d)", MINUS, text))


def percent(value: float) -> str:
    """A share in percent: 0.4273 becomes `43 %` (narrow space); only whole shares read as 0 or 100."""
    if 0 < value < 0.005:
        return f"< 1{NARROW}%"
    if 0.995 < value < 1:
        return f"> 99{NARROW}%"
    return f"{100 * value:.0f}{NARROW}%"


def figure(value: float) -> str:
    """A number with three significant digits and a true minus sign."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}" if digits <= 5 else f"{value:.2e}"
    return text.replace(",", NARROW).replace("-", MINUS)


def duration(seconds: float) -> str:
    """A time for people: `0.4 s`, `12 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
