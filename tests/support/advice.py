"""Every next step that an error of ours can print, read from the source, and what can be checked in it.

`python -m tests.support.advice` prints what the table `tests/unit/advice.yaml` lacks, and what it has too much.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
TABLE = ROOT / "tests" / "unit" / "advice.yaml"

PLAUSIBLE = {
    "server": "main", "name": "main", "self.name": "main", "spec.server": "main", "length": "226", "family": "wan",
}  # fmt: skip
"""Values of placeholders that stand in settings; all others are read as a folder."""
_SOME_PATH = "runs/x"
_HOLE = re.compile(r"\{([^{}]*)\}")
_COMMAND = re.compile(r"(?<![\w/:'-])rushes (?=[a-z])")
_CLAUSE_END = re.compile(r";|\)| \(|,|: | then | && | and | shows | writes | without |$")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_SETTING = re.compile(
    r"(?<![\w./{-])([a-z_]+(?:\.[a-z_0-9]+)+)(?:(?:=|: )([a-z0-9_.]+)| to (null|true|false))?(?![\w/])"
)
_FOREIGN = re.compile(r"\b(?:pip|git|hf|ray start|accelerate|torchrun|python|curl|evaluate\.py)\b[^;,)]*")
_EXTRA = re.compile(r"'rushes\[([\w-]+)\]'")
_PAGE = re.compile(r"\bdocs/[\w/]+\.md\b")


@dataclass(frozen=True)
class Advice:
    """One text that an error may end with."""

    file: str
    """Below `src/`."""
    text: str
    """With `{...}` where the program fills something in."""


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

    def __bool__(self) -> bool:
        return bool(self.commands or self.options or self.settings or self.extras or self.pages)


def claims_of(text: str, sections: frozenset[str]) -> Claims:
    """Read a text; `sections` are the recipe's top-level names, which tell a setting from a file name."""
    filled = _HOLE.sub(lambda hole: PLAUSIBLE.get(hole[1], _SOME_PATH), text)
    commands = []
    for match in _COMMAND.finditer(filled):
        rest = filled[match.end() :]
        end = _CLAUSE_END.search(rest)
        is_typed = filled[: match.start()].endswith((": ", "run ", "or ")) or match.start() == 0
        commands.append((rest[: end.start() if end else None].strip(), is_typed))
    settings = [
        (match[1].rstrip("."), (match[2] or match[3] or "").rstrip(".") or None)
        for match in _SETTING.finditer(filled)
        if match[1].split(".")[0] in sections
    ]
    options = frozenset(_OPTION.findall(_FOREIGN.sub("", filled)))
    extras, pages = frozenset(_EXTRA.findall(filled)), frozenset(_PAGE.findall(filled))
    return Claims(tuple(commands), options, tuple(settings), extras, pages)


# ---------------------------------------------------------------------------------------------- reading the source


@cache
def all_advice() -> tuple[Advice, ...]:
    """Every text given as `next_step=` in `src/`, in the order of the files."""
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
    shared: dict[str, list[str]] = {}
    for tree in modules.values():
        for name, value in _assigned(tree.body).items():
            shared.setdefault(name, []).append(value)
    constants = {name: values[0] for name, values in shared.items() if len(set(values)) == 1}
    found = [
        Advice(path.relative_to(SOURCE).as_posix(), text)
        for path, tree in modules.items()
        for text in _Module(tree, {**constants, **_assigned(tree.body)}).texts()
    ]
    return tuple(dict.fromkeys(found))


def _assigned(body: list[ast.stmt]) -> dict[str, str]:
    """Top-level names that are plain texts."""
    found = {}
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
            found[target.id] = value.value
        elif isinstance(target, ast.Name) and isinstance(value, ast.JoinedStr):
            found[target.id] = "".join(_piece(part, found) for part in value.values)
    return found


def _piece(part: ast.expr, constants: Mapping[str, str]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    name = ast.unparse(part.value)
    return constants.get(name, f"{{{name}}}")


def _steps(call: ast.Call) -> list[ast.expr]:
    """What a call is given as next step: by name, or by place in the recipe's own problems."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "next_step"]
    is_problem = isinstance(call.func, ast.Name) and call.func.id == "_Problem"
    return [*named, *call.args[6:7]] if is_problem else named


@dataclass
class _Module:
    tree: ast.Module
    constants: Mapping[str, str]
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.functions = {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)}

    def texts(self) -> Iterator[str]:
        scopes = [(self.tree, None), *((each, each) for each in self.functions.values())]
        seen: set[ast.Call] = set()
        for scope, function in reversed(scopes):
            for call in ast.walk(scope):
                if isinstance(call, ast.Call) and call not in seen:
                    seen.add(call)
                    for value in _steps(call):
                        yield from self.read(value, function)

    def read(self, node: ast.expr, function: ast.FunctionDef | None) -> list[str]:
        """Every text that an expression can be."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=parts):
                return ["".join(_piece(part, self.constants) for part in parts)]
            case ast.IfExp(body=yes, orelse=no):
                return [*self.read(yes, function), *self.read(no, function)]
            case ast.BinOp(left=left, right=right):
                pairs = product(self.read(left, function), self.read(right, function))
                return [one + other for one, other in pairs]
            case ast.BoolOp(values=values):
                return [text for value in values for text in self.read(value, function)]
            case ast.Name(id=name) if name in self.constants:
                return [self.constants[name]]
            case ast.Name(id=name) if function is not None:
                return self._local(name, function)
            case ast.Call(func=ast.Name(id=name)) if name in self.functions:
                called = self.functions[name]
                returned = [each.value for each in ast.walk(called) if isinstance(each, ast.Return) and each.value]
                return [text for value in returned for text in self.read(value, called)]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[_, default]) if function:
                return [*self._local(name, function), *self.read(default, function)]
            case ast.Dict(values=values):
                return [text for value in values for text in self.read(value, function)]
        return []

    def _local(self, name: str, function: ast.FunctionDef) -> list[str]:
        values = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        ]
        return [text for value in values for text in self.read(value, function)]


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
    print(f"add:\n{as_lines(lacking, 'plain')}\nremove:\n{as_lines(gone, 'gone')}")
