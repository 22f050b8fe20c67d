"""`rushes run`, and the commands that run a recipe up to a stage: one command with another end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rushes.cli.options import (
    AllowChangeOption,
    HomeOption,
    NoCheckOption,
    NumProcessesOption,
    RecipeArgument,
    SetOption,
    taking,
)


@dataclass(frozen=True)
class WorkOptions:
    """Arguments and options of the commands that run a recipe."""

    recipe: RecipeArgument
    home: HomeOption = None
    set_: SetOption = None
    num_processes: NumProcessesOption = None
    allow_change: AllowChangeOption = False
    no_check: NoCheckOption = False


def up_to(stage: str | None) -> Callable[..., None]:
    """The command that runs a recipe up to and including a stage; None for its report."""

    @taking(WorkOptions)
    def command(options: WorkOptions) -> None:
        from rushes.cli.work import How, work

        how = How(stage, options.num_processes, allow_change=options.allow_change, check_first=not options.no_check)
        work(options.recipe, options.home, options.set_ or [], how)

    return command
