"""The scorecard as a table for the terminal: in colour if supported, otherwise plain and within 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rushes.display.words import readable, rule, tone, tones
from rushes.plain import safe
from rushes.records import DimensionRow, Scorecard
from rushes.report.claims import TOO_FEW, Claims, claims, has_few_prompts, verdict_word

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: Final = {"good": "green", "bad": "red", "even": ""}
_WORDS: Final = {"better": "better", "worse": "WORSE", TOO_FEW: "too few"}
_WIDE: Final = 104
"""Minimum console width, columns, for showing the judge's scores."""


def print_scorecard(scorecard: Scorecard, console: Console, said: Claims | None = None) -> None:
    """Print every dimension before and after, in points of 100, with the gain's 95 % interval, then notes.

    Args:
        scorecard: the result of a run.
        console: where to print; texts in the scorecard are never interpreted as markup.
        said: what the run may claim; None for what follows from the scorecard alone.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    with_judge = console.width >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("dimension", overflow="fold", min_width=12)
    for title in ("before", "after", "gain", "95 % interval"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    if with_judge:
        table.add_column("judge before, after", justify="right", no_wrap=True)
    for row in scorecard.rows:
        cells = _cells(row, verdict_word(row, scorecard), with_judge)
        style = _STYLES[tones[row.verdict]]
        table.add_row(Text(safe(cells[0])), *(Text(cell, style=style) for cell in cells[1:]))
    if scorecard.focus_gain is not None:
        table.add_section()
        gain, interval = _signed(scorecard.focus_gain), _interval(scorecard.focus_gain_low, scorecard.focus_gain_high)
        verdict = TOO_FEW if has_few_prompts(scorecard) else scorecard.focus_verdict or ""
        style, word = _STYLES[tone(scorecard)], _WORDS.get(verdict, "")
        table.add_row("mean of the focus (*)", "", "", Text(gain, style), Text(interval, style), Text(word, style))
    if scorecard.rows:
        console.print(table)
        console.print(Text(rule(len(scorecard.rows), has_focus=scorecard.focus_gain is not None)))
    for missing in scorecard.unmeasured:
        console.print(Text(safe(f"not measured: {readable(missing.dimension)}: {missing.reason}")))
    for note in scorecard.notes:
        console.print(Text(safe(f"note: {note}")))
    console.print(Text(safe((said or claims(scorecard)).text).replace("\u2212", "-"), style="bold"))


def _cells(row: DimensionRow, verdict: str, with_judge: bool) -> list[str]:
    cells = [
        f"{readable(row.dimension)}{' *' if row.is_focus else ''}",
        f"{100 * row.before:.1f}",
        f"{100 * row.after:.1f}",
        _signed(row.gain),
        _interval(row.gain_low, row.gain_high),
        _WORDS.get(verdict, ""),
    ]
    if with_judge:
        cells.append(_judged(row))
    return cells


def _judged(row: DimensionRow) -> str:
    if row.judge_before is None or row.judge_after is None:
        return "-"
    if row.judge_unit is None:
        return f"{100 * row.judge_before:.1f}, {100 * row.judge_after:.1f}"
    return f"{row.judge_before:.3g}, {row.judge_after:.3g} {row.judge_unit}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_signed(low)} to {_signed(high)}"
