"""The commands of `rushes`, each a few lines around a call into the library."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rushes.cli.audit import judge
from rushes.cli.data import data
from rushes.cli.exits import EXIT_UNREAD
from rushes.cli.export import export
from rushes.cli.options import (
    AllowChangeOption,
    HomeArgument,
    HomeOption,
    JsonOption,
    NoCheckOption,
    NumProcessesOption,
    RecipeArgument,
    SetOption,
    taking,
)
from rushes.cli.sample import SampleOptions, show_samples
from rushes.cli.show import say
from rushes.cli.view import ViewOptions
from rushes.cli.view import view as show_studio
from rushes.cli.vote import vote
from rushes.plain import safe

if TYPE_CHECKING:
    from rushes.plan.prices import Prices
    from rushes.recipe.recipe import Recipe


class _Teaching(TyperGroup):
    """The group of all commands: an option of other training tools (`--lr`) is answered with the setting that it is.

    What was typed is repeated without keys and control characters.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            _hide_keys(error)
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise SystemExit(EXIT_UNREAD) from None  # typer ends with 1, which says that something is wrong
        except Exception as error:  # typer's copy of click has its errors in a private module
            _hide_keys(error)
            name, where = getattr(error, "option_name", None), getattr(error, "ctx", None)
            if name is None or where is None or all("--set" not in each.opts for each in where.command.params):
                raise
            from rushes.recipe.brought_names import as_option

            if (step := as_option(name)) is not None:
                error.message = f"No such option: {name}\n  next:     {step}"  # type: ignore[attr-defined]
                error.possibilities = []  # type: ignore[attr-defined]
            raise


def _hide_keys(error: Exception) -> None:
    """Errors of the command line have their words in `message`."""
    if isinstance(said := getattr(error, "message", None), str):
        error.message = safe(said)  # type: ignore[attr-defined]


