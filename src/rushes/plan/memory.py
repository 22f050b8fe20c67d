"""A model of a stage's peak memory: weights, their copies, optimiser, average, activations. In bytes.

It is meant to be within a factor of two, to show before hours are spent whether a recipe fits at all. A test compares
it with the measured memory of small models on a CPU: full training, low-rank training and sampling were at 0.76 to 1.24
of the estimate. The GPU's part is in `gpu_memory`. With several training processes it is the memory of each.
"""

from __future__ import annotations

from typing import Final

from rushes.families.model_size import FLOAT, ModelSize, moment_bytes, sampling_bytes
from rushes.families.recompute import BlockBytes, Recompute, activation_bytes, choose_recompute
from rushes.plugins import objective_needs
from rushes.recipe.base import ShapeSpec
from rushes.recipe.recipe import Recipe, as_draft
from rushes.recipe.train import TrainSpec, micro_batch_size

LIBRARIES: Final = 700e6
"""Resident size of the process with torch, diffusers and transformers imported, before a model is loaded."""
FIRST_USE: Final = 60e6
"""What the libraries add when a model first runs: lazily loaded code and their workspace."""
AUTOCAST: Final = 0.75
"""Activations with bfloat16 autocast relative to float32: those of linear layers halve, norms and the residual stream
do not."""

# What one transformer block keeps for its backward pass, in bytes, fitted to the tensors that autograd saves for
# WanTransformer3DModel in float32, with attention as plain matrix products (widths 192 and 384, 20 to 320 tokens).
_PER_TOKEN_WIDTH: Final = 90.0
_PER_TOKEN_FFN: Final = 8.0
_PER_TEXT_WIDTH: Final = 22.0
_PER_SCORE: Final = 4.0


def adapter_parameters(model: ModelSize, rank: int) -> int:
    """Parameters of a low-rank adapter on both attentions and the feed-forward layers of every block."""
    return model.num_layers * rank * (8 * 2 * model.width + 2 * (model.width + model.ffn))


def saved_activations(model: ModelSize, shape: ShapeSpec, num_clips: int, num_text: int) -> float:
    """Bytes that the backward pass of a batch needs, in float32, without gradient checkpointing."""
    tokens = model.num_tokens(shape)
    per_clip = (
        tokens * (_PER_TOKEN_WIDTH * model.width + _PER_TOKEN_FFN * model.ffn)
        + num_text * _PER_TEXT_WIDTH * model.width
        + model.num_heads * tokens * (tokens + num_text) * _PER_SCORE
    )
    return num_clips * model.num_layers * per_clip


def loaded_bytes(model: ModelSize, recipe: Recipe) -> float:
    """The pipeline, and the copy of the base's transformers that is kept for changing weights."""
    return FLOAT * 2 * model.num_all + autoencoder_bytes(model, recipe) + text_bytes(model, recipe)


def text_bytes(model: ModelSize, recipe: Recipe) -> float:
    """The text encoders, in the precision that the recipe sets."""
    return (FLOAT / 2 if recipe.base.text_precision == "bfloat16" else FLOAT) * model.num_text


def autoencoder_bytes(model: ModelSize, recipe: Recipe) -> float:
    """The autoencoder, in the precision that the recipe sets."""
    return (FLOAT / 2 if recipe.base.autoencoder_precision == "bfloat16" else FLOAT) * model.num_autoencoder


def generate_bytes(model: ModelSize, recipe: Recipe) -> float:
    """Generating clips: the loaded pipeline, and the activations of a batch."""
    work = sampling_bytes(model, recipe.shape, recipe.runtime.generate_batch)
    return FIRST_USE + loaded_bytes(model, recipe) + work


# ---------------------------------------------------------------------------------------------- training


def num_tuned(model: ModelSize, spec: TrainSpec) -> int:
    """Trained parameters: all of the transformer's, or those of an adapter on it."""
    return model.num_transformer if spec.lora is None else adapter_parameters(model, spec.lora.rank)


def num_shards(recipe: Recipe) -> int:
    """Processes that weights, gradients, moments and average are sharded over: all with FSDP, one with DDP."""
    runtime = recipe.runtime.train
    return runtime.num_processes if runtime.parallel == "fsdp" else 1


def network_bytes(model: ModelSize, spec: TrainSpec, num_rounds: int = 1) -> float:
    """The transformer in training and its frozen start: a copy for full fine-tuning, the same weights for an adapter.

    Later rounds may hold the base as well, and some objectives the parameters of an old policy. Frozen weights are
    stored in bfloat16 if training computes in it (`network.round_frozen`). The number is for unsharded weights, since
    the network is built whole before it is sharded.
    """
    frozen = (FLOAT / 2 if spec.precision == "bfloat16" else FLOAT) * model.num_transformer
    num_frozen = 2 if num_rounds > 1 and spec.is_held_to_base else 1
    num_sets = 1 if objective_needs(spec).old is None else 2
    return num_frozen * frozen + num_sets * FLOAT * num_tuned(model, spec)


