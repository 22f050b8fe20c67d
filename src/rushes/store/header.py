"""The run's header and recipe: written before any work, compared whenever the run is opened."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from rushes.errors import FileCorrupt, RecipeChanged, StoreError
from rushes.records import Record, RunHeader
from rushes.store.done import reopen
from rushes.store.events import EventLog
from rushes.store.identity import IDENTITY_VERSION, content_hash, spec_part
from rushes.store.provenance import commit, hardware, rushes_version, versions
from rushes.store.sums import is_intact, read_summed, write_summed

Recipe = BaseModel | Mapping[str, Any] | str
"""A resolved recipe: a model, JSON values, or JSON text."""

_MAX_SHOWN = 8


class _HeaderFile(Record):
    """Content of header.json."""

    header: RunHeader
    """What the run is."""
    spec: dict[str, Any]
    """The recipe without its runtime settings: everything that affects the results."""


def read_header(home: Path) -> RunHeader | None:
    """The header of a run folder; None if there is none.

    Raises:
        StoreError: made by another version of the key computation, or damaged.
    """
    found = _read(home)
    return None if found is None else found.header


def open_header(home: Path, recipe: Recipe, log: EventLog, *, allow_change: bool) -> RunHeader:
    """Write header and recipe of a new run, or check that an old run was made by this recipe.

    Raises:
        RecipeChanged: made by another recipe, and `allow_change` is False.
        StoreError: made by another version, damaged, read-only, disk full.
    """
    value = json.loads(recipe) if isinstance(recipe, str) else recipe
    spec: dict[str, Any] = spec_part(value)
    old = _read(home)
    if old is None:
        header = _new_header(spec)
        _write_header(home, _HeaderFile(header=header, spec=spec))
    elif old.header.recipe_hash == content_hash(spec):
        header = old.header
    else:
        paths = differing_paths(old.spec, spec)
        if not allow_change:
            raise _changed(home, old.spec, spec, paths)
        header = old.header.model_copy(update={"recipe_hash": content_hash(spec)})
        log.write("recipe_changed", paths=paths, old_recipe_hash=old.header.recipe_hash)
        reopen(home)
        _write_header(home, _HeaderFile(header=header, spec=spec))
    _write_recipe(home, value)
    return header


def _new_header(spec: dict[str, Any]) -> RunHeader:
    commit_id, is_dirty = commit()
    return RunHeader(
        recipe_hash=content_hash(spec),
        identity_version=IDENTITY_VERSION,
        rushes_version=rushes_version(),
        commit=commit_id,
        dirty=is_dirty,
        versions=versions(),
        hardware=hardware(),
        started_at=datetime.now(UTC),
    )


def differing_paths(old: object, new: object, path: str = "") -> tuple[str, ...]:
    """Dotted paths at which two recipes as JSON values differ, sorted; "train.num_steps", "diagnose.focus.0".

    Another kind of section shows in its `kind`; `spec_name` is for work keys.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = sorted({*old, *new} - {"spec_name"})
        pairs = [(name, old.get(name, _Absent), new.get(name, _Absent)) for name in names]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(str(i), a, b) for i, (a, b) in enumerate(zip(old, new, strict=True))]
    else:
        return () if old == new else (path or "recipe",)
    return tuple(found for name, a, b in pairs for found in differing_paths(a, b, f"{path}.{name}" if path else name))


class _Absent:
    """Stands for a key that one side does not have."""


def _changed(home: Path, old: dict[str, Any], new: dict[str, Any], paths: tuple[str, ...]) -> RecipeChanged:
    shown = [f"{path}: {_at(old, path)} -> {_at(new, path)}" for path in paths[:_MAX_SHOWN]]
    more = f"\n  and {len(paths) - _MAX_SHOWN} more" if len(paths) > _MAX_SHOWN else ""
    return RecipeChanged(
        f"{home} was made by another recipe; these values differ (run folder -> now):\n  " + "\n  ".join(shown) + more,
        paths=paths,
        next_step="name another run folder for the new recipe, restore the old values, or allow the change "
        "(--allow-change): what depends on these values is computed again, the rest is kept",
    )


def _at(value: Any, path: str) -> str:
    for name in path.split("."):
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            return "(absent)"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read(home: Path) -> _HeaderFile | None:
    path = home / "header.json"
    if not path.exists():
        return None
    data = read_summed(path, home)
    try:
        loaded = json.loads(data)
        version = loaded["header"]["identity_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileCorrupt(home, path, f"damaged: {data[:40]!r}") from error
    if version != IDENTITY_VERSION:
        age = "a newer" if isinstance(version, int) and version > IDENTITY_VERSION else "an older"
        made_by = loaded["header"].get("rushes_version", "unknown")
        raise StoreError(
            f"{home} was made by {age} version of Rushes ({made_by}), whose work keys differ",
            expected=f"identity version {IDENTITY_VERSION}",
            got=version,
            next_step="use that version of Rushes, or start a new run folder",
        )
    try:
        return _HeaderFile.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise StoreError(
            f"{path} does not fit this version of Rushes",
            expected=f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
            got=loaded["header"].get("rushes_version"),
            next_step="use the version of Rushes that made the run, or start a new run folder",
        ) from error


def _write_header(home: Path, content: _HeaderFile) -> None:
    write_summed(home / "header.json", f"{content.model_dump_json(indent=1)}\n".encode())


def _write_recipe(home: Path, recipe: BaseModel | Mapping[str, Any]) -> None:
    """Save the resolved recipe, runtime settings included, for people; rewritten only when it differs."""
    import yaml

    values = recipe.model_dump(mode="json") if isinstance(recipe, BaseModel) else dict(recipe)
    text = "# The resolved recipe of this run, every value spelled out.\n"
    text += yaml.dump(values, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=120)
    path = home / "recipe.yaml"
    if not path.is_file() or is_intact(path) is not True or path.read_bytes() != text.encode():
        write_summed(path, text.encode())


@cache
def _dumper() -> Any:
    """PyYAML's safe dumper; text that the recipe reader would read as a number (`1e3`, `0o17`) is quoted as well.

    PyYAML follows YAML 1.1 and the reader YAML 1.2; text that either of them would not read as text gets quotes.
    """
    import yaml

    from rushes.recipe.yaml_reader import PLAIN_SCALARS

    dumper = type("RecipeDumper", (yaml.SafeDumper,), {})
    for name, pattern in PLAIN_SCALARS:
        dumper.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"^(?:{pattern})$"), None)  # type: ignore[attr-defined]
    return dumper
