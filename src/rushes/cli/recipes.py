"""`rushes init`: a recipe with every setting explained."""

from __future__ import annotations

import sys
from pathlib import Path

from rushes.cli.show import say
from rushes.errors import InputError, command
from rushes.recipe.load import load_recipe, packaged_recipes
from rushes.recipe.recipe import Recipe
from rushes.recipe.template import notes_in, recipe_yaml
from rushes.store.files import make_folder


def write_template(file: Path, name: str, *, force: bool, gpu: str | None = None) -> None:
    """Write the packaged recipe `name` to `file`, with an explanation of every setting; `-` prints it.

    Args:
        file: where it goes.
        name: of a packaged recipe, or a file.
        force: overwrite the file.
        gpu: name of a GPU that it must fit, or its memory, like `12GB`; None for no matter which.

    Raises:
        RecipeError: no such packaged recipe or GPU, or nothing makes it fit that GPU.
        InputError: the file already exists, or cannot be written.
        StoreError: its folder cannot be created.
    """
    recipe, traded = load_recipe(name), ""
    notes = notes_in(packaged_recipes()[name]) if name in packaged_recipes() else {}
    if gpu is not None:
        recipe, traded = _for_gpu(recipe, gpu)
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
    say(f"wrote {file}\n{traded}next: look through it, then: {command('run', file)}")


def _for_gpu(recipe: Recipe, gpu: str) -> tuple[Recipe, str]:
    """The recipe as it fits a GPU, and in words what was traded."""
    from rushes.plan.fit import fitted, needed
    from rushes.plan.gpus import find_gpu, of_memory

    device = of_memory(gpu) or find_gpu(gpu)
    found, trades = fitted(recipe, device)
    lines = [
        f"  {each.what}  {each.stage} {each.before_bytes / 1e9:.1f} -> {each.after_bytes / 1e9:.1f} GB; {each.why}"
        for each in trades
    ]
    ends = (
        f"it takes {needed(found, device) / 1e9:.1f} GB of the {device.memory_bytes / 1e9:.0f} GB of one {device.name}"
    )
    head = ["changed to fit:", *lines] if lines else ["nothing had to change"]
    return found, "\n".join([*head, f"{ends}, by the estimate of rushes plan", ""])
