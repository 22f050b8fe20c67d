"""The entry point: runs a command and turns its outcome into a message and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Final

from rushes.cli.exits import EXIT_STOPPED, EXIT_UNREAD, EXIT_USER_ERROR
from rushes.errors import Stopped, UserError
from rushes.plain import safe

_STOPPED: Final = "stopped after the current item; run the same command to resume"
_AT_ONCE: Final = "stopped at once; run the same command to resume"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `rushes` with `arguments` (default: those of the process).

    Returns:
        Exit code: 0 done; 2 an error that the user can fix; 130 stopped by Ctrl-C; 141 nobody reads the output any
        more; 1 `doctor` found something missing, or `check` found damage.

    Raises:
        Exception: a bug; Python shows its traceback.
    """
    # libgomp's spinning threads cost a factor of ten when cores are shared; it reads this when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # What a server or a file said can stand in either.
    warnings.formatwarning = _as_a_line
    sys.excepthook = lambda *error: print(safe("".join(traceback.format_exception(*error))), end="", file=sys.stderr)
    try:
        code = _code_of(arguments)
        # Here, since Python would write what is left when nobody can tell any more that it is not read.
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
        return EXIT_UNREAD
    return code


def _code_of(arguments: Sequence[str] | None) -> int:
    """Run a command; its exit code."""
    try:
        # Here, since loading takes a moment in which Ctrl-C may come.
        from typer.main import get_command

        from rushes.cli.app import app
        from rushes.execute.stop import exiting

        with exiting(EXIT_STOPPED):
            typed = sys.argv[1:] if arguments is None else arguments
            get_command(app).main(args=[_at_home(each) for each in typed], prog_name="rushes")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if code == EXIT_STOPPED:  # how typer answers the exception below
            _say_stopped(_AT_ONCE)
        return code
    except KeyboardInterrupt:
        _say_stopped(_AT_ONCE)
        return EXIT_STOPPED
    except Stopped as stopped:
        place = str(stopped).partition(";")[0].removeprefix("stopped ").strip()
        _say_stopped(f"{_STOPPED}\n({place})" if place else _STOPPED)
        return EXIT_STOPPED
    except UserError as error:
        from rushes.cli.show import show_user_error

        show_user_error(error)
        return EXIT_USER_ERROR
    return 0


def _at_home(word: str) -> str:
    """An argument with `~` expanded where shells do not: in quotes, and in `--home=~/runs/x`."""
    name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{name}{equals}{os.path.expanduser(value)}" if value.startswith("~/") else word


def _write_no_more() -> None:
    """Send the rest of the output nowhere: Python writes it when it ends, and would say that it cannot."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _as_a_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning without the place in the source that gave it, which says nothing to those who run a recipe."""
    kind = "" if category is UserWarning else f"{category.__name__}: "
    return f"warning: {kind}{safe(str(message))}\n"


def _say_stopped(how: str) -> None:
    from rushes.cli.show import say

    say(how, file=sys.stderr)
