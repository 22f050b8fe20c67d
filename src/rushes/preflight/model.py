"""Checks of the base model: family, shapes, samplers, text length. Configs are read, never weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rushes.errors import UserError
from rushes.families.adapter import adapter_files
from rushes.families.experts import Expert
from rushes.families.folder import family_of, known_experts, known_family, local_folder, model_folder
from rushes.families.limits import SANA_SIDE, Grid, read_boundary, read_grid, read_text_length, refused_settings
from rushes.findings import Finding
from rushes.plan.models import real_model
from rushes.plugins import objective_needs
from rushes.recipe.base import ShapeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe, as_draft, as_generating
from rushes.recipe.train import expert_problem

_SIDES: Final = ("num_frames", "height_px", "width_px")


def check_family(recipe: Recipe) -> Iterator[Finding]:
    """A model that is on this machine is of a supported family, the one that the recipe names."""
    try:
        if Path(model_folder(recipe.base.model)).is_dir():
            family_of(recipe.base)
    except UserError as error:
        yield Finding.of("base.model", error)


def check_base_model(recipe: Recipe) -> Iterator[Finding]:
    """A model that is not on this machine is on the Hub, and the Hub can be reached."""
    try:
        if local_folder(recipe.base) is None:
            family_of(recipe.base)
    except UserError as error:
        yield Finding.of("base.model", error)


def check_shapes(recipe: Recipe) -> Iterator[Finding]:
    """The models can make clips of the recipe's shape, and of its drafts'."""
    for each in dict.fromkeys((_grid(recipe), _grid(as_generating(recipe)))):
        if each is not None:
            yield from _shapes_on(recipe, each)


def _shapes_on(recipe: Recipe, grid: Grid) -> Iterator[Finding]:
    yield from _off_grid("shape", recipe.shape, grid)
    for number, each in enumerate(recipe.prompts.real.shapes):
        further = recipe.shape.model_copy(update=each.model_dump())
        near = grid.nearest(further)
        if any(getattr(near, name) != getattr(further, name) for name in _SIDES):
            sides = f"{{height_px: {near.height_px}, width_px: {near.width_px}, num_frames: {near.num_frames}}}"
            yield Finding(
                f"prompts.real.shapes[{number}]",
                "the model cannot read clips of this shape",
                expected=grid.in_words(),
                got=f"{each.num_frames} frames of {each.height_px} x {each.width_px}",
                next_step=f"the nearest legal shape, for the list in prompts.real.shapes: {sides}",
            )
    draft = recipe.generate.draft
    if draft is not None:
        # A side that the draft leaves out is that of `shape`.
        own = [name for name in _SIDES if getattr(draft, name) is not None]
        yield from _off_grid("generate.draft", as_draft(recipe).shape, grid, own)


def _off_grid(where: str, shape: ShapeSpec, grid: Grid, names: Sequence[str] = _SIDES) -> Iterator[Finding]:
    near = grid.nearest(shape)
    wrong = [name for name in names if getattr(near, name) != getattr(shape, name)]
    if wrong:
        step = " ".join(f"--set {where}.{name}={getattr(near, name)}" for name in wrong)
        yield Finding(
            f"{where}.{wrong[0]}" if len(wrong) == 1 else where,
            "the model cannot make clips of this shape",
            expected=grid.in_words(),
            got=f"{shape.num_frames} frames of {shape.height_px} x {shape.width_px}",
            next_step=f"the nearest legal shape: {step}",
        )


def _grid(recipe: Recipe) -> Grid | None:
    """The shapes that the model can make; None if nothing on this machine says."""
    family, folder, model = known_family(recipe.base), local_folder(recipe.base), real_model(recipe)
    if family is not None and folder is not None and (grid := read_grid(folder, family)) is not None:
        return grid
    if model is None:
        return None
    (frames, pixels), patch = model.size.compression, model.size.patch
    # CogVideoX's autoencoder needs an odd number of latent frames.
    side = math.lcm(pixels * patch[1], SANA_SIDE) if model.family == "sana_video" else pixels * patch[1]
    return Grid(frames * patch[0] * (2 if model.family == "cogvideox" else 1), side)


def check_samplers(recipe: Recipe) -> Iterator[Finding]:
    """The families can be sampled with the samplers of the recipe."""
    wanted = (
        ("generate.sampler", recipe.generate.sampler, as_generating(recipe)),
        ("measure.sampler", recipe.measure.sampler, recipe),
    )
    for where, sampler, of in wanted:
        model = real_model(of)
        family = known_family(of.base) or (None if model is None else model.family)
        for each in () if family is None else refused_settings(family, sampler):
            first = each.expected.partition(" or ")[0]
            yield Finding(
                f"{where}.{each.setting}",
                f"a model of the family {family} cannot be sampled with this: {each.why}",
                expected=each.expected,
                got=repr(each.got),
                next_step=f"--set {where}.{each.setting}={first}",
            )


def check_experts(recipe: Recipe) -> Iterator[Finding]:
    """One of two transformers is chosen only where there are two, and each that is tuned can learn the objective."""
    model, folder, has_two = real_model(recipe), local_folder(recipe.base), known_experts(recipe.base)
    has_two = model.size.num_experts > 1 if has_two is None and model is not None else has_two
    if has_two is None:
        return
    asked = recipe.train.experts
    if not has_two and asked != "both":
        yield Finding(
            "train.experts",
            "it chooses between two transformers by noise level, and the model has one",
            expected="both, which means all that there are",
            got=repr(asked),
            next_step="--set train.experts=both",
        )
    boundary = None if folder is None else read_boundary(folder)
    if not has_two or boundary is None or isinstance(recipe.train.objective, PluginSpec):
        return
    levels: dict[Expert, tuple[float, float]] = {"high": (boundary, 1.0), "low": (0.0, boundary)}
    problems = {name: expert_problem(recipe.train, objective_needs(recipe.train), at) for name, at in levels.items()}
    for name, problem in problems.items():
        if problem is not None and asked in ("both", name):
            other: Expert = "low" if name == "high" else "high"
            step = f"--set train.experts={other}" if problems[other] is None else "--set train.objective={kind: flow}"
            yield Finding("train.experts", problem, expected=f"{other} alone", got=repr(asked), next_step=step)


def check_adapter(recipe: Recipe) -> Iterator[Finding]:
    """The adapter of `base.lora` is there and fits the model; names and shapes are compared, no weights are loaded."""
    base, folder = recipe.base, local_folder(recipe.base)
    lora = recipe.train.lora
    if base.lora is None:
        if lora is not None and lora.continues:
            yield Finding(
                "train.lora.continues",
                "it goes on with the adapter of base.lora, and there is none",
                next_step="--set train.lora.continues=false",
            )
        return
    try:
        if folder is None:
            adapter_files(base.lora)
            return
        from rushes.families.load import check_adapters

        check_adapters(base, folder)
    except UserError as error:
        yield Finding.of("base.lora", error)


def check_text_length(recipe: Recipe) -> Iterator[Finding]:
    """A model with one text length is used with that."""
    for where, base in (("base", recipe.base), ("generate.model", recipe.generate.model)):
        folder = None if base is None else local_folder(base)
        length = None if folder is None else read_text_length(folder)
        if base is not None and length not in (None, base.max_tokens):
            yield Finding(
                f"{where}.max_tokens",
                "the model takes another text length",
                expected=f"{length}, as its transformer was trained",
                got=repr(base.max_tokens),
                next_step=f"--set base.max_tokens={length}"
                if where == "base"
                else f"--set generate.model.max_tokens={length}",
            )
