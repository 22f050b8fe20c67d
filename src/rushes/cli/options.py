"""Arguments and options that several commands share, each in one place with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A YAML file, or a packaged recipe: sandbox, wan2.1-1.3b.")
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
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
NumProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--num-processes",
        metavar="N",
        min=1,
        help="Processes that train together, a GPU each; default: the recipe's, or the launcher's.",
    ),
]
