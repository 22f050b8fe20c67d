"""`rushes clean`: say what of a run folder may go and what is lost with it, and delete it if told to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rushes.cli.show import Column, bytes_text, say, show_json, show_table
from rushes.errors import UserError, command


def clean_run(home: Path, only: Sequence[str], *, yes: bool, as_json: bool) -> None:
    """Print what may go; delete it after a yes, typed or given.

    Args:
        home: the run folder.
        only: names of parts; empty for all.
        yes: delete without a question. Where nobody can be asked, nothing is deleted without it.
        as_json: print JSON for programs.

    Raises:
        UserError: no part has one of these names.
        RunLocked: a process works there.
        StoreError: not a run folder, or not writable.
    """
    from typing import get_args

    from rushes.store.clean import PartName, clean, what_may_go

    names = get_args(PartName)
    if unknown := [name for name in only if name not in names]:
        raise UserError(
            f"a run folder has no part {unknown[0]!r} that may go",
            expected=f"one of {', '.join(names)}",
            got=unknown[0],
            next_step=f"see what may go: {command('clean', home)}",
        )
    parts = [part for part in what_may_go(home) if not only or part.name in only]
    num_bytes = sum(part.num_bytes for part in parts)
    if as_json:
        kept = ("name", "what", "lost", "num_bytes")
        values = [{**{name: getattr(part, name) for name in kept}, "num_files": len(part.paths)} for part in parts]
        show_json({"parts": values, "num_bytes": num_bytes, "is_cleaned": yes})
    elif not parts:
        say(f"{home}: nothing may go")
    else:
        columns = [Column("part"), Column("what"), Column("frees", "right"), Column("lost with it")]
        rows = [(part.name, part.what, bytes_text(part.num_bytes), part.lost or "nothing") for part in parts]
        show_table(columns, [*rows, ("all", "", bytes_text(num_bytes), "")], total=True)
    if not parts or not (yes or _agreed(home, only, as_json=as_json)):
        return
    freed = clean(home, [part.name for part in parts])
    if not as_json:
        say(f"freed {bytes_text(freed)}; records, clips, weights, report and scorecard are as before")


def _agreed(home: Path, only: Sequence[str], *, as_json: bool) -> bool:
    """Ask; where nobody can answer, say how to do it."""
    if as_json:
        return False
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        chosen = [word for name in only for word in ("--only", name)]
        say(f"nothing was deleted; to delete it: {command('clean', home, *chosen, '--yes')}")
        return False
    import typer

    return typer.confirm("delete all of this?")
