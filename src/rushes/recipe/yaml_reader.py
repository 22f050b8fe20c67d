"""Read a recipe's YAML into plain values, each with its place in the file. Nothing in a file can run code.

Scalars follow YAML 1.2: `1e-4` is a number, only `true` and `false` are truth values, `yes`, `no` and `on` are text,
and there are no dates or base-60 numbers. Duplicate keys, keys that are not text and unknown tags are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeAlias

import yaml

from rushes.errors import RecipeError
from rushes.plain import HIDDEN, hidden_line, names_secret

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
"""Any value of YAML or JSON."""

KeyPath = tuple[str | int, ...]
"""The path of a value: ("train", "num_steps"), ("diagnose", "extra", 0, "name")."""

MAX_BYTES: Final = 1 << 20
"""Longest recipe."""
_MAX_VALUES: Final = 20_000
MAX_DEPTH: Final = 32
"""Sections inside sections, at most; far more than a recipe has."""
MAX_NUMBER: Final = 2**63 - 1
"""Largest whole number: what 64 bits hold."""
_TAG: Final = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):  # type: ignore[misc,unused-ignore]
    """PyYAML's safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the name and form are PyYAML's


PLAIN_SCALARS: Final[tuple[tuple[str, str], ...]] = (
    ("null", r"~|null|Null|NULL|"),
    ("bool", r"true|True|TRUE|false|False|FALSE"),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"),
)
"""Tag and pattern of every scalar that is not text when unquoted."""
for _name, _pattern in PLAIN_SCALARS:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), None)


def _int(text: str) -> int:
    number = int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if abs(number) > MAX_NUMBER:
        raise ValueError("longer than 64 bits")
    return number


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_SCALAR: Final[dict[str, Callable[[str], Value]]] = {
    "str": str,
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _int,
    "float": _float,
}
_VALID: Final = {
    "str": "text that UTF-8 can write, without the character \\0",
    "int": "a whole number of at most 64 bits; put it in quotes if it is text",
}
"""What each scalar must be, in words."""


