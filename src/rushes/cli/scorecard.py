"""The scorecard as a table in the terminal."""

from __future__ import annotations

from rushes.cli.show import Column, show_table
from rushes.records import DimensionRow, Scorecard


def show_scorecard(scorecard: Scorecard) -> None:
    """Print every dimension before and after, in points of 100, with the gain's 95 % interval."""
    rows = [_row(row) for row in scorecard.rows]
    if scorecard.focus_gain is not None:
        interval = _interval(scorecard.focus_gain_low, scorecard.focus_gain_high)
        rows.append(("focus dimensions", "", "", f"{100 * scorecard.focus_gain:+.1f}", interval, "", ""))
    columns = [
        Column("dimension"),
        *(Column(title, "right") for title in ("before", "after", "gain", "95 % interval")),
        Column(""),
        Column("prompts", "right"),
    ]
    show_table(columns, rows, total=scorecard.focus_gain is not None)
    for missing in scorecard.unmeasured:
        print(f"not compared: {missing.dimension}: {missing.reason}")
    for note in scorecard.notes:
        print(f"note: {note}")


def _row(row: DimensionRow) -> tuple[str, ...]:
    return (
        f"{row.dimension}{' *' if row.is_focus else ''}",
        f"{100 * row.before:.1f}",
        f"{100 * row.after:.1f}",
        f"{100 * row.gain:+.1f}",
        _interval(row.gain_low, row.gain_high),
        row.verdict,
        str(row.num_prompts),
    )


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{100 * low:+.1f} to {100 * high:+.1f}"
