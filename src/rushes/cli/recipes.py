"""`rushes init`: a recipe with every setting explained."""

from __future__ import annotations

import sys
from pathlib import Path

from rushes.cli.show import say
from rushes.errors import InputError, command
from rushes.recipe.load import load_recipe, packaged_recipes
from rushes.recipe.template import notes_in, recipe_yaml
from rushes.store.files import make_folder


def write_template(file: Path, name: str, *, force: bool) -> None:
    """Write the packaged recipe `name` to `file`, with an explanation of every setting; `-` prints it.

    Raises:
        RecipeError: no such packaged recipe.
        InputError: the file already exists, or cannot be written.
        StoreError: its folder cannot be created.
    """
    recipe = load_recipe(name)
    notes = notes_in(packaged_recipes()[name]) if name in packaged_recipes() else {}
    if str(file) == "-":
        sys.stdout.write(recipe_yaml(recipe, notes))
        return
    text = recipe_yaml(recipe.model_copy(update={"name": file.stem}), notes)
    make_folder(file.parent)
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(
            f"{file} already exists", next_step="name another file, or overwrite it with --force"
        ) from None
    except OSError as error:
        raise InputError(f"cannot write {file}", got=error.strerror, next_step="name another file") from None
    say(f"wrote {file}\nnext: look through it, then: {command('run', file)}")
