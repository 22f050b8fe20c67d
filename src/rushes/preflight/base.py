"""Whether the files of the base model are still those that a run began with."""

from __future__ import annotations

from rushes.errors import RecipeChanged
from rushes.families.folder import BASE_FINGERPRINT, fingerprint_of
from rushes.recipe.recipe import Recipe
from rushes.store.run import Run


def check_base(recipe: Recipe, run: Run, *, allow_change: bool) -> None:
    """Refuse to continue if the files of the base model have changed since the run began.

    A model on the Hub is checked only after it is in this machine's cache.

    Raises:
        RecipeChanged: they differ, and `allow_change` is False.
    """
    found, before = fingerprint_of(recipe.base), run.database.meta(BASE_FINGERPRINT)
    if found is None or found == before:
        return
    if before is not None and not allow_change:
        raise RecipeChanged(
            f"the files of base.model {recipe.base.model!r} have changed since the run in {run.home} began",
            paths=("base",),
            next_step="restore the old files, name another run folder, or allow the change (--allow-change): what "
            "depends on the model is made again",
        )
    if before is not None:
        run.reopen_work()
    run.database.set_meta(BASE_FINGERPRINT, found)
