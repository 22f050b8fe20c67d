"""What can be checked in the next steps of errors, and the table that says how each is covered.

`python -m tests.support.advice` prints what the table `tests/unit/advice.yaml` lacks, and what it has too much.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement

from tests.support.advice_in_source import Advice, all_advice

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "unit" / "advice.yaml"

PLAUSIBLE = {
    "server": "main", "name": "main", "self.name": "main", "spec.server": "main", "length": "226", "kind": "wandb",
    "_EXTRAS.get(wanted[1], wanted[1])": "av",
}  # fmt: skip
"""Values of placeholders that stand in settings; all others are read as a folder."""
_SOME_PATH = "runs/x"
_HOLE = re.compile(r"\{((?:[^{}]|\{[^{}]*\})*)\}")
_COMMAND = re.compile(r"(?<![\w/:'-])rushes (?=[a-z])")
_CLAUSE_END = re.compile(r";|\)| \(|,|: | then | && | and | shows | writes | without |$")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_SETTING = re.compile(
    r"(?<![\w./{-])([a-z_]+(?:\.[a-z_0-9]+)+)(?:(?:=|: )([a-z0-9_.]+)| to (null|true|false))?(?![\w/])"
)
_FOREIGN = re.compile(
    r"\b(?:pip (?:install|download)|git (?:clone|pull)|make setup|hf (?:download|auth)|ray (?:start|get-auth-token)|"
    r"accelerate launch|torchrun|python -m|curl -|insightface-cli|evaluate\.py|kill (?=runs)|unset [A-Z]|"
    r"export (?=[A-Z]|runs)|vLLM: --|llama\.cpp: with --)[^;,)`]*"
)
_EXTRA = re.compile(r"'rushes\[([\w-]+)\]'")
_PAGE = re.compile(r"\bdocs/[\w/]+\.md\b")


@dataclass(frozen=True)
class Claims:
    """What a text says that a machine can check."""

    commands: tuple[tuple[str, bool], ...]
    """Each command without `rushes`, and whether it is printed to be typed as it stands."""
    options: frozenset[str]
    settings: tuple[tuple[str, str | None], ...]
    """Each setting with the value that the text gives it."""
    extras: frozenset[str]
    pages: frozenset[str]
    foreign: tuple[str, ...]
    """Commands of other programs."""

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))


def claims_of(text: str, sections: frozenset[str]) -> Claims:
    """Read a text; `sections` are the recipe's top-level names, which tell a setting from a file name."""
    filled = _HOLE.sub(lambda hole: PLAUSIBLE.get(hole[1], _SOME_PATH), text)
    commands = []
    for match in _COMMAND.finditer(filled):
        rest = filled[match.end() :]
        end = _CLAUSE_END.search(rest)
        is_typed = filled[: match.start()].endswith((": ", "run ", "or ", "&& ")) or match.start() == 0
        commands.append((rest[: end.start() if end else None].strip(), is_typed))
    settings = [
        (match[1].rstrip("."), (match[2] or match[3] or "").rstrip(".") or None)
        for match in _SETTING.finditer(filled)
        if match[1].split(".")[0] in sections
    ]
    options = frozenset(_OPTION.findall(_FOREIGN.sub("", filled)))
    extras, pages = frozenset(_EXTRA.findall(filled)), frozenset(_PAGE.findall(filled))
    foreign = tuple(each.strip() for each in _FOREIGN.findall(filled))
    return Claims(tuple(commands), options, tuple(settings), extras, pages, foreign)


# ---------------------------------------------------------------------------------------------- the command line


def command_problem(words: str, *, whole: bool) -> str | None:
    """What is wrong with a command of ours; None if nothing is.

    Args:
        words: what follows `rushes`.
        whole: True if it must parse as it stands; otherwise the command and its options must exist.
    """
    command, left, names = _command_tree(), shlex.split(words), "rushes"
    while hasattr(command, "commands") and left:
        found = command.commands.get(left[0])
        if found is None:
            return f"{names} has no command {left[0]!r}"
        command, names, left = found, f"{names} {left[0]}", left[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in left if word.startswith("--") and word.split("=")[0] not in {*known, "--help"}]
    if unknown:
        return f"{names} has no option {unknown[0]}"
    if not whole or "--help" in left or hasattr(command, "commands"):
        return None
    try:
        command.make_context(names, list(left))
    except Exception as error:  # typer has a copy of click, whose errors are its own
        return f"{names}: {getattr(error, 'message', error)}"
    return None


def foreign_problem(words: str) -> str | None:
    """What is wrong with a command of another program, as far as can be told without running it."""
    try:
        typed = shlex.split(words.partition(" && ")[0])
    except ValueError as error:
        return f"{words}: {error}"
    if typed[:2] == ["python", "-m"]:
        place = ROOT.joinpath(*typed[2].split("."))
        return None if place.with_suffix(".py").is_file() or place.is_dir() else f"there is no module {typed[2]}"
    if typed[:2] != ["pip", "install"]:
        return None
    if "-c" in typed and not (ROOT / typed[typed.index("-c") + 1]).is_file():
        return f"{words}: there is no file {typed[typed.index('-c') + 1]}"
    for name in typed[2:]:
        if not name.startswith("-") and name != "constraints.txt":
            try:
                Requirement(name)
            except InvalidRequirement as error:
                return f"{words}: pip cannot install {name!r}: {error}"
    return None


@cache
def _command_tree() -> Any:
    from typer.main import get_command

    from rushes.cli.app import app

    return get_command(app)


def all_options() -> frozenset[str]:
    """Every option of every command."""

    def below(command: Any) -> Iterator[str]:
        yield from (option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts))
        for inner in getattr(command, "commands", {}).values():
            yield from below(inner)

    return frozenset({"--help", *below(_command_tree())})


# ---------------------------------------------------------------------------------------------- the table


def read_table() -> dict[Advice, str]:
    """The table: how each text is covered."""
    files = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return {Advice(file, text): how for file, texts in files.items() for text, how in texts.items()}


def how_covered(printed: str) -> set[str]:
    """How a step, as it was printed, is covered: by every text of the table that it can come from."""
    return {how for advice, how in read_table().items() if re.fullmatch(_as_pattern(advice.text), printed)}


def _as_pattern(text: str) -> str:
    """A text with anything in place of what the program fills in."""
    fixed = [re.escape(part) for part in _HOLE.split(text)[::2]]
    return ".*".join(fixed)


def gaps() -> tuple[list[Advice], list[Advice]]:
    """Texts that the table lacks, and entries whose text is no longer in the source."""
    table, found = read_table(), all_advice()
    return [each for each in found if each not in table], [each for each in table if each not in found]


def as_lines(advice: list[Advice], how: str) -> str:
    """Lines for the table."""
    files = {each.file: {other.text: how for other in advice if other.file == each.file} for each in advice}
    return str(yaml.safe_dump(files, sort_keys=False, width=10_000, allow_unicode=True)) if files else ""


if __name__ == "__main__":
    lacking, gone = gaps()
    print(f"add:\n{as_lines(lacking, 'plain: why nothing can be done by a test')}\nremove:\n{as_lines(gone, 'gone')}")
