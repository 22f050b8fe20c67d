"""`rushes view`: the studio in the browser."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from rushes.cli.show import say


@dataclass(frozen=True)
class ViewOptions:
    """The parameters of `rushes view`."""

    homes: Annotated[
        list[Path] | None, typer.Argument(metavar="[HOME ...]", help="Run folders, or folders of runs; default: runs.")
    ] = None
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 for any free one; default: 8600.")
    ] = None
    host: Annotated[
        str, typer.Option("--host", help="Interface to listen on; others than this machine's own are a risk.")
    ] = "127.0.0.1"
    write: Annotated[bool, typer.Option("--write", help="Allow pages to change something; else they only read.")] = (
        False
    )
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = field(default=False)


def view(options: ViewOptions) -> None:
    """Serve the studio until Ctrl-C.

    Raises:
        UserError: it cannot listen there.
        InputError: a folder does not exist.
    """
    from rushes.view.serve import Place, meaning, serve
    from rushes.view.shelf import Shelf
    from rushes.view.studio import Studio

    homes = _homes(options.homes or [Path("runs")])
    place = Place(options.host, options.port, options.write)
    warning = meaning(place)
    if warning is not None:
        say(warning, file=sys.stderr)

    def show(link: str) -> None:
        # As it is: `say` hides what looks like a key, and so the token.
        typer.echo(f"studio: {link}\nCtrl-C ends it")
        if options.open_:
            import webbrowser

            webbrowser.open(link)

    with contextlib.suppress(OSError):
        os.nice(5)  # a run on this machine comes first
    serve(Studio(Shelf(homes), options.write), place, show)


def _homes(given: Sequence[Path]) -> list[Path]:
    from rushes.errors import InputError, command

    homes = [Path(each).expanduser() for each in given]
    for home in homes:
        if not home.is_dir():
            raise InputError(
                f"there is no folder {home}",
                expected="a run folder, or a folder with runs below it",
                next_step=f"make a run: {command('run', 'sandbox')}; then: {command('view', 'runs')}",
            )
    return homes
