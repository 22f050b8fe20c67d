"""A short trial of a recipe, to measure how fast its kinds of work are on this machine before a real run."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from rushes.plan.measured import prices_of
from rushes.plan.prices import Prices
from rushes.plugins import objective_needs
from rushes.recipe.dimensions import probed
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import PreviewRuntime

SOURCE = "calibration"
NUM_STEPS = 4
"""Optimiser steps of the trial; the first one is slower than the rest, so the estimate is cautious."""


def small(recipe: Recipe) -> Recipe:
    """The recipe with the same model, sampler, judge and batch, but only one dimension and a handful of items."""
    name = (recipe.diagnose.focus or tuple(each.name for each in probed(recipe.diagnose)))[0]
    diagnose = {"dimensions": (name,), "focus": (name,), "num_prompts": 2}
    prompts = recipe.prompts
    if not prompts.only_real:  # which is trained on whole: pairs may be among any of its clips
        real = prompts.real.model_copy(update={"num_clips": min(4, prompts.real.num_clips)})
        prompts = prompts.model_copy(update={"num_weakness": 4, "num_caption": 0, "real": real})
    # A trial must not show up among the tracked runs, previews would count as training time, and there are too few real
    # clips to hold any out.
    quiet = {"tracker": "none", "previews": PreviewRuntime()}
    train = recipe.runtime.train.model_copy(update=quiet)
    changes = {
        "num_rounds": 1,
        "diagnose": recipe.diagnose.model_copy(update=diagnose),
        "prompts": prompts,
        "generate": recipe.generate.model_copy(update={"num_takes": max(2, objective_needs(recipe.train).unit_size)}),
        "runtime": recipe.runtime.model_copy(update={"train": train}),
        "train": recipe.train.model_copy(update={"num_steps": NUM_STEPS, "num_epochs": None, "num_held_out": 0}),
        "measure": recipe.measure.model_copy(
            update={
                "num_prompts": min(2, recipe.measure.num_prompts),
                "num_extra_focus_prompts": 0,
                "num_takes": 1,
                "num_diversity_prompts": 0,
            }
        ),
    }
    return recipe.model_copy(update=changes)


def calibrate(recipe: Recipe) -> Prices:
    """Run the small recipe in a temporary folder, and read its pace.

    Raises:
        UserError: the recipe cannot run here; better now than after hours.
    """
    from rushes.pipeline import improve

    with tempfile.TemporaryDirectory(prefix="rushes-calibration-") as folder:
        trial = small(recipe)
        improve(trial, Path(folder) / "run", check_first=False)
        found = prices_of(Path(folder) / "run", trial)
    return replace(found, by_kind={kind: replace(price, source=SOURCE) for kind, price in found.by_kind.items()})
