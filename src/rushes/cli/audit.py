"""`rushes judge` runs a recipe up to the judge's answers; `rushes judge audit` tests whether it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from rushes.cli.options import HomeArgument, JsonOption, SetOption, taking
from rushes.cli.show import say
from rushes.cli.up_to import up_to
from rushes.errors import command

if TYPE_CHECKING:
    from rushes.audit.records import Audit
    from rushes.audit.sources import Source
    from rushes.recipe.recipe import Recipe

_WORK: Final = "recipe"


class _RecipeFirst(TyperGroup):
    """`rushes judge RECIPE` runs a recipe up to the judge; only the name of a sub-command is read as one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_WORK, *args]
        return super().parse_args(ctx, args)


judge = typer.Typer(
    cls=_RecipeFirst,
    help="Run up to here: questions answered by the judge. `rushes judge audit` tests the judge itself.",
    no_args_is_help=True,
    rich_markup_mode=None,
    subcommand_metavar="RECIPE | audit SOURCE | people HOME FILE...",
)


class Origin(StrEnum):
    """Which clips of a run to use."""

    model = "model"
    real = "real"


judge.command(name=_WORK, help="Run a recipe up to here; `rushes judge RECIPE` is the same.")(up_to("judge"))


@judge.command()
def people(
    home: HomeArgument,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV files of people's scores, or of their preferences.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Compare judge and measurer of a run with people. For a study, also which model people prefer."""
    from rushes.cli.people import show_people

    show_people(home, files, as_json=as_json)


@dataclass(frozen=True)
class AuditOptions:
    """Options of `rushes judge audit`."""

    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A run folder, a folder of videos with metadata, or: sandbox.")
    ] = "sandbox"
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Recipe of the judge; default: the run's own, else sandbox.")
    ] = None
    set_: SetOption = None
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the audit; default: audit/ in the run, else runs/audit.")
    ] = None
    num: Annotated[int, typer.Option("--num", min=2, help="Clips per dimension at most.")] = 24
    dimension: Annotated[list[str] | None, typer.Option("--dimension", help="Only this one; may be repeated.")] = None
    control: Annotated[list[str] | None, typer.Option("--control", help="Only this one; may be repeated.")] = None
    clips: Annotated[Origin, typer.Option("--clips", help="For a run: its models' clips, or real ones.")] = Origin.model
    second: Annotated[
        str | None, typer.Option("--second", help="A second judge or measurer: perception, or package.module:Class.")
    ] = None
    labels: Annotated[Path | None, typer.Option("--labels", help="Answers of people: CSV clip,question,answer.")] = None
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Only write the clips, and a CSV for people to fill in, to here.")
    ] = None
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed for choosing clips and shuffling frames.")] = 0
    as_json: JsonOption = False


@judge.command()
@taking(AuditOptions)
def audit(options: AuditOptions) -> None:
    """Test the judge on controls: in which dimensions can it be trusted? Run it again to resume."""
    from rushes.audit.sources import Choice, find_clips

    recipe = _recipe(options.source, options.recipe, options.set_ or [])
    choice = Choice(options.num, tuple(options.dimension or ()), options.seed, options.labels)
    found = find_clips(options.source, choice, recipe.shape, options.clips.value)
    if options.sheet is not None:
        from rushes.audit.sheet import write_sheet

        written = write_sheet(options.sheet, found.cases)
        say(f"wrote {written}; fill in the column answer, then: --labels {options.sheet}/labels.csv")
        return
    _make(recipe, found, options)


def _default_folder(source: str) -> Path:
    from rushes.audit.run import FOLDER

    return Path(source) / FOLDER if (Path(source) / "header.json").is_file() else Path("runs") / FOLDER


def _recipe(source: str, name: str | None, overrides: Sequence[str]) -> Recipe:
    from rushes.store.recipe_copy import read_recipe

    own = Path(source) / "recipe.yaml"
    return read_recipe(name or (own if own.is_file() else "sandbox"), overrides)


def _make(recipe: Recipe, found: Source, options: AuditOptions) -> None:
    from rushes.audit.expectations import chosen_controls
    from rushes.audit.labels import read_labels
    from rushes.audit.run import Settings, audit_judge
    from rushes.audit.second import compared_dimensions, recipe_judge, second_judge
    from rushes.execute.display import ProgressDisplay

    runtime, folder = recipe.runtime, options.out or _default_folder(options.source)
    settings = Settings(
        controls=chosen_controls(tuple(options.control or ())),
        aggregate=recipe.judge.aggregate,
        compared=compared_dimensions(recipe.judge, {case.dimension for case in found.cases}),
        batch_size=runtime.judge_batch,
        seed=options.seed,
    )
    with ProgressDisplay() as progress:
        made = audit_judge(
            recipe_judge(recipe.judge, runtime),
            found,
            folder,
            settings,
            second=second_judge(options.second, runtime) if options.second is not None else None,
            labels=read_labels(options.labels, found.cases) if options.labels is not None else None,
            on_progress=progress,
        )
    _show(made, folder, options.as_json)


def _show(made: Audit, folder: Path, as_json: bool) -> None:
    from rushes.audit.table import print_audit
    from rushes.cli.show import console, show_json
    from rushes.store.done import is_done

    if as_json:
        show_json(made.model_dump(mode="json"))
        return
    print_audit(made, console())
    say(f"audit: {folder}/audit.json, {folder}/audit.svg")
    if is_done(folder.parent):
        say(f"to show it in the run's report: {command('report', folder.parent, '--rebuild')}")
