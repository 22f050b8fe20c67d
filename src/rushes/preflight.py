"""What is checked before anything is spent: that the recipe's plug-ins are there, and that the base model is the same.

The recipe's own settings are checked when it is read; this is what can only be known on this machine.
"""

from __future__ import annotations

from typing import Final

from rushes.context import executor_of
from rushes.errors import RecipeChanged, RecipeError
from rushes.families.folder import fingerprint_of
from rushes.plugins import CLIP_SOURCE, JUDGE, MEASURER, QUESTION_WRITER, SUITE, WEIGHTING, WRITER, build, resolved
from rushes.recipe.recipe import Recipe
from rushes.roles import PromptSuite
from rushes.store.run import Run

_BASE: Final = "base_fingerprint"
"""Under which the run keeps what its base model was."""


def check(recipe: Recipe) -> None:
    """Find out whether every plug-in of a recipe can be had, and whether its work can be spread as it says.

    Raises:
        RecipeError: one cannot; the message names it.
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


def check_base(recipe: Recipe, run: Run, *, allow_change: bool) -> None:
    """Refuse to go on where the files of the base model are no longer those that the run began with.

    A model on the Hub is looked at once it is in this machine's cache.

    Raises:
        RecipeChanged: they differ, and `allow_change` is False.
    """
    found, before = fingerprint_of(recipe.base), run.database.meta(_BASE)
    if found is None or found == before:
        return
    if before is not None and not allow_change:
        raise RecipeChanged(
            f"the files of base.model {recipe.base.model!r} are not those that {run.home} was begun with",
            paths=("base",),
            next_step="bring the old files back, name another run folder, or allow the change (--allow-change): what "
            "depends on the model is made again",
        )
    if before is not None:
        run.reopen_work()
    run.database.set_meta(_BASE, found)
