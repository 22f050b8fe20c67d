"""Does what an error says: reads the next step from the printed message, and takes settings and commands from it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence

import pytest

from rushes.cli.main import main
from rushes.errors import UserError
from rushes.recipe.load import parse_recipe
from rushes.recipe.recipe import Recipe

_SETTING = re.compile(r"([a-z_]+(?:\.[\w-]+)+)(?:=|: | to )([^\s,;)]+)")
_SET = re.compile(r"--set ('[^']*'|\S+)")
_COMMAND = re.compile(r"rushes ([a-z].*?)(?=; | \(|, or | && |$)", re.MULTILINE)


def step_of(call: Callable[[], object]) -> str:
    """The next step that a call's error prints."""
    with pytest.raises(UserError) as caught:
        call()
    return printed_step(str(caught.value))


def printed_step(printed: str) -> str:
    """The next step in what was printed, without the lines after it."""
    assert "next:" in printed, printed
    return printed.partition("next:")[2].splitlines()[0].strip()


def settings_in(step: str) -> list[str]:
    """Every setting that a step gives a value, as `--set` takes it."""
    return [f"{name}={value}" for name, value in _SETTING.findall(step)]


def ways_in(step: str) -> list[list[str]]:
    """The alternatives of a step that are settings, each as what `--set` is to be given, all of it together."""
    found = [_SET.findall(way) for way in re.split(r"[,;] or |, then | or (?=--set)", step)]
    return [[shlex.split(word.rstrip(",;"))[0] for word in words] for words in found if words]


def commands_in(step: str) -> list[list[str]]:
    """Every command of ours in a step, as arguments."""
    return [shlex.split(words) for words in _COMMAND.findall(step)]


def meant(step: str) -> str:
    """What `did you mean X?` suggests."""
    return step.removeprefix("did you mean ").removesuffix("?").strip("'")


def read(text: str, *overrides: str) -> Recipe:
    """A recipe with settings changed."""
    return parse_recipe(text, source="recipe.yaml", overrides=overrides)


def failing(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The next step that a command prints when it fails for a reason that the user can mend."""
    assert main(arguments) == 2
    return printed_step(capsys.readouterr().err)
