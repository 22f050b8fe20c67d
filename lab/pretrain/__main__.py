"""`python -m lab.pretrain`: train the sandbox's own models; hours on two cores. The same command resumes."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lab.pretrain.cli import Amount, pretrain_part
from rushes.cli.show import show_user_error
from rushes.errors import UserError


class Part(StrEnum):
    """What can be pre-trained."""

    vae = "vae"
    base = "base"
    judge = "judge"
    all = "all"


def pretrain(
    part: Annotated[
        Part, typer.Argument(help="Autoencoder, text-to-video model, judge, or all of them in turn.")
    ] = Part.all,
    folder: Annotated[
        Path, typer.Option("--folder", help="Folder of states and results; the same folder resumes.")
    ] = Path("runs/pretrain"),
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Number of steps; default: the part's own.")
    ] = None,
    clips: Annotated[
        int | None, typer.Option("--clips", min=1, help="Clips that the text-to-video model learns from.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Compile that model; worth it from a few hundred steps.")
    ] = True,
    device: Annotated[
        str, typer.Option("--device", help="Device to compute on: cpu, cuda or one GPU, such as cuda:1.")
    ] = "cpu",
) -> None:
    """Train the sandbox's own models; hours on two cores. The same command resumes."""
    for name in ("vae", "base", "judge") if part is Part.all else (part.value,):
        pretrain_part(name, folder, Amount(num_steps=steps, num_clips=clips, compiled=compiled, device=device))


if __name__ == "__main__":
    try:
        typer.run(pretrain)
    except UserError as error:
        show_user_error(error)
        sys.exit(2)
