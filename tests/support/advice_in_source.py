"""Finds every text that an error of ours may end with, by reading the source.

What is given as `next_step=` may be a text, a choice between texts, a variable, a constant, a parameter (then what the
callers give), or what a function returns. Anything else is `Unreadable`, and fails the tests: no text is overlooked.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path

import rushes

SOURCE = Path(rushes.__file__).resolve().parents[1]


@dataclass(frozen=True)
class Advice:
    """One text that an error may end with."""

    file: str
    """Below `src/`."""
    text: str
    """With `{...}` where the program fills something in."""


class Unreadable(Exception):
    """An expression that is given as next step, and whose texts this reader cannot find: write it more simply."""


@cache
def all_advice() -> tuple[Advice, ...]:
    """Every text given as `next_step=` in `src/`, in the order of the files.

    Raises:
        Unreadable: there is one that cannot be read from the source.
    """
    return read_source(SOURCE)


def read_source(folder: Path) -> tuple[Advice, ...]:
    """The same for any folder of Python files."""
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))}
    source = _Source(tuple(_Module(path.relative_to(folder).as_posix(), tree) for path, tree in modules.items()))
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
                return [text for called in found for value in _returned(called) for text in self.read(value, called)]
            case ast.Call(func=ast.Attribute(value=ast.Name() as table, attr="get"), args=[_, default]):
                return [*self.read(table, place), *self.read(default, place)]
        raise self._unreadable(node, place)

    def _piece(self, part: ast.expr, place: _Place) -> list[str]:
        """A part of a text: what is filled in stands in braces, except where it is a text of ours itself."""
        value = part.value if isinstance(part, ast.FormattedValue) else part
        hole = [f"{{{ast.unparse(value)}}}"]
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
            names = {each for each, source in module.imported.items() if source == (place.module.file, function.name)}
            names |= {function.name} if module is place.module else set()
            for call in module.calls:
                if isinstance(call.func, ast.Name) and call.func.id in names:
                    given = [each.value for each in call.keywords if each.arg == name]
                    given += call.args[at : at + 1] if at is not None else []
                    inside = [each for each in module.functions if call in ast.walk(each)]
                    there = _Place(module, inside[-1] if inside else None)
                    found += [text for each in given for text in self.read(each, there)]
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
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(isinstance(each, ast.Name) and each.id == name for each in node.targets)
    ]


def _returned(place: _Place) -> list[ast.expr]:
    nodes = ast.walk(place.function or place.module.tree)
    return [node.value for node in nodes if isinstance(node, ast.Return) and node.value is not None]


def _word(word: ast.expr) -> str:
    """A word of a command, with braces where the program fills something in."""
    if isinstance(word, ast.JoinedStr):
        return "".join(_word(part.value if isinstance(part, ast.FormattedValue) else part) for part in word.values)
    return str(word.value) if isinstance(word, ast.Constant) else f"{{{ast.unparse(word)}}}"
