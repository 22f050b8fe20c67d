"""`rushes vote`: blind votes of people on pairs of a run's clips."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rushes.cli.options import HomeArgument, JsonOption, taking
from rushes.cli.show import say
from rushes.errors import command

vote = typer.Typer(
    help="Blind votes of people: plan, send out, take in, and the result.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
StudyOption = Annotated[
    str | None, typer.Option("--study", metavar="NAME", help="Which study, if the run has several.")
]


class VotedOn(StrEnum):
    """What people compare."""

    models = "models"
    takes = "takes"


@vote.command()
def plan(
    home: HomeArgument,
    raters: Annotated[int, typer.Option("--raters", min=1, max=1000, help="People who see each pair.")] = 3,
    ties: Annotated[float, typer.Option("--ties", min=0.0, max=0.9, help="Expected share of ties.")] = 0.2,
    as_json: JsonOption = False,
) -> None:
    """How many pairs a difference needs, and what this run's pairs can show."""
    from rushes.cli.voted import show_plan

    show_plan(home, raters, ties, as_json=as_json)


@dataclass(frozen=True)
class ExportOptions:
    """Arguments and options of `rushes vote export`."""

    home: HomeArgument
    out: Annotated[Path | None, typer.Option("--out", help="New folder; default: export/vote-NAME in the run.")] = None
    of: Annotated[
        VotedOn, typer.Option("--of", help="The base with the tuned model, or takes of training prompts.")
    ] = VotedOn.models
    num: Annotated[int, typer.Option("--num", min=1, help="Prompts of each dimension at most.")] = 10
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the choice, the order and the sides.")] = 0
    ask: Annotated[
        list[str] | None, typer.Option("--ask", metavar="DIMENSION", help="Ask about it for every pair; repeatable.")
    ] = None
    no_checks: Annotated[bool, typer.Option("--no-checks", help="No checks of attention among the pairs.")] = False


@vote.command("export")
@taking(ExportOptions)
def export_page(options: ExportOptions) -> None:
    """A folder for raters without Python: one page that works offline and saves votes as a file."""
    from rushes.cli.voted import export_study

    export_study(options)


@vote.command("import")
def take_in(
    home: HomeArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that raters have saved.")],
    study: StudyOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Forget what these raters said before.")] = False,
) -> None:
    """Take in the files that raters have saved."""
    from rushes.vote.folder import the_study
    from rushes.vote.replies import add, read_replies

    found = the_study(home, study)
    read = [(path, read_replies(path, found)) for path in files]  # all, before any is stored
    for path, replies in read:
        say(f"{path.name}: {add(home, found, replies, replace=replace)} new votes of {replies.rater}")
    say(f"see the result: {command('vote', 'result', home)}")


@vote.command()
def result(home: HomeArgument, study: StudyOption = None, as_json: JsonOption = False) -> None:
    """Who wins, how far raters agree, and judge and measurer beside them."""
    from rushes.cli.voted import show_result

    show_result(home, study, as_json=as_json)
