"""Whether the files of the base model are still those that a run began with."""

from __future__ import annotations

from typing import Final

from rushes.errors import RecipeChanged
from rushes.families.added import lora_file
from rushes.families.folder import BASE_FINGERPRINT, fingerprint_of
from rushes.families.weights import hash_file
from rushes.recipe.generate import GenerateLoraSpec
from rushes.recipe.recipe import Recipe
from rushes.store.run import Run

_OTHER: Final = "generator_fingerprint"
"""The same of another model that generates."""
_LORA: Final = "generator_lora"
"""The hash of the LoRA file that is added to the model that generates."""


def check_base(recipe: Recipe, run: Run, *, allow_change: bool) -> None:
    """Refuse to continue if the files of a model that generates have changed since the run began.

    A model on the Hub is checked only after it is in this machine's cache.

    Raises:
        RecipeChanged: they differ, and `allow_change` is False.
    """
    found = fingerprint_of(recipe.base)
    _check(run, BASE_FINGERPRINT, found, f"base.model {recipe.base.model!r}", "base", allow_change=allow_change)
    other, lora = recipe.generate.model, recipe.generate.lora
    if other is not None:
        found = fingerprint_of(other)
        _check(run, _OTHER, found, f"generate.model.model {other.model!r}", "generate", allow_change=allow_change)
    if lora is not None:
        found = _lora_hash(lora)
        _check(run, _LORA, found, f"generate.lora.model {lora.model!r}", "generate", allow_change=allow_change)


def _lora_hash(spec: GenerateLoraSpec) -> str | None:
    """Hash of a LoRA file on this machine; None for one on the Hub."""
    file = lora_file(spec)
    return None if file is None else hash_file(file)


def _check(run: Run, name: str, found: str | None, what: str, path: str, *, allow_change: bool) -> None:
    before = run.database.meta(name)
    if found is None or found == before:
        return
    if before is not None and not allow_change:
        raise RecipeChanged(
            f"the files of {what} have changed since the run in {run.home} began",
            paths=(path,),
            next_step="restore the old files, name another run folder, or allow the change (--allow-change): what "
            "depends on the model is made again",
        )
    if before is not None:
        run.reopen_work()
    run.database.set_meta(name, found)
