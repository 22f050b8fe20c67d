"""A stage's peak memory in bytes: weights, their copies, optimiser and average, and what its passes keep.

What passes keep is counted, not estimated: the real class runs the step on tensors without memory
(`families.pass_bytes`). The rest is arithmetic over numbers of parameters. Tests hold both to measured peaks of small
models of the real classes. The GPU's part is in `gpu_memory`. With several training processes it is the memory of each.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from rushes.families.model_size import FLOAT, ModelSize, moment_bytes, sampling_bytes
from rushes.families.recompute import POLICIES, SAFETY, Recompute
from rushes.plugins import compares_with_start, objective_needs
from rushes.recipe.recipe import Recipe, as_draft
from rushes.recipe.train import micro_batch_size

if TYPE_CHECKING:
    from rushes.families.pass_bytes import PassBytes, PassOrder

LIBRARIES: Final = 700e6
"""Resident size of the process with torch, diffusers and transformers imported, before a model is loaded."""
FIRST_USE: Final = 60e6
"""What the libraries add when a model first runs: lazily loaded code and their workspace."""
SHORT_TOKENS: Final = 1024
"""Up to this number of keys training on a CPU uses the plain attention kernel, which keeps the scores."""
_STORED: Final = {None: 4.0, "bfloat16": 2.0, "float8": 1.1}
"""Bytes of a weight by `base.transformer_precision`; in 8 bits some layers keep 16."""


def transformer_bytes(model: ModelSize, recipe: Recipe) -> float:
    """The transformers of the pipeline, in the format that the recipe sets."""
    return _STORED[recipe.base.transformer_precision] * model.num_all


def loaded_bytes(model: ModelSize, recipe: Recipe) -> float:
    """The pipeline, and the copy of a float32 base's transformers that is kept for changing weights.

    The weights of a base that is stored in fewer bits are read from its files again.
    """
    kept = FLOAT * model.num_all if recipe.base.transformer_precision is None else 0.0
    return transformer_bytes(model, recipe) + kept + autoencoder_bytes(model, recipe) + text_bytes(model, recipe)


def text_bytes(model: ModelSize, recipe: Recipe) -> float:
    """The text encoders, in the precision that the recipe sets."""
    return (FLOAT / 2 if recipe.base.text_precision == "bfloat16" else FLOAT) * model.num_text


def autoencoder_bytes(model: ModelSize, recipe: Recipe) -> float:
    """The autoencoder, in the precision that the recipe sets."""
    return (FLOAT / 2 if recipe.base.autoencoder_precision == "bfloat16" else FLOAT) * model.num_autoencoder


def generate_bytes(model: ModelSize, recipe: Recipe) -> float:
    """Generating clips: the loaded pipeline, and the activations of a batch."""
    model = replace(model, has_tiles=recipe.base.autoencoder_tiles)
    work = sampling_bytes(model, recipe.shape, recipe.runtime.generate_batch)
    return FIRST_USE + loaded_bytes(model, recipe) + work


# ---------------------------------------------------------------------------------------------- training


def order_of(model: ModelSize, recipe: Recipe, policy: Recompute, *, on_gpu: bool = False) -> PassOrder:
    """The passes of one micro-batch of one process, as training runs them.

    Args:
        model: the base.
        recipe: the planned run.
        policy: which blocks are recomputed.
        on_gpu: whether it computes on a GPU.
    """
    from rushes.families.pass_bytes import PassOrder

    spec = recipe.train
    asked: Literal["flash", "math"] = "flash"
    if not on_gpu and model.num_tokens(recipe.shape) <= SHORT_TOKENS:
        asked = "math"
    if recipe.runtime.train.attention != "auto":
        asked = "math" if recipe.runtime.train.attention == "math" else "flash"
    in_half = on_gpu or _computes_bfloat16()
    frames, rows, columns = model.grid(recipe.shape)
    frames = math.ceil(frames / model.patch[0]) * model.patch[0]  # the first patch is filled up
    return PassOrder(
        latents=(model.channels, frames, rows, columns),
        num_text=recipe.base.max_tokens,
        num_clips=max(1, micro_batch_size(spec, recipe.runtime.train.num_processes)),
        weights=(recipe.base.transformer_precision if in_half else None) or "float32",
        lora=spec.lora,
        autocast=spec.precision == "bfloat16" and in_half,
        recompute=policy,
        kernel=asked,
        on_gpu=on_gpu,
    )


def _computes_bfloat16() -> bool:
    """Whether this machine's processor does; without, float32 takes its place."""
    import torch

    from rushes.families.mixed_precision import computes_bfloat16

    return computes_bfloat16(torch.device("cpu"))


def counted_step(model: ModelSize, recipe: Recipe, policy: Recompute, *, on_gpu: bool = False) -> PassBytes | None:
    """A training step's forward and backward pass, counted; None if the transformer cannot be built from a config, or
    cannot run with these settings, which other checks tell.

    Args: as of `order_of`.
    """
    if model.paper is None:
        return None
    from rushes.families.pass_bytes import CANNOT_RUN, step_bytes

    try:
        return step_bytes(model.paper, order_of(model, recipe, policy, on_gpu=on_gpu))
    except CANNOT_RUN:
        return None


def num_shards(recipe: Recipe) -> int:
    """Processes that weights, gradients, moments and average are sharded over: all with FSDP, one with DDP."""
    runtime = recipe.runtime.train
    return runtime.num_processes if runtime.parallel == "fsdp" else 1


