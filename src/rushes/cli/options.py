"""Arguments and options that several commands share, each in one place with its help."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer


def _recipes() -> list[str]:
    from rushes.cli.listing import recipe_names

    return recipe_names()


RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A YAML file, or a packaged recipe (rushes recipes lists them): sandbox, wan2.1-1.3b.",
        autocompletion=_recipes,
    ),
]
HomeArgument = Annotated[Path, typer.Argument(metavar="HOME", help="The run folder.")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="Run folder; default: runs/<name of the recipe>.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting: train.num_steps=200.")
]
AllowChangeOption = Annotated[
    bool,
    typer.Option("--allow-change", help="Accept a run folder of another recipe: what depends on it is made again."),
]
NoCheckOption = Annotated[
    bool,
    typer.Option(
        "--no-check", help="Begin without checking first that all the recipe names is there and fits this machine."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
NumProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--num-processes",
        metavar="N",
        min=1,
        help="Number of training processes, one GPU each; default: the recipe's, or the launcher's.",
    ),
]

OptionsT = TypeVar("OptionsT")


def taking(cls: type[OptionsT]) -> Callable[[Callable[[OptionsT], None]], Callable[..., None]]:
    """Let a command with many options take them as one dataclass: each field, with its default, is one parameter.

    Args:
        cls: a dataclass whose fields are annotated like parameters of a command.
    """
    hints = get_type_hints(cls, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(cls)  # type: ignore[arg-type]
    ]

    def wrap(command: Callable[[OptionsT], None]) -> Callable[..., None]:
        def called(**values: Any) -> None:
            command(cls(**values))

        called.__name__, called.__doc__ = command.__name__, command.__doc__
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = hints
        return called

    return wrap
