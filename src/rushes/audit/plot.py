"""The audit as one picture: a row per dimension, a column per control, an AUC with its interval in each cell. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from rushes.audit.expectations import table
from rushes.audit.records import Audit, ControlResult, DimensionAudit
from rushes.display.svg import Axis, tag
from rushes.display.words import readable

_LABEL_PX: Final = 196
_CELL_PX: Final = 70
_VERDICT_PX: Final = 92
_ROW_PX: Final = 34
_HEAD_PX: Final = 66
_FOOT_PX: Final = 30
_LONGEST_NAME: Final = 29
_STYLE: Final = """
svg { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif;
  --text: #1d2126; --soft: #69707a; --grid: #e4e5e3; --good: #1c7c54; --bad: #bf3338; --warn: #8a6100; --card: #fff; }
@media (prefers-color-scheme: dark) { svg { --text: #e7e9ec; --soft: #98a0ab; --grid: #2c3038; --good: #58c994;
  --bad: #ff8480; --warn: #e4bd62; --card: #1a1d22; } }
"""
RULES: Final = """
.audit-plot text { fill: var(--text); } .audit-plot .soft, .audit-plot text.open { fill: var(--soft); }
.audit-plot .grid { stroke: var(--grid); } .audit-plot .chance { stroke: var(--soft); stroke-dasharray: 2 2; }
.audit-plot .passes, .audit-plot .trust { --tone: var(--good); }
.audit-plot .fails, .audit-plot .no { --tone: var(--bad); }
.audit-plot .unclear, .audit-plot .unknown { --tone: var(--warn); } .audit-plot .open { --tone: var(--soft); }
.audit-plot line.bar { stroke: var(--tone); stroke-width: 2; }
.audit-plot circle, .audit-plot .mark { fill: var(--tone); }
.audit-plot circle.open { fill: var(--card); stroke: var(--tone); stroke-width: 1.5; }
.audit-plot text.verdict { fill: var(--tone); font-weight: 600; } .audit-plot .card { fill: var(--card); }
"""
"""Style rules of the picture; the colours are variables that the page around it sets."""
_EXPECTED: Final = {"separates": "should separate", "same": "should stay the same", "open": "says nothing"}
_TONES: Final = {"trust": "trust", "do not trust": "no", "not shown": "unknown"}


def audit_picture(audit: Audit) -> Markup:
    """The picture for a page that sets the colours and holds `RULES`; it scales to the width it is given."""
    return _picture(audit, Markup(""))


def audit_svg(audit: Audit) -> str:
    """The picture as a standalone file, for light and dark screens."""
    style = Markup("<style>{}</style>").format(Markup(_STYLE + RULES))
    background = tag("rect", width="100%", height="100%", class_="card")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_picture(audit, style + background)}\n'


def _picture(audit: Audit, before: Markup) -> Markup:
    names = _controls(audit)
    width = _LABEL_PX + _CELL_PX * len(names) + _VERDICT_PX
    height = _HEAD_PX + _ROW_PX * len(audit.dimensions) + _FOOT_PX
    rows = Markup("").join(_row(each, names, _HEAD_PX + _ROW_PX * place) for place, each in enumerate(audit.dimensions))
    bad = ", ".join(map(readable, audit.with_verdict("do not trust"))) or "none"
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" class="audit-plot" viewBox="0 0 {} {}" '
        'aria-label="{}">{}{}{}{}</svg>'
    ).format(
        width,
        height,
        f"How well {audit.judge} tells each control from the original, by dimension. Not to be trusted in: {bad}.",
        before,
        _head(names),
        rows,
        _foot(height, width),
    )


def _controls(audit: Audit) -> list[str]:
    asked = {result.control for each in audit.dimensions for result in each.controls}
    return [control.name for control in table().controls if control.name in asked]


def _head(names: Sequence[str]) -> Markup:
    titles = {control.name: control.title for control in table().controls}
    cells = _groups(names)
    for place, name in enumerate(names):
        words = titles[name].split()
        middle = (len(words) + 1) // 2 if len(words) > 1 else 1
        x = _LABEL_PX + _CELL_PX * (place + 0.5)
        lines = [" ".join(words[:middle]), " ".join(words[middle:])]
        cells += [
            tag("text", line, x=x, y=_HEAD_PX - 36 + 15 * number, text_anchor="middle", class_="soft")
            for number, line in enumerate(lines if lines[1] else ["", lines[0]])
        ]
    return Markup("").join(cells)


def _groups(names: Sequence[str]) -> list[Markup]:
    """A line over the controls that remove something, and one over those that change nothing."""
    harmless = {control.name for control in table().controls if control.is_harmless}
    parts = []
    for words, own in (
        ("takes something away", [place for place, name in enumerate(names) if name not in harmless]),
        ("changes nothing that is asked", [place for place, name in enumerate(names) if name in harmless]),
    ):
        if own:
            left, right = _LABEL_PX + _CELL_PX * min(own) + 6, _LABEL_PX + _CELL_PX * (max(own) + 1) - 6
            if right - left > 6.4 * len(words):
                parts.append(tag("text", words, x=(left + right) / 2, y=12, text_anchor="middle", class_="soft"))
            parts.append(tag("line", x1=left, x2=right, y1=18, y2=18, class_="grid"))
    return parts


def _row(each: DimensionAudit, names: Sequence[str], top: float) -> Markup:
    middle = top + _ROW_PX / 2
    name = readable(each.dimension)
    shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    results = {result.control: result for result in each.controls}
    cells = Markup("").join(
        _cell(results.get(control), _LABEL_PX + _CELL_PX * place, middle) for place, control in enumerate(names)
    )
    verdict_x = _LABEL_PX + _CELL_PX * len(names) + 10
    return (
        tag("line", x1=0, x2=verdict_x + _VERDICT_PX - 10, y1=top, y2=top, class_="grid")
        + tag("text", tag("title", name), shown, x=2, y=middle + 4)
        + cells
        + tag("text", each.verdict, x=verdict_x, y=middle + 4, class_=f"verdict {_TONES[each.verdict]}")
    )


def _cell(result: ControlResult | None, left: float, middle: float) -> Markup:
    axis = Axis(0.0, 1.0, margin=8.0)

    def at(value: float) -> float:
        return left + _CELL_PX * axis.percent(value) / 100

    ends = tag("line", x1=at(0), x2=at(1), y1=middle + 9, y2=middle + 9, class_="grid")
    chance = tag("line", x1=at(0.5), x2=at(0.5), y1=middle - 10, y2=middle + 9, class_="chance")
    if result is None or result.auc is None:
        reason = tag("title", f"not scored: {result.unscored_reason}" if result else "not asked")
        return ends + tag("text", reason, "\u2013", x=at(0.5), y=middle + 4, text_anchor="middle", class_="soft")
    auc, tone = result.auc, result.finding
    title = tag(
        "title",
        f"AUC {auc.value:.2f}, 95 % interval {auc.low:.2f} to {auc.high:.2f}; {_EXPECTED[result.expected]}",
    )
    return tag(
        "g",
        title,
        ends,
        chance,
        tag("line", x1=at(auc.low), x2=at(auc.high), y1=middle, y2=middle, class_=f"bar {tone}"),
        _mark(tone, at(auc.value), middle),
    )


def _mark(tone: str, x: float, y: float) -> Markup:
    """A dot; a square for a failed control, so that colour is not the only cue."""
    if tone == "fails":
        return tag("rect", x=x - 4, y=y - 4, width=8, height=8, class_=f"mark {tone}")
    return tag("circle", cx=x, cy=y, r=4, class_=tone)


def _foot(height: float, width: float) -> Markup:
    words = (
        ("passes", "as it should be"),
        ("fails", "not as it should be"),
        ("unclear", "too few clips to tell"),
        ("open", "says nothing about the judge"),
    )
    y, x, parts = height - 11, 6.0, []
    for tone, text in words:
        parts += [_mark(tone, x, y - 4), tag("text", text, x=x + 9, y=y, class_="soft")]
        x += 30 + 6.4 * len(text)
    scale = "each cell: AUC from 0 to 1, dashed at 0.5"
    return Markup("").join([*parts, tag("text", scale, x=width - 4, y=y, text_anchor="end", class_="soft")])
