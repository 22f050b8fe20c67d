"""`rushes data` looks at a folder of real videos: which of them a recipe can use, and why not the others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import JsonOption, SetOption
from rushes.cli.show import say
from rushes.errors import command

if TYPE_CHECKING:
    from rushes.prompts.clip_rows import ClipFolder
    from rushes.recipe.recipe import Recipe

data = typer.Typer(help="A folder of real videos: check it before a run.", no_args_is_help=True, rich_markup_mode=None)
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of videos with captions.")]


@data.command()
def check(
    folder: FolderArgument,
    recipe: Annotated[str, typer.Option("--recipe", help="Recipe whose shape and captions count.")] = "sandbox",
    set_: SetOption = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="Write a frame of each clip into this .jpg or .png.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List every file of FOLDER, and what of it can be used. Used, cut or dropped, why, and how much is lost."""
    from rushes.cli.show import show_json
    from rushes.families.folder import word_level_vocabulary
    from rushes.families.tokens import token_counter
    from rushes.prompts.clip_check import check_clip_folder
    from rushes.prompts.contact_sheet import check_sheet, write_contact_sheet
    from rushes.prompts.screen import Reads
    from rushes.store.recipe_copy import read_recipe

    if sheet is not None:
        check_sheet(sheet)
    loaded = read_recipe(recipe, set_ or [])
    base = loaded.base
    reads = Reads(word_level_vocabulary(base), base.max_tokens, token_counter(base, fetch=False))
    found = check_clip_folder(str(folder), loaded, reads)
    if as_json:
        show_json([row.model_dump(mode="json") for row in found.rows])
    else:
        _show(found, folder, loaded)
    found.require_some(str(folder))
    if sheet is not None:
        num = write_contact_sheet(sheet, found.clips)
        if not as_json:
            say(f"contact sheet of {num} clips: {sheet}")


@data.command()
def table(folder: FolderArgument) -> None:
    """Write the captions of the .txt files in FOLDER into its metadata.jsonl, where questions can be added."""
    from rushes.prompts.caption_files import write_metadata

    path, num = write_metadata(folder)
    say(f"wrote {path}: {num} rows")


def _show(found: ClipFolder, folder: Path, recipe: Recipe) -> None:
    from rushes.cli.show import Column, show_table
    from rushes.prompts.metadata import metadata_files, stated_columns

    columns = [
        Column("file"), Column("outcome"), Column("clips", "right"), Column("lost, s", "right"),
        Column("crop lost", "right"), Column("why"),
    ]  # fmt: skip
    rows = [
        (
            _plain(row.name),
            row.outcome.replace("_", " "),
            str(row.num_clips or ""),
            f"{row.lost_s:.2f}" if row.num_clips else "",
            f"{row.crop_lost:.0%}" if row.num_clips else "",
            _plain(row.detail),
        )
        for row in found.rows
    ]
    show_table(columns, rows, styles={"dropped": "red", "cut": "yellow", "used": "green"})
    counts = Counter(row.outcome.replace("_", " ") for row in found.rows)
    say(", ".join(f"{num} {outcome}" for outcome, num in counts.items()) or "no files")
    shape = recipe.shape
    length = f"{shape.num_frames / shape.fps:.2f} s, {shape.width_px}x{shape.height_px} px"
    say(f"{len(found.clips)} clips of {length} for the recipe {recipe.name}")
    if found.warning:
        say(f"warning: {found.warning}")
    if not recipe.prompts.only_real and (names := stated_columns(folder)):
        say(
            f"{', '.join(names)}: read only where nothing is generated; to train on these videos themselves: "
            "--set prompts.num_weakness=0 --set prompts.num_caption=0"
        )
    if left := [row for row in found.rows if row.outcome == "left_over"]:
        say(f"{len(left)} left over: raise prompts.real.num_clips (now {recipe.prompts.real.num_clips}) to use them")
    if not metadata_files(folder):
        say(f"captions come from .txt files; to keep them in one table: {command('data', 'table', folder)}")


def _plain(text: str) -> str:
    """Text without what a terminal would obey."""
    return "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in text)
