"""Which settings of a recipe to change so that it fits a GPU, from the cheapest: what `rushes init --gpu` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from rushes.errors import RecipeError
from rushes.families.recompute import SAFETY
from rushes.plan.gpu_memory import gpu_peak_bytes
from rushes.plan.gpus import Gpu
from rushes.plan.models import known_model
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec

_STAGES = ("generate", "train")
RANK = 16
"""Of an adapter in place of full tuning."""


_LEAST: Final = 0.02
"""Share of a stage's memory that a change must save."""


@dataclass(frozen=True)
class Trade:
    """One change."""

    what: str
    """The setting, as it is written in a recipe."""
    why: str
    """What it costs."""
    stage: str
    """The stage that did not fit, and that it helps most."""
    before_bytes: float
    """Peak memory of that stage before it."""
    after_bytes: float
    """The same after it."""


def fitted(recipe: Recipe, gpu: Gpu) -> tuple[Recipe, tuple[Trade, ...]]:
    """The recipe with as few changes as let generating and training fit, and what was changed.

    Recomputation and offloading are not among them: left at `auto`, they are chosen when the run starts.

    Args:
        recipe: of a released model.
        gpu: where it will run.

    Raises:
        RecipeError: the model is not in the table of released ones, or nothing makes it fit.
    """
    known_model(recipe, otherwise="leave --gpu out")
    room, now, trades = SAFETY * gpu.memory_bytes, _peaks(recipe, gpu), list[Trade]()
    for what, why, change in _changes(recipe):
        if max(now.values()) <= room:
            break
        tried = change(recipe)
        after = _peaks(tried, gpu)
        saved = {stage: now[stage] - after[stage] for stage in now if now[stage] > room}
        stage = max(saved, key=lambda name: saved[name])
        if saved[stage] > _LEAST * now[stage]:
            trades.append(Trade(what, why, stage, now[stage], after[stage]))
            recipe, now = tried, after
    if (most := max(now.values())) > room:
        raise RecipeError(
            f"this recipe does not fit one {gpu.name}, whatever is changed",
            expected=f"at most {room / 1e9:.0f} GB",
            got=f"{most / 1e9:.0f} GB after {', '.join(each.what for each in trades) or 'no change'}",
            next_step="choose a larger GPU or a smaller model; rushes plan tells what each takes",
        )
    return recipe, tuple(trades)


def needed(recipe: Recipe, gpu: Gpu) -> float:
    """Peak memory of the larger of generating and training on a GPU, bytes."""
    return max(_peaks(recipe, gpu).values())


def _peaks(recipe: Recipe, gpu: Gpu) -> dict[str, float]:
    """Peak memory of each stage, bytes."""
    size = known_model(recipe, otherwise="leave --gpu out").size
    return {stage: gpu_peak_bytes(size, recipe, stage, gpu)[0] or 0.0 for stage in _STAGES}


def _changes(recipe: Recipe) -> Iterator[tuple[str, str, Callable[[Recipe], Recipe]]]:
    batch = recipe.train.batch_size
    if recipe.train.num_accumulation < batch and recipe.train.realism.kind != "moments":
        yield (
            f"train.num_accumulation: {batch}",
            "nothing but time where a GPU had room for more clips at once",
            lambda r: _with(r, "train", num_accumulation=batch),
        )
    yield (
        "base.autoencoder_precision: bfloat16",
        "pixels and latents differ a little",
        lambda r: _with(r, "base", autoencoder_precision="bfloat16"),
    )
    if recipe.train.lora is None:
        yield (
            f"train.lora: {{rank: {RANK}, alpha: {RANK}}}",
            "an adapter is trained instead of all weights",
            lambda r: _with(r, "train", lora=LoraSpec(rank=RANK, alpha=RANK)),
        )
    yield (
        "base.transformer_precision: float8",
        "weights that are not trained are rounded to 8 bits, for clips as well",
        lambda r: _with(r, "base", transformer_precision="float8"),
    )
    yield (
        "base.autoencoder_tiles: true",
        "pixels and latents differ near the seams",
        lambda r: _with(r, "base", autoencoder_tiles=True),
    )
    for share in (0.75, 0.5, 0.25):
        frames = max(1, round((recipe.shape.num_frames - 1) * share / 8) * 8 + 1)
        yield f"shape.num_frames: {frames}", "shorter clips", partial(_with, part="shape", num_frames=frames)
    for share in (0.75, 0.5):
        height, width = (round(px * share / 32) * 32 for px in (recipe.shape.height_px, recipe.shape.width_px))
        yield (
            f"shape.height_px, width_px: {height}, {width}",
            "smaller pictures",
            partial(_with, part="shape", height_px=height, width_px=width),
        )


def _with(recipe: Recipe, part: str, **changes: object) -> Recipe:
    changed = getattr(recipe, part).model_copy(update=changes)
    return Recipe.model_validate(recipe.model_copy(update={part: changed}).model_dump())