@dataclass
class Document:
    """The values of a recipe, and where each was written."""

    value: dict[str, Value]
    """The settings, nested as in the file."""
    places: dict[KeyPath, str] = field(default_factory=dict)
    """Where each key was written, for error messages: "recipe.yaml, line 12", "--set train.num_steps=2"."""

    def place(self, path: KeyPath) -> str:
        """Where `path`, or the nearest enclosing part of the recipe, was written; "" if unknown."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return ""


def read_document(text: str, source: str) -> Document:
    """A whole recipe.

    Args:
        text: the file's content.
        source: its name, for messages.

    Raises:
        RecipeError: not YAML (with line and column), a duplicate key, a key that is not text, a tag, an empty file, or
            anything but a mapping.
    """
    node = _compose(text, source)
    document = Document({}, {(): source})
    if node is None:
        raise RecipeError(f"{source} is empty", expected="a mapping of settings", next_step="see: rushes init --help")
    value = _Builder(source, document.places).build(node, ())
    if not isinstance(value, dict):
        raise RecipeError(
            f"{source} is not a mapping", expected="lines like `train:` and `  num_steps: 200`", got=shown(value)
        )
    document.value = value
    return document


def read_value(text: str, source: str, *, is_secret: bool = False) -> Value:
    """One value of a `--set`, written as YAML: `200`, `1e-4`, `filter`, `[a, b]`, `{kind: none}`; no text is null.

    Args:
        text: the YAML.
        source: what to call it in messages.
        is_secret: True keeps the text out of messages.

    Raises:
        RecipeError: not YAML, or what a recipe cannot hold.
    """
    try:
        node = _compose(text, source)
        return None if node is None else _Builder(source, {}).build(node, ())
    except RecipeError:
        if not is_secret:
            raise
        raise RecipeError(
            f"{source} is not YAML that a recipe can hold", got=shown(HIDDEN), next_step="put the value in quotes"
        ) from None


def shown(value: object, limit: int = 80) -> _Shown:
    """`value` for `RecipeError(got=...)`: its repr, cut if it is long."""
    text = repr(value) if not isinstance(value, (dict, list)) or len(value) <= 50 else f"{len(value)} items"
    return _Shown(text if len(text) <= limit else f"{text[: limit - 3]}...")


class _Shown(str):
    """Text that is its own repr."""

    def __repr__(self) -> str:
        return str(self)


def _compose(text: str, source: str) -> Any:
    if len(text) > MAX_BYTES:
        raise RecipeError(f"{source} is too long for a recipe", expected="at most 1 MiB", got=len(text))
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        reason = ", ".join(word for word in (error.context, error.problem) if word)
        raise RecipeError(
            f"{source}{place} is not YAML: {reason}", got=_line_at(text, mark), next_step=_yaml_hint(text, mark)
        ) from None
    except yaml.reader.ReaderError as error:
        place = f", line {text.count(chr(10), 0, error.position) + 1}"
        raise RecipeError(
            f"{source}{place} is not YAML: it has the character {chr(error.character)!r}",
            expected="characters that can be seen, spaces and ends of lines",
        ) from None
    except RecursionError:
        raise RecipeError(f"{source} is nested too deeply", expected="a recipe as `rushes init` writes it") from None


def _line_at(text: str, mark: Any) -> _Shown:
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines):
        return shown("the end of the file")
    above = next((line for line in reversed(lines[: mark.line]) if line.strip()), "")
    # A text may go on from the line above, where its name stands.
    return shown(HIDDEN if names_secret(above) else hidden_line(lines[mark.line]))


def _yaml_hint(text: str, mark: Any) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "\t" in line:
        return "indent with spaces: YAML allows no tabs there"
    return "check that line and the one above: a missing colon, quote or bracket, or indentation that differs"


class _Builder:
    """Turns YAML's node tree into plain values; refuses what a recipe does not need."""

    def __init__(self, source: str, places: dict[KeyPath, str]) -> None:
        self.source = source
        self.places = places
        self.num_values = 0
        self.open: set[int] = set()

    def build(self, node: Any, path: KeyPath) -> Value:
        """The value of `node`, which is at `path`."""
        self.num_values += 1
        # An alias may repeat a value. One that contains itself, or that grows exponentially, is refused.
        if id(node) in self.open or self.num_values > _MAX_VALUES:
            problem = "is an alias that contains itself or repeats itself too often"
            self._refuse(node, problem, expected="each value written out")
        if len(path) > MAX_DEPTH:
            self._refuse(node, "is nested too deeply", expected=f"at most {MAX_DEPTH} sections inside each other")
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                self._only(node, "seq")
                return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self.open.discard(id(node))

    def _item(self, node: Any, path: KeyPath) -> Value:
        self.places[path] = self._place(node)
        return self.build(node, path)

    def _mapping(self, node: Any, path: KeyPath) -> dict[str, Value]:
        self._only(node, "map")
        values: dict[str, Value] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self.build(key_node, path)
            if not isinstance(key, str):
                self._refuse(key_node, f"has the key {shown(key)}", expected="text; put it in quotes if it is meant")
            if key in values:
                self._refuse(
                    key_node,
                    f"sets {dotted((*path, key))} twice",
                    expected=f"each setting once; the first is on line {lines[key]}",
                )
            lines[key] = key_node.start_mark.line + 1
            self.places[(*path, key)] = self._place(key_node)
            values[key] = self.build(value_node, (*path, key))
        return values

    def _scalar(self, node: Any, path: KeyPath) -> Value:
        kind = node.tag.removeprefix(_TAG)
        if kind not in _SCALAR:
            self._refuse(node, f"has the tag {node.tag!r}", expected="plain values only")
        try:
            node.value.encode("utf-8")  # a lone surrogate, which "\\ud800" can write, is not valid text
            if "\0" in node.value:
                raise ValueError("no path, and no program's argument, can hold it")
            return _SCALAR[kind](node.value)
        except ValueError:
            where = f"({dotted(path)}) " if path else ""
            self._refuse(
                node,
                f"{where}is not a valid {kind}, which its tag or form names",
                expected=_VALID.get(kind, f"a {kind}"),
                got=shown(HIDDEN if names_secret(dotted(path)) else node.value),
            )

    def _only(self, node: Any, kind: str) -> None:
        if node.tag != f"{_TAG}{kind}":
            self._refuse(node, f"has the tag {node.tag!r}", expected="plain values only")

    def _place(self, node: Any) -> str:
        return f"{self.source}, line {node.start_mark.line + 1}"

    def _refuse(self, node: Any, problem: str, *, expected: str | None = None, got: _Shown | None = None) -> NoReturn:
        shown_got = {} if got is None else {"got": got}
        raise RecipeError(f"{self._place(node)} {problem}", expected=expected, **shown_got)


def dotted(path: KeyPath) -> str:
    """A key path as people write it: "train.num_steps", "diagnose.extra.0.name"."""
    return ".".join(str(step) for step in path)
