"""`rushes sandbox`: write a folder of its rendered clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rushes.cli.show import say

sandbox = typer.Typer(
    help="The embedded world of shapes: write its clips to a folder.", no_args_is_help=True, rich_markup_mode=None
)


@sandbox.callback()
def _sandbox() -> None:
    """Keeps `sandbox` a group of commands."""


@sandbox.command()
def clips(
    folder: Annotated[Path, typer.Argument(help="Where to write; created if missing.")],
    num: Annotated[int, typer.Option("--num", min=1, help="How many clips.")] = 64,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which clips: the same seed gives the same clips.")] = 0,
) -> None:
    """Write a folder of rendered clips with metadata.jsonl, in the form that `prompts.real.folder` reads."""
    from rushes_sandbox.real_clips import write_clip_folder

    write_clip_folder(folder, num, seed)
    say(f"wrote {num} clips to {folder}")
