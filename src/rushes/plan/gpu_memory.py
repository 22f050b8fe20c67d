"""How much of a stage's memory is on a GPU, and which offloading and recomputation a recipe uses there. In bytes."""

from __future__ import annotations

from dataclasses import replace

from rushes.families.experts import PARTS
from rushes.families.model_size import ModelSize, sampling_bytes
from rushes.families.offload import Offload, choose_offload, needed_bytes
from rushes.families.recompute import GPU_POLICIES, RECOMPUTED, SAFETY, Recompute
from rushes.plan.chat_models import chat_parameters, judge_parameters
from rushes.plan.gpus import Gpu
from rushes.plan.memory import (
    FIRST_USE,
    autoencoder_bytes,
    counted_step,
    lasting_bytes,
    order_of,
    passing_bytes,
    text_bytes,
    transformer_bytes,
)
from rushes.recipe.recipe import Recipe, as_draft


def gpu_peak_bytes(size: ModelSize, recipe: Recipe, stage: str, gpu: Gpu) -> tuple[float | None, Offload]:
    """Peak GPU memory of a stage, with the recomputation that training chooses there, and what is offloaded for it.

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
        recompute, swaps = recompute_on(size, recipe, gpu)
        return gpu_train_bytes(size, recipe, recompute, offload, swaps=swaps), "group" if swaps else "none"
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


def gpu_train_bytes(
    size: ModelSize, recipe: Recipe, recompute: Recompute, offload: Offload = "none", *, swaps: bool = False
) -> float | None:
    """Training: weights and copies, gradients, optimiser, average, activations of one micro-batch.

    With several processes it is the first GPU's. The network is built in main memory, where the pipeline waits as
    well, unless a judge that is asked in training or previews need it. Latents and texts are on disk: see
    `plan.data_bytes`.

    Args:
        size: of the base.
        recipe: the planned run.
        recompute: which blocks are recomputed.
        offload: what is offloaded while the base generates.
        swaps: whether the frozen weights of the blocks wait in main memory.

    Returns:
        None if the base's passes cannot be counted.
    """
    counted = counted_step(size, recipe, recompute, on_gpu=True)
    if counted is None:
        return None
    working = lasting_bytes(counted, recipe) + passing_bytes(size, counted, recipe)
    if swaps:  # those of one block are there while it computes
        working -= counted.blocks - counted.block
    resident = _resident_bytes(size, recipe) if offload == "none" else 0.0
    is_used = recipe.train.objective.kind in ("online", "reward_gradient") or recipe.runtime.train.previews.every > 0
    beside = resident - transformer_bytes(size, recipe) if offload == "none" and is_used else 0.0
    return FIRST_USE + max(resident, beside + working)


def recompute_on(size: ModelSize, recipe: Recipe, gpu: Gpu) -> tuple[Recompute, bool]:
    """The recomputation that training uses on a GPU, and whether frozen weights of its blocks wait in main memory: what
    the recipe names, or what `auto` will choose there."""
    runtime, offload = recipe.runtime.train, offload_on(size, recipe, gpu)
    policies = GPU_POLICIES if runtime.recompute == "auto" else (runtime.recompute,)
    can_swap = recipe.train.lora is not None and runtime.num_processes == 1 and runtime.recompute in RECOMPUTED
    ways = [(policy, False) for policy in policies if runtime.offload != "group" or not can_swap]
    if can_swap and runtime.offload != "none":
        ways += [(policy, True) for policy in policies if policy in ("all", "offload")]
    for policy, swaps in ways[:-1]:
        needed = gpu_train_bytes(size, recipe, policy, offload, swaps=swaps)
        if needed is None:
            return "all", False
        if needed <= SAFETY * gpu.memory_bytes:
            return policy, swaps
    return ways[-1]


def offload_on(size: ModelSize, recipe: Recipe, gpu: Gpu) -> Offload:
    """The offloading that generation uses on a GPU: what the recipe names, or what `auto` will choose at load time."""
    if recipe.runtime.offload != "auto":
        return recipe.runtime.offload
    free, work = round(gpu.memory_bytes - FIRST_USE), round(_work_bytes(size, recipe))
    return choose_offload(_parts(size, recipe), free, work, frees_text=recipe.runtime.free_text_encoder)


def _work_bytes(size: ModelSize, recipe: Recipe) -> float:
    """Sampling or decoding, whichever takes more; a pass of sampling is counted where it can be."""
    num, size = recipe.runtime.generate_batch, replace(size, has_tiles=recipe.base.autoencoder_tiles)
    told = sampling_bytes(_without_scores(size), recipe.shape, num)
    if size.paper is None:
        return told
    from rushes.families.pass_bytes import CANNOT_RUN, sampling_pass_bytes

    decoding = sampling_bytes(replace(_without_scores(size), width=0, ffn=0), recipe.shape, num)
    halved = 2 if recipe.base.autoencoder_precision == "bfloat16" else 1
    joined = 2 if recipe.generate.sampler.guidance_scale > 1 and size.paper.family in ("cogvideox", "ltx") else 1
    order = replace(
        order_of(size, recipe, "none", on_gpu=True),
        num_clips=num * joined,
        lora=None,
        autocast=recipe.generate.sampler.precision != "float32",
    )
    try:
        return max(sampling_pass_bytes(size.paper, order).peak, decoding / halved)
    except CANNOT_RUN:  # with such settings, as other checks tell
        return told


def _without_scores(size: ModelSize) -> ModelSize:
    """Attention on a GPU keeps no table of scores."""
    return replace(size, num_heads=0)


def _parts(size: ModelSize, recipe: Recipe) -> dict[str, int]:
    """Bytes of the pipeline's networks, under their names in it."""
    numbers = {"text_encoder": text_bytes(size, recipe)}
    each = transformer_bytes(size, recipe) / size.num_experts
    numbers |= dict.fromkeys(list(PARTS.values())[: size.num_experts], each)
    return {name: round(value) for name, value in {**numbers, "vae": autoencoder_bytes(size, recipe)}.items()}


def _resident_bytes(size: ModelSize, recipe: Recipe) -> float:
    """GPU memory in use while the base is idle: the copy of its weights is in main memory."""
    loaded = transformer_bytes(size, recipe) + autoencoder_bytes(size, recipe)
    return loaded if recipe.runtime.free_text_encoder else loaded + text_bytes(size, recipe)
