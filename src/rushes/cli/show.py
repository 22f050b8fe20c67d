"""Output of the command line: tables, errors and JSON; with colour on a terminal, plain elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TextIO

from rushes.errors import RecipeChanged, UserError
from rushes.execute.progress import duration_text
from rushes.findings import Finding
from rushes.plain import safe

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_WIDTH = 140
_LEAD: Final = re.compile(r"\s*(?:(?:expected|got|next|also|again):\s+|\d+\. )?")
_TYPED: Final = re.compile(
    r"(?:\brushes [a-z]|(?<!\S)--[a-z]|\b(?:pip|hf|git|export|unset|kill) )"
    r"(?:'[^']*'|[^;,)'])*?(?=[;,)]| or | and | then | shows | says | tells | lists |$)"
)
"""What is printed to be typed."""
_JOINED: Final = "\x00"


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    align: Literal["left", "right"] = "left"
    is_whole: bool = False
    """True for figures, which a narrow terminal must not break: the other columns become narrower instead."""


def console() -> Console:
    """Standard output; wide enough for tables if it is not a terminal, since a pipe has no width."""
    from rich.console import Console

    class Read(Console):
        """As rich's, but whoever runs the command decides what follows when nobody reads any more."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Read(highlight=False) if sys.stdout.isatty() else Read(highlight=False, width=_PLAIN_WIDTH)


def say(text: str, file: TextIO | None = None) -> None:
    """Print a line in which names, prompts and messages of others stand: a terminal gets none of their control
    characters, and no key.

    Args:
        text: the line.
        file: where to; None for standard output.
    """
    is_shown = (file or sys.stdout).isatty()
    print(wrapped(safe(text), shutil.get_terminal_size().columns) if is_shown else safe(text), file=file)


def wrapped(text: str, width: int) -> str:
    """Text broken between words and indented as the parts of an error are; a command stays whole, to be copied.

    Args:
        text: lines of any length.
        width: columns of the terminal.
    """
    return "\n".join(part for line in text.splitlines() for part in _broken(line, width))


def _broken(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    lead = _LEAD.match(line)
    joined = _TYPED.sub(lambda typed: typed[0].replace(" ", _JOINED), line)
    indent = " " * (lead.end() if lead else 0)
    parts = textwrap.wrap(joined, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [part.replace(_JOINED, " ") for part in parts]


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
        table.add_column(Text(safe(column.title)), justify=column.align, overflow="fold", no_wrap=column.is_whole)
    for index, row in enumerate(rows):
        cells = (Text(safe(cell), style=(styles or {}).get(cell, "")) for cell in row)
        table.add_row(*cells, end_section=total and index == len(rows) - 2)
    console().print(table)


def show_json(value: object) -> None:
    """Print JSON for programs."""
    print(json.dumps(value, indent=1))


def show_user_error(error: UserError) -> None:
    """Print an error to standard error without a traceback; no frame around it, since a next step is to be copied."""
    text = str(error)
    if isinstance(error, RecipeChanged):
        text += "".join(f"\n  {line}" for line in _what_runs_again(error))
    if not sys.stderr.isatty():
        print(f"error: {text}", file=sys.stderr)
        return
    from rich.console import Console
    from rich.text import Text

    shown = Console(stderr=True, highlight=False)
    first, rest = "error: ", wrapped(f"error: {text}", shown.width).removeprefix("error: ")
    shown.print(Text.assemble((first, "bold red"), rest), soft_wrap=True)


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
