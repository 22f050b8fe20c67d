"""Every next step that an error of ours can print, read from the source, and what can be checked in it.

`python -m tests.support.advice` prints what the table `tests/unit/advice.yaml` lacks, and what it has too much.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
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


class Unreadable(Exception):
    """An expression that is given as next step, and whose texts this reader cannot find: write it more simply."""


@cache
def all_advice() -> tuple[Advice, ...]:
    """Every text given as `next_step=` in `src/`, in the order of the files.

    Raises:
        Unreadable: there is one that cannot be read from the source.
    """
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
    source = _Source(tuple(_Module(path.relative_to(SOURCE).as_posix(), tree) for path, tree in modules.items()))
    found = [Advice(module.file, text) for module in source.modules for text in source.texts(module)]
    return tuple(dict.fromkeys(found))


def _steps(call: ast.Call) -> list[ast.expr]:
    """What a call is given as next step: by name, or by place in the recipe's own problems."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "next_step"]
    is_problem = isinstance(call.func, ast.Name) and call.func.id == "_Problem"
    return [*named, *call.args[6:7]] if is_problem else named


@dataclass(frozen=True, eq=False)
class _Module:
    file: str
    tree: ast.Module

    @cached_property
    def functions(self) -> tuple[ast.FunctionDef, ...]:
        return tuple(node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef))

    @cached_property
    def calls(self) -> tuple[ast.Call, ...]:
        return tuple(node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    @cached_property
    def imported(self) -> Mapping[str, tuple[str, str]]:
        """Names here, with the file and the name there."""
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom) and node.module]
        return {
            alias.asname or alias.name: (f"{str(node.module).replace('.', '/')}.py", alias.name)
            for node in nodes
            for alias in node.names
        }

    @cached_property
    def constants(self) -> Mapping[str, ast.expr]:
        found = {}
        for node in self.tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and isinstance(value, ast.expr):
                found[target.id] = value
        return found


@dataclass(frozen=True, eq=False)
class _Place:
    """Where an expression stands."""

    module: _Module
    function: ast.FunctionDef | None


@dataclass(frozen=True, eq=False)
class _Source:
    modules: tuple[_Module, ...]

    def texts(self, module: _Module) -> Iterator[str]:
        scopes = [(module.tree, None), *((each, each) for each in module.functions)]
        seen: set[ast.Call] = set()
        for scope, function in reversed(scopes):
            for call in ast.walk(scope):
                if isinstance(call, ast.Call) and call not in seen:
                    seen.add(call)
                    for value in _steps(call):
                        yield from self.read(value, _Place(module, function))

    def read(self, node: ast.expr, place: _Place) -> list[str]:
        """Every text that an expression can be; none where it passes on what is read elsewhere."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.Constant(value=None) | ast.Attribute(attr="next_step"):
                return []
            case ast.JoinedStr(values=parts):
                return ["".join(each) for each in product(*(self._piece(part, place) for part in parts))]
            case ast.IfExp(body=yes, orelse=no):
                return [*self.read(yes, place), *self.read(no, place)]
            case ast.BinOp(left=left, right=right, op=ast.Add()):
                return [one + other for one, other in product(self._piece(left, place), self._piece(right, place))]
            case ast.BoolOp(values=values) | ast.Dict(values=values):
                return [text for value in values for text in self.read(value, place)]
            case ast.Subscript(value=value):
                return self.read(value, place)
            case ast.Name(id=name):
                return self._name(node, name, place)
            case ast.Call(func=ast.Name(id="command"), args=words):
                return [" ".join(["rushes", *map(_word, words)])]
            case ast.Call(func=ast.Name(id=name)) if found := self._functions(name, place):
                returns = [
                    (each, called) for called in found for each in ast.walk(called.function or called.module.tree)
                ]
                values = [(each.value, called) for each, called in returns if isinstance(each, ast.Return)]
                return [text for value, called in values if value for text in self.read(value, called)]
            case ast.Call(func=ast.Attribute(value=ast.Name() as table, attr="get"), args=[_, default]):
                return [*self.read(table, place), *self.read(default, place)]
        raise self._unreadable(node, place)

    def _piece(self, part: ast.expr, place: _Place) -> list[str]:
        """A part of a text: what is filled in stands in braces, except where it is a text of ours itself."""
        value = part.value if isinstance(part, ast.FormattedValue) else part
        hole = [f"{{{ast.unparse(value)}}}"]
        if isinstance(value, ast.Name) and place.function is not None and value.id in _parameters(place.function):
            return hole
        try:
            return self.read(value, place) or hole
        except Unreadable:
            return hole

    def _name(self, node: ast.expr, name: str, place: _Place) -> list[str]:
        """A variable of the function, a constant of this or another module, or a parameter: what callers give."""
        if place.function is not None and (values := _assigned(name, place.function)):
            return [text for value in values for text in self.read(value, place)]
        if place.function is not None and name in _parameters(place.function):
            return self._given(node, name, place)
        file, name = place.module.imported.get(name, (place.module.file, name))
        for module in self.modules:
            if module.file == file and name in module.constants:
                return self.read(module.constants[name], _Place(module, None))
        raise self._unreadable(node, place)

    def _given(self, node: ast.expr, name: str, place: _Place) -> list[str]:
        function = place.function
        assert function is not None
        if name == "next_step" and name in [each.arg for each in function.args.kwonlyargs]:
            return []  # whoever gives it writes `next_step=`, which is read there
        at = [each.arg for each in function.args.args].index(name) if name in _positional(function) else None
        found: list[str] = []
        for module in self.modules:
            for call in module.calls:
                if isinstance(call.func, ast.Name) and call.func.id == function.name:
                    given = [each.value for each in call.keywords if each.arg == name]
                    given += call.args[at : at + 1] if at is not None else []
                    around = [each for each in module.functions if call in ast.walk(each)]
                    found += [
                        text for each in given for text in self.read(each, _Place(module, (around or [None])[-1]))
                    ]
        if not found:
            raise self._unreadable(node, place)
        return found

    def _functions(self, name: str, place: _Place) -> list[_Place]:
        file, name = place.module.imported.get(name, (place.module.file, name))
        modules = [module for module in self.modules if module.file == file]
        return [_Place(module, each) for module in modules for each in module.functions if each.name == name]

    def _unreadable(self, node: ast.expr, place: _Place) -> Unreadable:
        return Unreadable(f"{place.module.file}, line {node.lineno}: {ast.unparse(node)}")


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [*_positional(function), *(each.arg for each in function.args.kwonlyargs)]


def _positional(function: ast.FunctionDef) -> list[str]:
    return [each.arg for each in function.args.args]


def _assigned(name: str, function: ast.FunctionDef) -> list[ast.expr]:
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    return [
        node.value for node in nodes if any(isinstance(each, ast.Name) and each.id == name for each in node.targets)
    ]


def _word(word: ast.expr) -> str:
    """A word of a command, with braces where the program fills something in."""
    if isinstance(word, ast.JoinedStr):
        return "".join(_word(part.value if isinstance(part, ast.FormattedValue) else part) for part in word.values)
    return str(word.value) if isinstance(word, ast.Constant) else f"{{{ast.unparse(word)}}}"


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
