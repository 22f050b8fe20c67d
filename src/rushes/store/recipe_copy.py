"""A run's own copy of its recipe, `recipe.yaml`: all that comes after the run reads its settings from there.

It has its sum beside it, and its text is in the database as well, so that a damaged copy can be written again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.errors import DatabaseCorrupt, FileCorrupt, RecordCorrupt
from rushes.store.database import Database
from rushes.store.files import explained
from rushes.store.sums import is_intact, write_summed

if TYPE_CHECKING:
    from rushes.recipe.recipe import Recipe

RECIPE: Final = "recipe.yaml"
"""Its name in a run folder, and in the database's `meta`."""


def recipe_of(home: Path) -> Recipe:
    """The recipe of a run, from its copy.

    Raises:
        FileCorrupt: it is not what was written, or missing.
        RecipeError: this version cannot read it.
    """
    if not (home / RECIPE).exists():
        raise FileCorrupt(home, home / RECIPE, "missing")
    return read_recipe(home / RECIPE)


def read_recipe(path_or_name: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """`load_recipe`; a run's own copy only if it is what was written.

    Raises:
        FileCorrupt: it is not.
        RecipeError: see `load_recipe`.
    """
    path = Path(path_or_name)
    if path.is_file() and is_intact(path) is False:
        raise FileCorrupt(path.parent, path, "altered (settings of a run are changed with --set, not in its copy)")
    from rushes.recipe.load import load_recipe

    return load_recipe(path_or_name, overrides)


def keep_recipe(home: Path, database: Database) -> None:
    """Keep the text of the copy in the database.

    Raises:
        StoreError: disk full or read-only.
    """
    with explained(home / RECIPE):
        text = (home / RECIPE).read_text(encoding="utf-8")
    with contextlib.suppress(RecordCorrupt):
        if database.meta(RECIPE) == text:
            return
    database.set_meta(RECIPE, text)


def kept_recipe(home: Path) -> str | None:
    """The text of the copy as the database has it; None where it has none, as in runs of older versions."""
    with contextlib.suppress(DatabaseCorrupt, RecordCorrupt):
        database = Database(home / "records.sqlite", read_only=True)
        try:
            return database.meta(RECIPE)
        finally:
            database.close()
    return None


def restore_recipe(home: Path) -> None:
    """Write the copy again, if it is missing and the database has its text.

    Raises:
        StoreError: disk full or read-only.
    """
    if not (home / RECIPE).exists() and (text := kept_recipe(home)) is not None:
        write_summed(home / RECIPE, text.encode())
