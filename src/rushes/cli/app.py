"""The commands of `rushes`, each a few lines around a call into the library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.audit import judge
from rushes.cli.export import export
from rushes.cli.options import (
    AllowChangeOption,
    HomeArgument,
    HomeOption,
    JsonOption,
    NumProcessesOption,
    RecipeArgument,
    SetOption,
)
from rushes_sandbox.cli import sandbox
from rushes_vbench.cli.app import vbench

if TYPE_CHECKING:
    from rushes.plan.prices import Prices
    from rushes.recipe.recipe import Recipe

app = typer.Typer(
    name="rushes",
    help="Make a text-to-video model better by letting it watch its own rushes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(sandbox, name="sandbox")
app.add_typer(vbench, name="vbench")
app.add_typer(judge, name="judge")
app.add_typer(export, name="export")


def _print_version(wanted: bool) -> None:
    if wanted:
        from rushes.store.provenance import rushes_version

        print(rushes_version())
        raise typer.Exit()


@app.callback()
def _rushes(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """What holds for all commands; `--version` has done its work before this is called."""


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to; - prints it.")] = Path("recipe.yaml"),
    from_: Annotated[str, typer.Option("--from", metavar="NAME", help="Packaged recipe to begin with.")] = "sandbox",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a recipe with every setting explained."""
    from rushes.cli.recipes import write_template

    write_template(file, from_, force=force)


@app.command()
def run(
    recipe: RecipeArgument,
    home: HomeOption = None,
    set_: SetOption = None,
    num_processes: NumProcessesOption = None,
    allow_change: AllowChangeOption = False,
) -> None:
    """Run a recipe to its report; run it again to resume."""
    from rushes.cli.work import work

    work(recipe, home, set_ or [], until=None, allow_change=allow_change, num_processes=num_processes)


def _add_stage(stage: str, what: str) -> None:
    """A command that works up to and including one stage."""

    def command(
        recipe: RecipeArgument,
        home: HomeOption = None,
        set_: SetOption = None,
        num_processes: NumProcessesOption = None,
        allow_change: AllowChangeOption = False,
    ) -> None:
        from rushes.cli.work import work

        work(recipe, home, set_ or [], until=stage, allow_change=allow_change, num_processes=num_processes)

    app.command(name=stage, help=f"Run up to here: {what}")(command)


_add_stage("prompts", "prompts written and screened.")
_add_stage("generate", "clips filmed by the frozen model.")
_add_stage("train", "clips weighed, model fine-tuned.")
_add_stage("measure", "base and tuned model measured.")


@app.command()
def status(home: HomeArgument, as_json: JsonOption = False) -> None:
    """Show how far a run is, also while it runs."""
    from rushes.cli.look import show_status

    show_status(home, as_json=as_json)


@app.command()
def report(
    home: HomeArgument,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Write it again from the run's records.")] = False,
) -> None:
    """Print a finished run's scorecard and where its report is."""
    from rushes.cli.work import show_report

    show_report(home, anew=anew, open_in_browser=open_)


@app.command()
def plan(
    recipe: RecipeArgument,
    set_: SetOption = None,
    from_: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="HOME", help="Take the pace of this run; default: all in runs/."),
    ] = None,
    try_it: Annotated[
        bool, typer.Option("--calibrate/--no-calibrate", help="Try a handful of items where no run tells the pace.")
    ] = True,
    gpu: Annotated[
        list[str] | None, typer.Option("--gpu", metavar="NAME", help="Estimate for this GPU (H100); repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a recipe will take: items, time, disk, memory."""
    from rushes.cli.look import show_plan

    def trial(of: Recipe) -> Prices:
        from rushes.cli.trial import calibrate

        return calibrate(of)

    calibrate_it = trial if try_it else None
    show_plan(recipe, set_ or [], from_ or [], calibrate=calibrate_it, gpus=gpu or [], as_json=as_json)


@app.command()
def doctor(
    as_json: JsonOption = False,
    home: Annotated[Path, typer.Option("--home", help="Folder that runs will be written to.")] = Path("runs"),
) -> None:
    """Look at this machine; say what is missing, and how to get it."""
    from rushes.cli.look import show_checks

    if not show_checks(home, as_json=as_json):
        raise typer.Exit(1)
