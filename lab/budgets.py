"""What an arm costs, in three units that can be made equal, and in seconds. Pure.

A forward-equivalent is one pass of the transformer over one clip without gradients. A pass with gradients counts three
of them (the backward pass costs two), four where its activations are recomputed. What all arms share is not counted:
probes, watching, and measuring.
"""

from __future__ import annotations

import math
from typing import Final, Literal

from rushes.plan.calls import calls_per_clip
from rushes.plugins import num_compared, objective_needs
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import in_steps, num_own_rows
from rushes.records.base import Count, Record

Equal = Literal["own", "clips", "steps", "forwards"]
"""What arms have in common: nothing but the recipe, clips judged, optimiser steps, or forward-equivalents."""
_RECOMPUTED: Final = {"none": 0.0, "auto": 0.0, "half": 0.5, "all": 1.0}
"""Share of the blocks that run forward twice; the sandbox's model is small enough for `auto` to recompute nothing."""


class Budget(Record):
    """What an arm has cost, or will.

    Example: `Budget(clips_judged=1008, steps=400, forwards=41_760, seconds=310.5)`.
    """

    clips_judged: Count
    """Clips that the judge was asked about, as often as it was asked; 0 if its scores decide nothing."""
    steps: Count
    """Optimiser steps of all rounds."""
    forwards: Count
    """Forward-equivalents of sampling and training."""
    seconds: float | None = None
    """Wall-clock seconds of sampling, judging and training; None if unknown."""


def budget_of(recipe: Recipe, num_clips: int, num_steps: int, seconds: float | None = None) -> Budget:
    """What a recipe costs.

    Args:
        recipe: the arm.
        num_clips: own clips of all rounds.
        num_steps: optimiser steps of all rounds.
        seconds: what they took, if known.
    """
    num_clips *= learns_from_own(recipe)
    judged = num_clips * reads_scores(recipe) + num_steps * clips_judged_a_step(recipe)
    forwards = num_clips * calls_per_clip(recipe.generate.sampler, recipe.base) + num_steps * forwards_a_step(recipe)
    return Budget(clips_judged=judged, steps=num_steps, forwards=round(forwards), seconds=seconds)


def planned(recipe: Recipe) -> Budget:
    """What a recipe will cost, if the screen leaves as many prompts as it asks for."""
    num_clips = recipe.num_rounds * _clips_a_round(recipe)
    steps = in_steps(recipe.train, _clips_a_round(recipe), objective_needs(recipe.train)).steps
    return budget_of(recipe, num_clips, recipe.num_rounds * steps)


def forwards_a_step(recipe: Recipe) -> float:
    """Forward-equivalents of one optimiser step: the batch with gradients, and what is compared with without."""
    spec, needs = recipe.train, objective_needs(recipe.train)
    num_own = num_own_rows(spec, needs)
    with_gradients = (3 + _RECOMPUTED[recipe.runtime.train.recompute]) * spec.batch_size
    # An anchor holds real clips too; an objective compares own clips alone. In later rounds it may be another model.
    models = (num_compared(spec) + (recipe.num_rounds - 1) * num_compared(spec, is_later=True)) / recipe.num_rounds
    compared = spec.batch_size + (models - 1) * num_own if spec.is_held else models * num_own
    denoised = (getattr(spec.objective, "num_ode_steps", 1) - 1) * num_own
    return with_gradients + compared + denoised


def clips_judged_a_step(recipe: Recipe) -> int:
    """Clips that the judge is asked about in one optimiser step: at most the own ones, for objectives that ask it."""
    needs = objective_needs(recipe.train)
    return num_own_rows(recipe.train, needs) if needs.judge != "none" else 0


def at_budget(recipe: Recipe, equal: Equal, amount: int) -> tuple[str, ...]:
    """Overrides that make a recipe cost `amount`: fewer or more steps, or prompts where clips judged shall be equal.

    An objective that asks the judge in training spends half of the clips on stored ones, and the other half in steps.
    What needs no judge, and what trains on nothing of its own, has no number of clips judged to make equal.

    Args:
        recipe: the arm as it is.
        equal: which of the three; "own" changes nothing.
        amount: how much.

    Raises:
        ValueError: the amount does not pay for a single step or prompt; with "forwards" sampling may cost it all.
    """
    rounds = recipe.num_rounds
    if equal == "own":
        return ()
    if equal == "steps":
        return (_steps(amount / rounds, recipe),)
    if equal == "forwards":
        sampled = planned(recipe).forwards - planned(recipe).steps * forwards_a_step(recipe)
        return (_steps((amount - sampled) / forwards_a_step(recipe) / rounds, recipe),)
    a_step, a_round = clips_judged_a_step(recipe), _clips_a_round(recipe)
    if not (a_step or (reads_scores(recipe) and learns_from_own(recipe))):
        return ()
    stored = amount / rounds / (2 if a_step else 1)
    share = stored / a_round
    names = {"num_weakness": recipe.prompts.num_weakness, "num_caption": recipe.prompts.num_caption}
    prompts = tuple(f"prompts.{name}={_whole(num * share, recipe)}" for name, num in names.items() if num)
    return (*prompts, _steps((amount / rounds - stored) / a_step, recipe)) if a_step else prompts


def learns_from_own(recipe: Recipe) -> bool:
    """Whether any own clip is in a batch; otherwise none has to be sampled."""
    return num_own_rows(recipe.train, objective_needs(recipe.train)) > 0


def reads_scores(recipe: Recipe) -> bool:
    """Whether the judge's scores decide anything: plain fine-tuning has weights that are all 1."""
    read = set(objective_needs(recipe.train).columns) - {"weight"}
    return recipe.generate.decode and (bool(read) or recipe.weights.kind != "uniform")


def _steps(num: float, recipe: Recipe) -> str:
    return f"train.num_steps={_whole(num, recipe)}"


def _whole(num: float, recipe: Recipe) -> int:
    """A number that costs no more, at least one."""
    if num + 1e-9 < 1:
        raise ValueError(
            f"expected a budget that pays for at least one step and prompt of {recipe.name}, got {num:.2f}"
        )
    return math.floor(num + 1e-9)


def _clips_a_round(recipe: Recipe) -> int:
    return (recipe.prompts.num_weakness + recipe.prompts.num_caption) * recipe.generate.num_takes
