"""How much of a stage's memory is on a GPU, and which offloading and recomputation a recipe uses there. In bytes."""

from __future__ import annotations

from dataclasses import replace

from rushes.families.experts import PARTS
from rushes.families.model_size import FLOAT, ModelSize, sampling_bytes
from rushes.families.offload import Offload, choose_offload, needed_bytes
from rushes.families.recompute import POLICIES, SAFETY, Recompute
from rushes.plan.chat_models import chat_parameters, judge_parameters
from rushes.plan.gpus import Gpu
from rushes.plan.memory import (
    FIRST_USE,
    autoencoder_bytes,
    lasting_bytes,
    loaded_bytes,
    num_shards,
    step_bytes,
    text_bytes,
)
from rushes.recipe.recipe import Recipe, as_draft


def gpu_peak_bytes(size: ModelSize, recipe: Recipe, stage: str, gpu: Gpu) -> tuple[float | None, Offload]:
    """Peak GPU memory of a stage, with every block recomputed in training, and what is offloaded for it.

    Args:
        size: of the base.
        recipe: the planned run.
        stage: a stage of the plan.
        gpu: the device.

    Returns:
        None for the memory if it is unknown.

    Raises:
        RecipeError: the writer, the judge or the measurer is a plug-in that cannot be used.
    """
    # The pipeline is loaded once, for the largest clips: drafts use the placement chosen for the full-length ones.
    offload = offload_on(size, recipe, gpu)
    if stage == "train":
        asked = recipe.runtime.train.recompute
        return gpu_train_bytes(size, recipe, "all" if asked == "auto" else asked, offload), "none"
    # The base stays loaded beside a model that writes, judges or measures here; offloaded, it is moved in only for use.
    base = FIRST_USE if offload != "none" else _resident_bytes(size, recipe)
    if stage in ("prompts", "judge"):  # their work is done by other models than the base
        beside = judge_parameters(recipe) if stage == "judge" else chat_parameters(recipe, "drafts")
        return (base + 2 * beside, offload) if beside else (None, "none")
    generating = gpu_generate_bytes(size, as_draft(recipe) if stage == "draft" else recipe, offload)
    measuring = base + 2 * chat_parameters(recipe, "measurements") if stage in ("diagnose", "measure") else 0.0
    return max(generating, measuring), offload


def gpu_generate_bytes(size: ModelSize, recipe: Recipe, offload: Offload) -> float:
    """Generating clips: encoding the texts, or sampling and decoding; with sequential offloading, activations only."""
    work = round(_work_bytes(size, recipe))
    needed = needed_bytes(_parts(size, recipe), work, frees_text=recipe.runtime.free_text_encoder)
    return FIRST_USE + needed.get(offload, work)


def gpu_train_bytes(size: ModelSize, recipe: Recipe, recompute: Recompute, offload: Offload = "none") -> float:
    """Training: weights and copies, gradients, optimiser, average, activations of one micro-batch.

    With several processes it is the first GPU's. The network is built in main memory, which also holds the pipeline's
    own transformers and the rest of an offloaded pipeline. Latents and texts are on disk: see `plan.data_bytes`.
    """
    on_gpu, spec = _without_scores(size), recipe.train
    working = lasting_bytes(on_gpu, spec, num_shards(recipe), recipe.num_rounds) + step_bytes(on_gpu, recipe, recompute)
    resident = _resident_bytes(size, recipe) if offload == "none" else 0.0
    beside = resident - FLOAT * size.num_all if offload == "none" else 0.0
    return FIRST_USE + max(resident, beside + working)


def recompute_on(size: ModelSize, recipe: Recipe, gpu: Gpu) -> Recompute:
    """The recomputation that training uses on a GPU: what the recipe names, or what `auto` will choose there."""
    asked = recipe.runtime.train.recompute
    if asked != "auto":
        return asked
    room, offload = SAFETY * gpu.memory_bytes, offload_on(size, recipe, gpu)
    return next((policy for policy in POLICIES if gpu_train_bytes(size, recipe, policy, offload) <= room), "all")


def offload_on(size: ModelSize, recipe: Recipe, gpu: Gpu) -> Offload:
    """The offloading that generation uses on a GPU: what the recipe names, or what `auto` will choose at load time."""
    if recipe.runtime.offload != "auto":
        return recipe.runtime.offload
    free, work = round(gpu.memory_bytes - FIRST_USE), round(_work_bytes(size, recipe))
    return choose_offload(_parts(size, recipe), free, work, frees_text=recipe.runtime.free_text_encoder)


def _work_bytes(size: ModelSize, recipe: Recipe) -> float:
    return sampling_bytes(_without_scores(size), recipe.shape, recipe.runtime.generate_batch)


def _without_scores(size: ModelSize) -> ModelSize:
    """Attention on a GPU keeps no table of scores."""
    return replace(size, num_heads=0)


def _parts(size: ModelSize, recipe: Recipe) -> dict[str, int]:
    """Bytes of the pipeline's networks, under their names in it."""
    numbers = {"text_encoder": text_bytes(size, recipe)}
    numbers |= {name: FLOAT * size.num_transformer for name in list(PARTS.values())[: size.num_experts]}
    return {name: round(value) for name, value in {**numbers, "vae": autoencoder_bytes(size, recipe)}.items()}


def _resident_bytes(size: ModelSize, recipe: Recipe) -> float:
    """GPU memory in use while the base is idle: the copy of its weights is in main memory."""
    loaded = loaded_bytes(size, recipe) - FLOAT * size.num_all
    if recipe.runtime.free_text_encoder:
        loaded -= text_bytes(size, recipe)
    return loaded
