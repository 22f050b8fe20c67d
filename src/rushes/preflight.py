"""Checks before any expensive work: plug-ins and real clips exist, training can start, the base has not changed.

The recipe's own settings are checked when it is read; these checks depend on this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rushes.context import executor_of
from rushes.errors import RecipeChanged, RecipeError
from rushes.families.folder import fingerprint_of
from rushes.plugins import CLIP_SOURCE, JUDGE, MEASURER, QUESTION_WRITER, SUITE, WEIGHTING, WRITER, build, resolved
from rushes.prompts.metadata import metadata_files
from rushes.recipe.recipe import Recipe
from rushes.roles import PromptSuite
from rushes.store.run import Run
from rushes.train.launched import check_launch

_BASE: Final = "base_fingerprint"
"""Key under which the run stores the fingerprint of its base model."""


def check(recipe: Recipe) -> None:
    """Check that every plug-in of a recipe can be found, and that executor and training processes can run here.

    Raises:
        RecipeError: one of these does not hold; the message says which.
    """
    named = (
        (recipe.prompts.writer, WRITER),
        (recipe.prompts.questions, QUESTION_WRITER),
        (recipe.prompts.real.source, CLIP_SOURCE),
        (recipe.judge.judge, JUDGE),
        (recipe.weights.plugin, WEIGHTING),
        (recipe.measure.measurer, MEASURER),
        (recipe.measure.suite, SUITE),
    )
    for spec, role in named:
        if spec is not None:
            resolved(spec, role)
    executor_of(recipe.runtime)
    check_launch(recipe.runtime.train.num_processes)
    if recipe.measure.suite is not None:
        _check_suite(recipe, build(recipe.measure.suite, SUITE, recipe.runtime, "measure.suite"))


def _check_suite(recipe: Recipe, suite: PromptSuite) -> None:
    """Its prompts are for its own dimensions: another catalogue may use the same name for another thing."""
    if recipe.diagnose.catalogue != suite.catalogue or recipe.diagnose.extra:
        raise RecipeError(
            f"measure.suite holds prompts of {suite.name} only",
            expected=f"diagnose.catalogue: {suite.catalogue}, and no diagnose.extra",
            got=recipe.diagnose.catalogue,
            next_step="set diagnose.catalogue so, or leave measure.suite out",
        )


def check_real_clips(recipe: Recipe) -> None:
    """Check that the user's folder of videos is there; a finished run no longer needs it.

    Raises:
        InputError: there is no such folder, or it holds no metadata file.
    """
    real = recipe.prompts.real
    if real.folder is not None and real.num_wanted:
        metadata_files(Path(real.folder))


def check_base(recipe: Recipe, run: Run, *, allow_change: bool) -> None:
    """Refuse to continue if the files of the base model have changed since the run began.

    A model on the Hub is checked only after it is in this machine's cache.

    Raises:
        RecipeChanged: they differ, and `allow_change` is False.
    """
    found, before = fingerprint_of(recipe.base), run.database.meta(_BASE)
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
    run.database.set_meta(_BASE, found)
