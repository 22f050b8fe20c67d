"""Output of the command line: tables, errors and JSON; with colour on a terminal, plain elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from rushes.errors import RecipeChanged, UserError
from rushes.execute.progress import duration_text
from rushes.findings import Finding
from rushes.plain import safe

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_WIDTH = 140


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    align: Literal["left", "right"] = "left"


def console() -> Console:
    """Standard output; wide enough for tables if it is not a terminal, since a pipe has no width."""
    from rich.console import Console

    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_PLAIN_WIDTH)


def say(text: str, file: TextIO | None = None) -> None:
    """Print a line in which names, prompts and messages of others stand: a terminal gets none of their control
    characters, and no key.

    Args:
        text: the line.
        file: where to; None for standard output.
    """
    print(safe(text), file=file)


def show_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    total: bool = False,
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table of plain texts; nothing in them is read as markup.

    Args:
        columns: titles and alignment.
        rows: one text per column.
        total: True sets the last row apart.
        styles: colours of cells, by their text; seen on terminals only.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(safe(column.title)), justify=column.align, overflow="fold")
    for index, row in enumerate(rows):
        cells = (Text(safe(cell), style=(styles or {}).get(cell, "")) for cell in row)
        table.add_row(*cells, end_section=total and index == len(rows) - 2)
    console().print(table)


def show_json(value: object) -> None:
    """Print JSON for programs."""
    print(json.dumps(value, indent=1))


def show_user_error(error: UserError) -> None:
    """Print an error to standard error without a traceback: a red panel on a terminal, plain text elsewhere."""
    text = str(error)
    if isinstance(error, RecipeChanged):
        text += "".join(f"\n  {line}" for line in _what_runs_again(error))
    if not sys.stderr.isatty():
        print(f"error: {text}", file=sys.stderr)
        return
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    Console(stderr=True).print(Panel(Text(text), title="error", title_align="left", border_style="red"))


def show_warnings(findings: Sequence[Finding]) -> None:
    """Print findings that do not keep a run from beginning, to standard error."""
    for each in findings:
        say(f"warning: {each}", file=sys.stderr)


def _what_runs_again(error: RecipeChanged) -> list[str]:
    from rushes.store.changes import STAGES, stage_of_path

    stages: set[str] = set()
    for path in error.paths:
        try:
            stages.update(stage_of_path(path))
        except ValueError:  # a setting that exists only in another version of the recipe
            return []
    return [f"again:    {', '.join(stage for stage in STAGES if stage in stages)}"] if stages else []


def time_text(seconds: float | None) -> str:
    """Seconds for people: "2 min 5 s"; "?" where unknown."""
    return "?" if seconds is None else duration_text(seconds)


def bytes_text(num_bytes: float | None) -> str:
    """Bytes for people: "812 kB", "1.4 GB"; "?" where unknown."""
    if num_bytes is None:
        return "?"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes:.0f} B"