def network_bytes(counted: PassBytes, recipe: Recipe) -> float:
    """The transformer in training, and what it is compared with: unsharded, since it is built whole.

    Full tuning holds a frozen copy only where a term of the loss reads it, an adapter never. Later rounds may hold the
    base as well, and some objectives the trained parameters of an old policy.
    """
    spec, total = recipe.train, float(counted.weights)
    is_later = recipe.num_rounds > 1
    if spec.lora is None and compares_with_start(spec, is_later=is_later):
        total += counted.frozen
    if is_later and spec.is_held_to_base:
        total += counted.frozen or counted.weights - FLOAT * counted.num_trained
    if objective_needs(spec).old is not None:
        total += FLOAT * counted.num_trained
    return total


def lasting_bytes(counted: PassBytes, recipe: Recipe) -> float:
    """Memory held from the first step to the last: the network, both moments, and the average if there is one."""
    spec = recipe.train
    each = moment_bytes(spec) + (FLOAT if spec.ema_decay else 0)
    return (network_bytes(counted, recipe) + each * counted.num_trained) / num_shards(recipe)


def passing_bytes(model: ModelSize, counted: PassBytes, recipe: Recipe) -> float:
    """Temporary memory of a step, its gradients included.

    Sharded weights are gathered for the block that computes and for the one that is prefetched, and so are a block's
    gradients before they are sharded. The bfloat16 weights that autocast keeps for the backward pass are unsharded too.
    """
    shards, gradients = num_shards(recipe), FLOAT * counted.num_trained
    if shards == 1:
        return counted.peak
    fetched = (2 * counted.weights + gradients) / model.num_layers
    return max(counted.peak - gradients, 0) + gradients / shards + fetched


def policy_of(model: ModelSize, recipe: Recipe, free: float | None) -> Recompute:
    """The recomputation that a recipe uses on a CPU: what it names, or what `auto` will choose.

    Args:
        model: the base.
        recipe: the planned run.
        free: bytes that training's network, optimiser and steps may take; None if unknown, and then nothing is
            recomputed.
    """
    asked = recipe.runtime.train.recompute
    if asked != "auto":
        return asked
    if free is None:
        return "none"
    for policy in POLICIES:
        counted = counted_step(model, recipe, policy)
        if counted is None or lasting_bytes(counted, recipe) + passing_bytes(model, counted, recipe) <= SAFETY * free:
            return policy
    return "all"


def train_bytes(model: ModelSize, recipe: Recipe, free: float | None = None) -> float | None:
    """Training on a CPU: the loaded pipeline, lasting memory, and the largest temporary memory; for the first process.

    A sharded network is built whole and then sharded, and its average is merged into a whole one at the end. Latents
    and texts are in memory-mapped files, whose pages the system can reclaim, so they are not counted.

    Args:
        model: the base.
        recipe: the planned run.
        free: free memory before the base is loaded, bytes; None if unknown.

    Returns:
        None if the base's passes cannot be counted.
    """
    loaded, shards = FIRST_USE + loaded_bytes(model, recipe), num_shards(recipe)
    policy = policy_of(model, recipe, None if free is None else free - loaded)
    counted = counted_step(model, recipe, policy)
    if counted is None:
        return None
    if recipe.train.lora is not None and recipe.base.transformer_precision != "float8":
        loaded -= (
            transformer_bytes(model, recipe) / model.num_experts
        )  # below an adapter the pipeline's own weights are shared
    num = counted.num_trained
    # The state as tensors, as bytes, and all of the file; the merged weights as tensors and as bytes.
    saving = 3 * ((FLOAT if recipe.train.ema_decay else 0) + FLOAT + moment_bytes(recipe.train)) * num
    whole = network_bytes(counted, recipe) if shards > 1 else 0.0
    merging = whole + FLOAT * 2 * model.num_transformer
    working = lasting_bytes(counted, recipe) + max(passing_bytes(model, counted, recipe), saving, merging)
    return loaded + max(whole, working)


def peak_bytes(model: ModelSize, recipe: Recipe, stage: str, free: float | None = None) -> int | None:
    """Peak memory of a stage, libraries included; None if unknown, as for a judge.

    Args:
        model: the base.
        recipe: the planned run.
        stage: a stage of the plan: "diagnose", "prompts", "draft", "generate", "judge", "train", "watch",
            "measure".
        free: free memory of the device now, bytes, which decides what training recomputes; None if unknown.
    """
    if recipe.base.transformer_precision is not None and not _computes_bfloat16():
        base = recipe.base.model_copy(update={"transformer_precision": None})
        recipe = recipe.model_copy(update={"base": base})
    if stage == "train":
        training = train_bytes(model, recipe, free)
        return None if training is None else round(LIBRARIES + training)
    own = {
        "diagnose": generate_bytes(model, recipe),
        "draft": generate_bytes(model, as_draft(recipe)),
        "generate": generate_bytes(model, recipe),
        "watch": generate_bytes(model, recipe),
        "measure": generate_bytes(model, recipe),
    }
    if stage in own:
        return round(LIBRARIES + own[stage])
    if stage == "prompts" and recipe.prompts.writer.kind == "fixed":
        return round(LIBRARIES + loaded_bytes(model, recipe))  # the model stays loaded from the diagnosis
    return None
