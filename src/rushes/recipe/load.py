"""From a YAML file, or the name of a packaged recipe, and `--set` overrides to a checked `Recipe`."""

from __future__ import annotations

import json
import os
import select
import stat
from collections.abc import Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError

from rushes.errors import RecipeError, command, nearest
from rushes.extensions import extensions
from rushes.plain import hidden_line, names_secret
from rushes.recipe.dimensions import probed
from rushes.recipe.inherit import inherited
from rushes.recipe.no_keys import check_no_keys, without_keys
from rushes.recipe.other_names import renamed, usual_steps
from rushes.recipe.problems import recipe_error
from rushes.recipe.recipe import Recipe
from rushes.recipe.schema import find, kind_of, models_in
from rushes.recipe.yaml_reader import (
    MAX_BYTES,
    MAX_DEPTH,
    Document,
    KeyPath,
    Value,
    dotted,
    read_document,
    read_value,
    shown,
)

_ENDINGS: Final = (".yaml", ".yml")
_PLACES: Final = ("folder", "path", "suite", "catalogue", "cache_folder")
"""Settings that name a file or folder, beside `base.model`. A model that transformers loads expands `~` itself."""
_WRITER_S: Final = 3.0
"""How long a pipe may take to get its first byte, seconds."""


def load_recipe(path_or_name: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path_or_name: a YAML file, or the name of a packaged recipe: `sandbox`.
        overrides: `a.b=value` each, the value in YAML; later ones win.

    Returns:
        The recipe with every setting resolved; without a `name` it takes the file's.

    Raises:
        RecipeError: no such file or name; not YAML; unknown, missing, wrong or impossible settings.
    """
    wanted = os.fspath(path_or_name)
    text, source, name = _read(wanted)
    folder = None if wanted in packaged_recipes() else Path(wanted).parent
    return parse_recipe(text, source=source, overrides=overrides, default_name=name, folder=folder)


def parse_recipe(
    text: str,
    *,
    source: str,
    overrides: Sequence[str] = (),
    default_name: str = "run",
    folder: Path | None = None,
) -> Recipe:
    """`load_recipe` of YAML in memory.

    Args:
        text: the YAML.
        source: what to call it in messages.
        overrides: `a.b=value` each.
        default_name: the recipe's name if it sets none.
        folder: what a path in `from` is relative to; None for the working folder.

    Raises:
        RecipeError: not YAML; unknown, missing, wrong or impossible settings.
    """
    document = inherited(renamed(read_document(text, source)), partial(_base_document, folder or Path()))
    for override in overrides:
        apply_override(document, override)
    check_no_keys(document)
    values: dict[str, Value] = {"name": default_name, **document.value}
    filled = _filled(_at_home(_with_kinds(values)), Recipe)
    try:
        # Strict JSON: no text becomes a number, no number a truth value, but a list is a tuple and 1 is 1.0.
        recipe = Recipe.model_validate_json(json.dumps(filled), strict=True)
    except ValidationError as error:
        raise recipe_error(error, document, Recipe) from None
    probed(recipe.diagnose)  # names a misspelt dimension now rather than after the model has loaded
    return recipe


# ---------------------------------------------------------------------------------------------- finding the file


@cache
def packaged_recipes() -> dict[str, str]:
    """The YAML texts of the recipes in this package and in installed packages that offer recipes, sorted by name.

    A package offers its folder of recipes as an entry point in the group `rushes.recipes`.
    """
    packages = ["rushes.recipes", *(point.value for point in extensions("rushes.recipes").values())]
    found = {
        file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8")
        for package in packages
        for file in files(package).iterdir()
        if file.name.endswith(".yaml")
    }
    return dict(sorted(found.items()))


def _read(wanted: str) -> tuple[str, str, str]:
    """Text, source for messages, and default name."""
    is_path = os.sep in wanted or wanted.lower().endswith(_ENDINGS)
    if not is_path:
        packaged = packaged_recipes()
        if wanted in packaged:
            return packaged[wanted], f"recipe {wanted}", wanted
        if not Path(wanted).is_file():
            raise _unknown_name(wanted, list(packaged))
    path = Path(wanted)
    try:
        return _bytes_of(path).decode("utf-8-sig"), str(path), path.stem
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe {wanted}", next_step=_nearest_file(path)) from None
    except IsADirectoryError:
        raise RecipeError(f"{wanted} is a folder", expected="a recipe file", next_step=_in_folder(path)) from None
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{wanted} is not text in UTF-8",
            got=error.object[error.start : error.start + 8],
            next_step="save it as UTF-8",
        ) from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read {wanted}", got=shown(str(error)), next_step="check that path") from None


def _bytes_of(path: Path) -> bytes:
    """The content of a file or pipe, which may not be endless."""
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind) or stat.S_ISDIR(kind)):
        raise RecipeError(f"{path} is not a file", expected="a recipe file", next_step="name a .yaml file")
    # Not blocking, since opening a pipe without a writer would wait for one.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        if stat.S_ISFIFO(kind) and not select.select([stream], [], [], _WRITER_S)[0]:
            raise RecipeError(f"nothing is written into the pipe {path}", next_step="name a .yaml file")
        os.set_blocking(stream.fileno(), True)
        data = stream.read(4 * MAX_BYTES + 1)
    if len(data) > 4 * MAX_BYTES:
        raise RecipeError(f"{path} is too long for a recipe", expected="at most 1 MiB")
    return data


def _base_document(folder: Path, wanted: str) -> Document:
    """The recipe that a `from` names: packaged, or a file relative to the one that names it."""
    is_packaged = wanted in packaged_recipes()
    text, source, _ = _read(wanted if is_packaged else str(folder / wanted))
    return renamed(read_document(text, source))


def _unknown_name(wanted: str, names: Sequence[str]) -> RecipeError:
    near = nearest(wanted, names)
    step = f"did you mean {near}?" if near else "name one of these, or a file (./recipe.yaml); rushes init writes one"
    return RecipeError(
        f"there is no recipe {wanted!r}", expected=f"a YAML file, or one of {', '.join(names)}", next_step=step
    )


def _nearest_file(path: Path) -> str:
    try:
        names = {found.stem: found for ending in _ENDINGS for found in path.parent.glob(f"*{ending}")}
    except OSError:
        names = {}
    near = nearest(path.stem, names)
    return f"did you mean {names[near]}?" if near else f"write one with: {command('init', path)}"


def _in_folder(path: Path) -> str:
    inside = path / "recipe.yaml"
    return f"name the file: {inside}" if inside.is_file() else "name a .yaml file"


# ---------------------------------------------------------------------------------------------- overrides


def apply_override(document: Document, override: str) -> None:
    """Set one value in `document`, in place.

    Args:
        document: the recipe so far.
        override: `train.num_steps=200`; missing sections on the way are created, an index selects an item of a list.

    Raises:
        RecipeError: no `=`, an empty name, a value that is not YAML, a path through a plain value.
    """
    name, equals, text = override.partition("=")
    steps = usual_steps(name.strip().split("."))
    source = f"--set {name.strip()}"  # without the value, which may be a key
    if not equals or not all(steps) or len(steps) > MAX_DEPTH:
        raise RecipeError(
            f"--set cannot read {hidden_line(override)!r}",
            expected=f"key=value, with at most {MAX_DEPTH} steps in the key",
            next_step="for example: --set train.num_steps=200",
        )
    value = read_value(text, source, is_secret=names_secret(name))
    holder: dict[str, Value] | list[Value] = document.value
    path: KeyPath = ()
    for step in steps[:-1]:
        path = (*path, _key(holder, step, source))
        inner = _get(holder, path[-1])
        if inner is None:
            inner = {}
            _put(holder, path[-1], inner)
        if not isinstance(inner, (dict, list)):
            raise RecipeError(
                f"{source}: {dotted(path)} is a plain value and has no settings",
                got=shown(without_keys(inner, step)),
                next_step=f"set {dotted(path)} itself",
            )
        holder = inner
    path = (*path, _key(holder, steps[-1], source))
    if isinstance(holder, dict) and path[-1] == "kind":
        _drop_settings_of_other_kinds(holder, path[:-1], value)
    _put(holder, path[-1], value)
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places[path] = source
    renamed(document)


def _key(holder: dict[str, Value] | list[Value], step: str, source: str) -> str | int:
    if isinstance(holder, dict):
        return step
    if step.isdigit() and int(step) < len(holder):
        return int(step)
    raise RecipeError(
        f"{source}: the list has no item {step!r}",
        expected=f"a number from 0 to {len(holder) - 1}" if holder else "a list with items",
        next_step="set the whole list: --set a.b='[x, y]'",
    )


def _get(holder: dict[str, Value] | list[Value], key: str | int) -> Value:
    return holder.get(str(key)) if isinstance(holder, dict) else holder[int(key)]


def _put(holder: dict[str, Value] | list[Value], key: str | int, value: Value) -> None:
    if isinstance(holder, dict):
        holder[str(key)] = value
    else:
        holder[int(key)] = value


def _drop_settings_of_other_kinds(section: dict[str, Value], path: KeyPath, kind: Value) -> None:
    """Another kind of writer or judge has other settings: remove those that the new kind does not have.

    A setting of the same name stays if it means the same in both: its type and its default say so.
    """
    _, setting = find(Recipe, path)
    models = [] if setting is None else models_in(setting.annotation)
    chosen = [model for model in models if kind_of(model) == kind]
    if len(models) < 2 or not chosen:
        return
    before = next((model for model in models if kind_of(model) == section.get("kind")), chosen[0])
    for name in list(section):
        old, new = before.model_fields.get(name), chosen[0].model_fields.get(name)
        if new is None or (
            old is not None and name != "kind" and (old.annotation, old.default) != (new.annotation, new.default)
        ):
            del section[name]


# ---------------------------------------------------------------------------------------------- defaults


def _with_kinds(value: Value) -> Any:
    """`value` with `kind: plugin` added to every section that names a plug-in by `use` and sets no kind."""
    if isinstance(value, list):
        return [_with_kinds(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: each if name == "options" else _with_kinds(each) for name, each in value.items()}
    return {"kind": "plugin", **found} if "use" in found else found


def _at_home(value: Any, name: str = "") -> Any:
    """`value` with `~/` expanded in the settings that name a file or folder."""
    if isinstance(value, list):
        return [_at_home(each, name) for each in value]
    if isinstance(value, dict):
        return {
            key: _at_home(each, "folder" if (name, key) == ("base", "model") else key) for key, each in value.items()
        }
    is_place = name in _PLACES and isinstance(value, str) and value.startswith("~/")
    return os.path.expanduser(value) if is_place else value


def _filled(values: dict[str, Value], defaults: BaseModel | type[BaseModel]) -> dict[str, Value]:
    """`values` with the missing settings of partly written sections taken from the section's default.

    A section may default to a filled-in spec whose class has no field defaults (the sampler). Setting one of its fields
    must not lose the others.

    Args:
        values: the recipe's settings.
        defaults: a filled-in section, or the class of a section that has no default as a whole.
    """
    result = dict(values)
    fields = (defaults if isinstance(defaults, type) else type(defaults)).model_fields
    for name, info in fields.items():
        given = result.get(name)
        if not isinstance(given, dict):
            continue
        models = models_in(info.annotation)
        default = info.get_default(call_default_factory=True) if isinstance(defaults, type) else getattr(defaults, name)
        if not isinstance(default, BaseModel):
            if len(models) == 1 and info.is_required():
                result[name] = _filled(given, models[0])
            continue
        own_kind = kind_of(type(default))
        if len(models) > 1 and given.get("kind", own_kind) != own_kind:
            continue
        whole = cast("dict[str, Value]", default.model_dump(mode="json"))
        missing = {key: value for key, value in whole.items() if key not in given}
        result[name] = {**_filled(given, default), **missing}
    return result
