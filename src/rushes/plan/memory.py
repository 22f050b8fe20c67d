"""How much memory a stage takes at its peak: weights, their copies, optimiser, average, activations. A model, in bytes.

It is meant to be within a factor of two, to tell before hours are spent whether a recipe fits at all. A test holds it
to what small models are measured to take on a CPU: full and low-rank training, and sampling came out at 0.76 to 1.24.
What of it lies on a GPU is in `gpu_memory`. Where several processes train, it is what each takes.
"""

from __future__ import annotations

from typing import Final

from rushes.families.model_size import FLOAT, ModelSize, moment_bytes, sampling_bytes
from rushes.families.recompute import BlockBytes, Recompute, activation_bytes, choose_recompute
from rushes.recipe.base import ShapeSpec
from rushes.recipe.recipe import Recipe, as_draft
from rushes.recipe.train import TrainSpec

LIBRARIES: Final = 700e6
"""Resident size of the process with torch, diffusers and transformers imported, before a model is loaded."""
FIRST_USE: Final = 60e6
"""What the libraries add when a model first runs: code that is loaded then, and their own work space."""
AUTOCAST: Final = 0.75
"""Activations in bfloat16 beside float32: what linear layers keep halves, norms and the residual stream stay."""

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
    """The pipeline, and the copy of the base's transformer that is kept for changing weights."""
    text = FLOAT / 2 if recipe.base.text_precision == "bfloat16" else FLOAT
    return FLOAT * (2 * model.num_transformer + model.num_autoencoder) + text * model.num_text


def generate_bytes(model: ModelSize, recipe: Recipe) -> float:
    """Generating clips: what is loaded, and a batch at work."""
    work = sampling_bytes(model, recipe.shape, recipe.runtime.generate_batch)
    return FIRST_USE + loaded_bytes(model, recipe) + work


# ---------------------------------------------------------------------------------------------- training


def num_tuned(model: ModelSize, spec: TrainSpec) -> int:
    """Parameters that training moves: all of the transformer's, or those of an adapter on it."""
    return model.num_transformer if spec.lora is None else adapter_parameters(model, spec.lora.rank)


def num_shards(recipe: Recipe) -> int:
    """Processes that weights, gradients, moments and average are divided between: all with FSDP, none with DDP."""
    runtime = recipe.runtime.train
    return runtime.num_processes if runtime.parallel == "fsdp" else 1


def network_bytes(model: ModelSize, spec: TrainSpec) -> float:
    """The transformer in training and its frozen base: a copy for full fine-tuning, the same weights for an adapter.

    What is frozen lies in bfloat16 where training computes in it (`network.round_frozen`). Undivided, as it is made
    also where it is divided then.
    """
    frozen = (FLOAT / 2 if spec.precision == "bfloat16" else FLOAT) * model.num_transformer
    return frozen + FLOAT * num_tuned(model, spec)


def lasting_bytes(model: ModelSize, spec: TrainSpec, shards: int = 1) -> float:
    """What lies there from the first step to the last: the network, both moments, and the average.

    Args:
        model: the base.
        spec: how it is trained.
        shards: processes that all of it is divided between.
    """
    return (network_bytes(model, spec) + (moment_bytes(spec) + FLOAT) * num_tuned(model, spec)) / shards


def block_bytes(model: ModelSize, recipe: Recipe) -> tuple[BlockBytes, ...]:
    """What each block of the transformer needs for its backward pass, for one micro-batch of one process."""
    spec, num_text = recipe.train, recipe.base.max_tokens
    num_clips = max(1, spec.batch_size // (spec.num_accumulation * recipe.runtime.train.num_processes))
    kept = saved_activations(model, recipe.shape, num_clips, num_text) / model.num_layers
    if spec.precision == "bfloat16":
        kept *= AUTOCAST
    inputs = FLOAT * num_clips * (model.num_tokens(recipe.shape) + num_text + 6) * model.width
    return (BlockBytes(round(kept), inputs),) * model.num_layers


def step_bytes(model: ModelSize, recipe: Recipe, policy: Recompute) -> float:
    """What a step adds and gives back: gradients, activations under a policy, the tuned weights in bfloat16.

    Divided weights are whole for the block that computes and the one that is fetched meanwhile, and so are a block's
    gradients before they are divided. The bfloat16 weights that autocast keeps for the backward pass are whole too.
    """
    blocks, tuned, shards = block_bytes(model, recipe), num_tuned(model, recipe.train), num_shards(recipe)
    # The backward pass holds the gradients of one block beside what was kept.
    activations = activation_bytes(blocks, policy) + blocks[0].kept
    half = FLOAT / 2 * tuned if recipe.train.precision == "bfloat16" else 0.0
    fetched = FLOAT * (2 * model.num_transformer + tuned) / model.num_layers if shards > 1 else 0.0
    return FLOAT * tuned / shards + fetched + half + activations


def policy_of(model: ModelSize, recipe: Recipe, free: float | None) -> Recompute:
    """The recomputation that a recipe comes to: what it names, or what `auto` will choose.

    Args:
        model: the base.
        recipe: what is to be done.
        free: bytes of the device that training's network, optimiser and steps may take; None where nobody knows, and
            then nothing is computed again.
    """
    asked = recipe.runtime.train.recompute
    if asked != "auto":
        return asked
    reserved = (moment_bytes(recipe.train) + FLOAT) * num_tuned(model, recipe.train) / num_shards(recipe)
    left = None if free is None else max(0, round(free - network_bytes(model, recipe.train)))
    return choose_recompute(block_bytes(model, recipe), left, round(reserved))


def train_bytes(model: ModelSize, recipe: Recipe, free: float | None = None) -> float:
    """Training: the loaded pipeline, what lasts, and the largest of what comes and goes; of the first process.

    A divided network is made whole and divided then, and its average is merged into a whole one at the end. Latents
    and texts lie in mapped files, whose pages the system takes back when it needs them: they count nothing.

    Args:
        model: the base.
        recipe: what is to be done.
        free: memory of the device before the base is loaded, bytes; None where nobody knows.
    """
    spec, loaded, shards = recipe.train, FIRST_USE + loaded_bytes(model, recipe), num_shards(recipe)
    policy = policy_of(model, recipe, None if free is None else free - loaded)
    saving = 3 * (2 * FLOAT + moment_bytes(spec)) * num_tuned(model, spec)  # copies, each as bytes, all of the file
    whole = network_bytes(model, spec) if shards > 1 else 0.0
    merging = whole + FLOAT * 2 * model.num_transformer
    working = lasting_bytes(model, spec, shards) + max(step_bytes(model, recipe, policy), saving, merging)
    return loaded + max(whole, working)


def peak_bytes(model: ModelSize, recipe: Recipe, stage: str, free: float | None = None) -> int | None:
    """Memory of a stage at its peak, libraries included; None where nothing tells, as of a judge.

    Args:
        model: the base.
        recipe: what is to be done.
        stage: a stage of the plan: "diagnose", "prompts", "draft", "generate", "judge", "train", "measure".
        free: memory of the device that is free now, bytes, which decides what training computes again; None where
            nobody knows.
    """
    own = {
        "diagnose": generate_bytes(model, recipe),
        "draft": generate_bytes(model, as_draft(recipe)),
        "generate": generate_bytes(model, recipe),
        "measure": generate_bytes(model, recipe),
        "train": train_bytes(model, recipe, free),
    }
    if stage in own:
        return round(LIBRARIES + own[stage])
    if stage == "prompts" and recipe.prompts.writer.kind == "fixed":
        return round(LIBRARIES + loaded_bytes(model, recipe))  # the model stays loaded from the diagnosis
    return None