def lasting_bytes(model: ModelSize, spec: TrainSpec, shards: int = 1, num_rounds: int = 1) -> float:
    """Memory held from the first step to the last: the network, both moments, and the average.

    Args:
        model: the base.
        spec: how it is trained.
        shards: processes that all of it is sharded over.
        num_rounds: of the run.
    """
    return (network_bytes(model, spec, num_rounds) + (moment_bytes(spec) + FLOAT) * num_tuned(model, spec)) / shards


def block_bytes(model: ModelSize, recipe: Recipe) -> tuple[BlockBytes, ...]:
    """What each block of the transformer needs for its backward pass, for one micro-batch of one process."""
    spec, num_text = recipe.train, recipe.base.max_tokens
    num_clips = max(1, micro_batch_size(spec, recipe.runtime.train.num_processes))
    kept = saved_activations(model, recipe.shape, num_clips, num_text) / model.num_layers
    if spec.precision == "bfloat16":
        kept *= AUTOCAST
    inputs = FLOAT * num_clips * (model.num_tokens(recipe.shape) + num_text + 6) * model.width
    return (BlockBytes(round(kept), inputs),) * model.num_layers


def step_bytes(model: ModelSize, recipe: Recipe, policy: Recompute) -> float:
    """Temporary memory of a step: gradients, activations under a policy, the tuned weights in bfloat16.

    Sharded weights are gathered for the block that computes and for the one that is prefetched, and so are a block's
    gradients before they are sharded. The bfloat16 weights that autocast keeps for the backward pass are unsharded too.
    """
    blocks, tuned, shards = block_bytes(model, recipe), num_tuned(model, recipe.train), num_shards(recipe)
    # The backward pass holds the gradients of one block beside what was kept.
    activations = activation_bytes(blocks, policy) + blocks[0].kept
    half = FLOAT / 2 * tuned if recipe.train.precision == "bfloat16" else 0.0
    fetched = FLOAT * (2 * model.num_transformer + tuned) / model.num_layers if shards > 1 else 0.0
    return FLOAT * tuned / shards + fetched + half + activations


def policy_of(model: ModelSize, recipe: Recipe, free: float | None) -> Recompute:
    """The recomputation that a recipe uses: what it names, or what `auto` will choose.

    Args:
        model: the base.
        recipe: the planned run.
        free: bytes of the device that training's network, optimiser and steps may take; None if unknown, and then
            nothing is recomputed.
    """
    asked = recipe.runtime.train.recompute
    if asked != "auto":
        return asked
    reserved = (moment_bytes(recipe.train) + FLOAT) * num_tuned(model, recipe.train) / num_shards(recipe)
    left = None if free is None else max(0, round(free - network_bytes(model, recipe.train, recipe.num_rounds)))
    return choose_recompute(block_bytes(model, recipe), left, round(reserved))


def train_bytes(model: ModelSize, recipe: Recipe, free: float | None = None) -> float:
    """Training: the loaded pipeline, lasting memory, and the largest temporary memory; for the first process.

    A sharded network is built whole and then sharded, and its average is merged into a whole one at the end. Latents
    and texts are in memory-mapped files, whose pages the system can reclaim, so they are not counted.

    Args:
        model: the base.
        recipe: the planned run.
        free: free memory of the device before the base is loaded, bytes; None if unknown.
    """
    spec, loaded, shards = recipe.train, FIRST_USE + loaded_bytes(model, recipe), num_shards(recipe)
    policy = policy_of(model, recipe, None if free is None else free - loaded)
    saving = 3 * (2 * FLOAT + moment_bytes(spec)) * num_tuned(model, spec)  # copies, each as bytes, all of the file
    whole = network_bytes(model, spec, recipe.num_rounds) if shards > 1 else 0.0
    merging = whole + FLOAT * 2 * model.num_transformer
    working = lasting_bytes(model, spec, shards, recipe.num_rounds) + max(
        step_bytes(model, recipe, policy), saving, merging
    )
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
    own = {
        "diagnose": generate_bytes(model, recipe),
        "draft": generate_bytes(model, as_draft(recipe)),
        "generate": generate_bytes(model, recipe),
        "watch": generate_bytes(model, recipe),
        "measure": generate_bytes(model, recipe),
        "train": train_bytes(model, recipe, free),
    }
    if stage in own:
        return round(LIBRARIES + own[stage])
    if stage == "prompts" and recipe.prompts.writer.kind == "fixed":
        return round(LIBRARIES + loaded_bytes(model, recipe))  # the model stays loaded from the diagnosis
    return None
