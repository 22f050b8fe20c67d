"""Turns pydantic's errors about a recipe into messages that say what to type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from rushes.errors import RecipeError, nearest
from rushes.recipe.brought_names import done_here_by, settings_for
from rushes.recipe.no_keys import without_keys
from rushes.recipe.schema import Setting, all_settings, find, kind_of, models_in
from rushes.recipe.yaml_reader import Document, KeyPath, dotted, read_value, shown

_MAX_ALSO: Final = 8


@dataclass(frozen=True)
class _Problem:
    """One problem in a recipe, ready to be shown."""

    path: KeyPath
    place: str
    problem: str
    expected: str | None = None
    got: object = None
    has_got: bool = False
    next_step: str | None = None

    def error(self, others: Sequence[_Problem]) -> RecipeError:
        """The error for this problem, naming the others after it."""
        also = [f"\n  also:     {other.headline}" for other in others[:_MAX_ALSO]]
        if len(others) > _MAX_ALSO:
            also.append(f"\n  also:     and {len(others) - _MAX_ALSO} more")
        step = (self.next_step or "correct it in the recipe") + "".join(also)
        got = {"got": shown(self.got)} if self.has_got else {}
        return RecipeError(self.headline, expected=self.expected, next_step=step, **got)

    @property
    def headline(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


def recipe_error(error: ValidationError, document: Document, root: type[BaseModel]) -> RecipeError:
    """The `RecipeError` that explains the first problem in the file and names up to eight others.

    Args:
        error: what validating `document.value` as `root` raised.
        document: the values, and where each was written.
        root: the model of the whole recipe.
    """
    problems: dict[KeyPath, _Problem] = {}
    for details in error.errors(include_url=False):
        problem = _explain(details, document, root)
        problems.setdefault(problem.path, problem)
    first, *others = sorted(problems.values(), key=lambda problem: _order(problem.place))
    return first.error(others)


def _order(place: str) -> tuple[int, int]:
    """Overrides first, since they were typed last; then the file from top to bottom."""
    number = place.rpartition("line ")[2]
    return (0, 0) if place.startswith("--set") else (1, int(number) if number.isdigit() else 0)


def _explain(details: Any, document: Document, root: type[BaseModel]) -> _Problem:
    path, setting = find(root, details["loc"])
    place, name, kind = document.place(path), dotted(path), details["type"]
    if kind == "extra_forbidden":
        return _unknown(path, place, find(root, details["loc"][:-1])[1], root)
    if kind == "value_error":
        message = str(details["ctx"]["error"])
        problem = message if not name or message.startswith(name) else f"{name}: {message}"
        return _Problem(
            path,
            place,
            problem,
            next_step="change one of the settings that the error names, in the recipe or with --set KEY=VALUE",
        )
    expected = _with_meaning(setting)
    given = without_keys(details["input"], str(path[-1]) if path else "")
    if kind == "missing":
        return _Problem(
            path,
            place,
            f"{name} is missing",
            expected,
            next_step=f"add {name}, or start from a complete recipe: from: sandbox",
        )
    if kind in ("union_tag_not_found", "union_tag_invalid") and isinstance(details["input"], dict):
        return _wrong_kind(path, place, details, setting)
    hint = _type_hint(kind, given, name, is_required=setting is not None and setting.is_required)
    return _Problem(path, place, f"{name} cannot be this value", expected, given, True, hint)


def _with_meaning(setting: Setting | None) -> str | None:
    if setting is None:
        return None
    meaning = " ".join(setting.description.split())
    return f"{setting.expected} ({meaning.rstrip('.')})" if meaning else setting.expected


def _type_hint(kind: str, value: object, name: str, *, is_required: bool) -> str:
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return f'write it in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
    if kind in ("int_type", "float_type", "bool_type") and isinstance(value, str) and _is_plain(value):
        return "write it without quotes"
    return f"change {name}" if is_required else f"change {name}, or leave it out for its default"


def _is_plain(text: str) -> bool:
    """True for a quoted number or truth value."""
    try:
        return isinstance(read_value(text, ""), (bool, int, float))
    except RecipeError:
        return False


def _wrong_kind(path: KeyPath, place: str, details: Any, setting: Setting | None) -> _Problem:
    models = [] if setting is None else models_in(setting.annotation)
    kinds = [kind for model in models if (kind := kind_of(model)) is not None]
    name = dotted((*path, "kind"))
    expected = f"one of {', '.join(map(repr, kinds))}"
    if details["type"] == "union_tag_not_found":
        return _Problem(path, place, f"{name} is missing", expected, next_step=f"add {name}")
    got = details["input"].get("kind")
    near = nearest(str(got), kinds)
    step = f"did you mean {near}?" if near else f"choose one for {name}"
    return _Problem(path, place, f"{name} cannot be this value", expected, got, True, step)


# ---------------------------------------------------------------------------------------------- unknown settings


def _unknown(path: KeyPath, place: str, above: Setting | None, root: type[BaseModel]) -> _Problem:
    """An unknown setting, with the settings that may have been meant."""
    word = str(path[-1])
    models = [] if above is None else models_in(above.annotation)
    names = list(dict.fromkeys(name for model in models for name in model.model_fields))
    near = _meant(word, path[:-1], names, root)
    instead = done_here_by(word)
    if not near and instead is not None:
        return _Problem(path, place, f"unknown setting {dotted(path)}", next_step=instead)
    if path in near:
        kind = next((kind for model in models if (kind := kind_of(model)) is not None), "this one")
        expected = f"with kind: {kind}, one of {', '.join(names)}"
        step = f"--set {dotted((*path[:-1], 'kind'))}={_kind_with(word, path, root)}, which has {word}"
    elif near:
        settings = [setting for each in near if (setting := _setting_at(root, each)) is not None]
        expected = "; or ".join(f"{dotted(setting.path)}: {_with_meaning(setting)}" for setting in settings)
        step = f"did you mean {' or '.join(dotted(each) for each in near)}?"
    else:
        expected = f"one of {', '.join(names)}"
        step = "see every setting with: rushes init -"
    # Without its value: nobody knows what an unknown setting holds, a key perhaps.
    return _Problem(path, place, f"unknown setting {dotted(path)}", expected, next_step=step)


def _meant(word: str, above: KeyPath, names: Sequence[str], root: type[BaseModel]) -> list[KeyPath]:
    """The settings that an unknown one may mean: another tool's name for it, a misspelt one, or one of another section.

    Args:
        word: its name.
        above: the section in which it was written.
        names: the settings of that section.
        root: the model of the whole recipe.
    """
    brought = settings_for(word, above)
    here = nearest(word, names)
    if here is not None and all(path[:-1] != above for path in brought):
        return [(*above, here)]
    if brought or done_here_by(word) is not None:
        return brought
    return _elsewhere(word, root)


def _kind_with(word: str, path: KeyPath, root: type[BaseModel]) -> str:
    """The kind of the section of `path` that has the setting `word`."""
    section = find(root, path[:-1])[1]
    models = [] if section is None else models_in(section.annotation)
    return next(kind for model in models if word in model.model_fields and (kind := kind_of(model)) is not None)


def _elsewhere(word: str, root: type[BaseModel]) -> list[KeyPath]:
    """Settings with that name or a similar one in other sections: at most three."""
    paths = list(dict.fromkeys(setting.path for setting in all_settings(root)))
    same = [path for path in paths if path[-1] == word]
    if same:  # settings that a budget may choose are seldom meant
        return [path for path in same if path[0] != "budget"][:3] or same[:3]
    near = nearest(word, {str(path[-1]): None for path in paths})
    return [path for path in paths if path[-1] == near][:3]


def _setting_at(root: type[BaseModel], path: KeyPath) -> Setting | None:
    return next((setting for setting in all_settings(root) if setting.path == path), None)
