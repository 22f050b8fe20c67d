"""`rushes sandbox`: train the sandbox's own models, and write a folder of its rendered clips."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

sandbox = typer.Typer(
    help="The embedded world of shapes: its models and its clips.", no_args_is_help=True, rich_markup_mode=None
)


class Part(StrEnum):
    """What can be pre-trained."""

    vae = "vae"
    base = "base"
    judge = "judge"
    all = "all"


@sandbox.callback()
def _sandbox() -> None:
    """Keeps `sandbox` a group of commands."""


@sandbox.command()
def pretrain(
    part: Annotated[
        Part, typer.Argument(help="Autoencoder, text-to-video model, judge, or one after the other.")
    ] = Part.all,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where states and results go; the same folder resumes.")
    ] = Path("runs/pretrain"),
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Steps in place of the part's own number.")
    ] = None,
    clips: Annotated[
        int | None, typer.Option("--clips", min=1, help="Clips that the text-to-video model learns from.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Compile that model: pays after some hundred steps.")
    ] = True,
    device: Annotated[
        str, typer.Option("--device", help="Where it computes: cpu, cuda or one GPU, as cuda:1.")
    ] = "cpu",
) -> None:
    """Train the sandbox's own models; hours on two cores. The same command resumes."""
    from lab.pretrain.cli import Amount, pretrain_part

    for name in ("vae", "base", "judge") if part is Part.all else (part.value,):
        pretrain_part(name, folder, Amount(num_steps=steps, num_clips=clips, compiled=compiled, device=device))


@sandbox.command()
def clips(
    folder: Annotated[Path, typer.Argument(help="Where to; made if missing.")],
    num: Annotated[int, typer.Option("--num", min=1, help="How many clips.")] = 64,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which clips: the same seed gives the same.")] = 0,
) -> None:
    """Write a folder of rendered clips with metadata.jsonl, as `prompts.real.folder` reads."""
    from rushes_sandbox.real_clips import write_clip_folder

    write_clip_folder(folder, num, seed)
    print(f"wrote {num} clips to {folder}")