app = typer.Typer(
    name="rushes",
    cls=_Teaching,
    help="Improve a text-to-video model by automatic feedback on its own clips.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(judge, name="judge")
app.add_typer(export, name="export")
app.add_typer(data, name="data")
app.add_typer(vote, name="vote")


def _add_packages() -> None:
    """Add sub-commands of installed packages, such as `rushes vbench`; if one cannot be loaded, print why."""
    # `plugins.extensions` would load the records, which takes longer than all the rest of `--help`.
    offered = {point.name: point for point in sorted(entry_points(group="rushes.commands"), key=lambda each: each.name)}
    for name, point in offered.items():
        try:
            app.add_typer(point.load(), name=name)
        except Exception as error:
            say(f"rushes {name} is not available: {type(error).__name__}: {error}", file=sys.stderr)


_add_packages()


def _print_version(wanted: bool) -> None:
    if wanted:
        from rushes.store.provenance import rushes_version

        say(rushes_version())
        raise typer.Exit()


@app.callback()
def _rushes(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options of all commands; `--version` has already run when this is called."""


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Output file; - prints it.")] = Path("recipe.yaml"),
    from_: Annotated[
        str, typer.Option("--from", metavar="RECIPE", help="A packaged recipe, or a file, to begin with.")
    ] = "sandbox",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
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
    no_check: NoCheckOption = False,
) -> None:
    """Run a recipe to its report; run it again to resume."""
    from rushes.cli.work import How, work

    how = How(None, num_processes, allow_change=allow_change, check_first=not no_check)
    work(recipe, home, set_ or [], how)


def _add_stage(stage: str, what: str) -> None:
    """Add a command that runs a recipe up to and including one stage."""

    def command(
        recipe: RecipeArgument,
        home: HomeOption = None,
        set_: SetOption = None,
        num_processes: NumProcessesOption = None,
        allow_change: AllowChangeOption = False,
        no_check: NoCheckOption = False,
    ) -> None:
        from rushes.cli.work import How, work

        how = How(stage, num_processes, allow_change=allow_change, check_first=not no_check)
        work(recipe, home, set_ or [], how)

    app.command(name=stage, help=f"Run up to here: {what}")(command)


_add_stage("prompts", "prompts written and screened.")
_add_stage("generate", "clips generated by the frozen model.")
_add_stage("train", "clips weighed, model fine-tuned.")
_add_stage("measure", "base and tuned model measured.")


@app.command()
def status(
    home: Annotated[
        Path | None, typer.Argument(metavar="[HOME]", help="The run folder; without one, all runs in runs/ are listed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the progress of a run, even while it runs; without a run, list all."""
    if home is None:
        from rushes.cli.listing import RUNS, show_runs

        show_runs(RUNS, as_json=as_json)
        return
    from rushes.cli.overview import show_status

    show_status(home, as_json=as_json)


@app.command()
def recipes(as_json: JsonOption = False) -> None:
    """List the packaged recipes."""
    from rushes.cli.listing import show_recipes

    show_recipes(as_json=as_json)


@app.command()
def check(
    home: HomeArgument,
    heal: Annotated[
        bool, typer.Option("--heal", help="Drop what is damaged; the next `rushes run` makes it again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read everything in a run folder and say what is damaged. Exit status 1 if anything is."""
    from rushes.cli.check import show_health

    if not show_health(home, heal=heal, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def clean(
    home: HomeArgument,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help="Only this part, by its name; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what of a run folder may go, and delete it after a yes. The run stays finished."""
    from rushes.cli.clean import clean_run

    clean_run(home, only or [], yes=yes, as_json=as_json)


@app.command()
def report(
    home: HomeArgument,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Write it again from the run's records.")] = False,
) -> None:
    """Print a finished run's scorecard and the path of its report."""
    from rushes.cli.work import show_report

    show_report(home, rebuild=rebuild, open_in_browser=open_)


app.command(name="view", help="Show runs in the browser, while they work and after.")(taking(ViewOptions)(show_studio))


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="RUN[@STEP]", help="A look; without a step the run's result.")],
    after: Annotated[str, typer.Argument(metavar="RUN[@STEP]", help="Another one; @0 is the model before training.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two looks of watched runs. Judge, measurer and drift, paired; what is stored is read."""
    from rushes.cli.compare import show_comparison

    show_comparison(before, after, as_json=as_json)


@app.command()
@taking(SampleOptions)
def sample(options: SampleOptions) -> None:
    """Clips of any prompt, base beside tuned. Kept in the run; its stages never read them."""
    show_samples(options)


@app.command()
def plan(
    recipe: RecipeArgument,
    set_: SetOption = None,
    from_: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="HOME", help="Take the pace from this run; default: all in runs/."),
    ] = None,
    try_it: Annotated[
        bool, typer.Option("--calibrate/--no-calibrate", help="Time a few items where no run gives the pace.")
    ] = True,
    gpu: Annotated[
        list[str] | None, typer.Option("--gpu", metavar="NAME", help="Estimate for this GPU (H100); repeatable.")
    ] = None,
    no_check: NoCheckOption = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate what a recipe needs, and the smallest gain it can see. Items, time, disk and memory, stage by stage."""
    from rushes.cli.plan import Ways, show_plan

    def trial(of: Recipe) -> Prices:
        from rushes.cli.trial import calibrate

        return calibrate(of)

    how = Ways(tuple(from_ or ()), tuple(gpu or ()), trial if try_it else None, check_first=not no_check)
    show_plan(recipe, set_ or [], how, as_json=as_json)


@app.command()
def tune_sampler(
    recipe: RecipeArgument,
    home: HomeOption = None,
    set_: SetOption = None,
    try_: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            metavar="SETTINGS",
            help="Changes of generate.sampler to compare with it: {num_steps: 8}; repeatable. Default: a usual choice.",
        ),
    ] = None,
    num_prompts: Annotated[int, typer.Option("--prompts", min=2, help="How many probe prompts, about.")] = 12,
) -> None:
    """Compare sampler settings: the judge's score against seconds a clip. Run it again to resume, or to add some."""
    from rushes.cli.samplers import show_samplers

    show_samplers(recipe, home, set_ or [], try_, num_prompts)


@app.command()
def doctor(
    as_json: JsonOption = False,
    home: Annotated[Path, typer.Option("--home", help="Folder that runs are written to.")] = Path("runs"),
) -> None:
    """Check this machine: what is missing, and how to fix it."""
    from rushes.cli.overview import show_checks

    if not show_checks(home, as_json=as_json):
        raise typer.Exit(1)
