"""`rushes sample`: clips of any text by the base and by a checkpoint, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import HomeArgument, JsonOption, SetOption
from rushes.cli.show import say, show_json
from rushes.errors import InputError

if TYPE_CHECKING:
    from rushes.sample.stage import Request, Sampled


@dataclass(frozen=True)
class SampleOptions:
    """Arguments and options of `rushes sample`."""

    home: HomeArgument
    texts: Annotated[list[str] | None, typer.Argument(metavar="[PROMPT]...", help="One prompt or several.")] = None
    file: Annotated[
        Path | None, typer.Option("--prompts", metavar="FILE", help="A text file with one prompt in each line.")
    ] = None
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Clips of each prompt and model.")] = 3
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="The seeds are this one and the next.")] = 0
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", metavar="STEP", help="Steps, key, file of weights, or base; default: the result."),
    ] = None
    beside: Annotated[
        str, typer.Option("--beside", metavar="STEP", help="What to show beside it from the same seeds, or: none.")
    ] = "base"
    strength: Annotated[float, typer.Option("--strength", help="How much of the change: 0 is the base, 1 all.")] = 1.0
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default: in samples/ of the run.")] = None
    set_: SetOption = None
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False
    as_json: JsonOption = False


def show_samples(options: SampleOptions) -> None:
    """Sample, write the page, print where it is.

    Raises:
        UserError: see `rushes.sample.stage.sample`.
    """
    from rushes.execute.display import ProgressDisplay
    from rushes.sample.page import SHEET, default_folder, write_page
    from rushes.sample.stage import sample
    from rushes.store.run import Run

    request = _request(options)
    with ProgressDisplay() as progress:
        made = sample(options.home, request, progress)
    folder = options.out if options.out is not None else default_folder(options.home, made)
    with Run.view(options.home) as run:
        page = write_page(folder, made, run.blobs)
    if options.as_json:
        show_json(_as_json(made, page))
    else:
        old = len({each.key for each in made.clips.values()}) - made.num_new
        say(f"{made.num_new} clips sampled" + (f", {old} were there" if old else ""))
        say(f"wrote {page} and {folder / SHEET}")
    if options.open_:
        import webbrowser

        webbrowser.open(page.absolute().as_uri())


def _request(options: SampleOptions) -> Request:
    from rushes.sample.stage import Request

    texts = [*(options.texts or ()), *(_lines(options.file) if options.file is not None else ())]
    if not texts:
        raise InputError(
            "there is no prompt to sample",
            expected="a prompt in quotation marks, or --prompts with a file",
            next_step='try: rushes sample HOME "a red circle moves to the left"',
        )
    return Request(
        texts=tuple(dict.fromkeys(" ".join(text.split()) for text in texts)),
        num_seeds=options.seeds,
        first_seed=options.first_seed,
        checkpoint=options.checkpoint,
        beside=None if options.beside == "none" else options.beside,
        strength=options.strength,
        settings=tuple(options.set_ or ()),
    )


def _lines(file: Path) -> list[str]:
    """The prompts of a file: its lines, without empty ones and those that begin with #."""
    from rushes.store.files import read_file

    try:
        text = read_file(file).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read the prompts in {file}",
            expected="a text file in UTF-8 with one prompt in each line",
            got=getattr(error, "strerror", None) or "not UTF-8",
            next_step="name a text file",
        ) from error
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def _as_json(made: Sampled, page: Path) -> dict[str, object]:
    from rushes.sample.page import rows

    clips = [
        {"prompt": row.text, "seed": row.seed, "model": label, "file": name, "key": clip.key}
        for row in rows(made)
        for label, name, clip in row.cells
    ]
    return {"page": str(page), "num_new": made.num_new, "clips": clips}
