"""How much main memory a run on one GPU takes, by arithmetic over numbers of parameters; never measured on a GPU."""

from __future__ import annotations

from rushes.families.model_size import FLOAT, ModelSize
from rushes.plan.gpu_memory import recompute_on
from rushes.plan.gpus import Gpu
from rushes.plan.memory import LIBRARIES, counted_step, loaded_bytes, network_bytes, transformer_bytes
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import micro_batch_size


def main_memory_bytes(size: ModelSize, recipe: Recipe, gpu: Gpu) -> float:
    """Most main memory that is in use at once.

    The pipeline is loaded there before it is placed, and waits there while the network trains. Weights that are put
    into it are read there in float32. The network is built there, where the frozen weights of its blocks may stay; at
    the end the start and the merged weights are there in float32, and once more as the bytes of a file. What a block's
    recomputation sends there comes on top.

    Args:
        size: of the base.
        recipe: the planned run.
        gpu: where it computes.
    """
    recompute, swaps = recompute_on(size, recipe, gpu)
    counted = counted_step(size, recipe, recompute, on_gpu=True)
    # A float32 base is also the start of training; any other is read from its files once more.
    start = 0.0 if recipe.base.transformer_precision is None else FLOAT * size.num_transformer
    merging = start + 2 * FLOAT * size.num_transformer
    training = merging
    if counted is not None:
        waiting = counted.blocks if swaps else 0.0
        inputs = _block_inputs(size, recipe) if recompute == "offload" else 0.0
        building = transformer_bytes(size, recipe) if recipe.train.lora is not None else network_bytes(counted, recipe)
        training = max(building, waiting + max(inputs, merging))
    return LIBRARIES + loaded_bytes(size, recipe) + max(FLOAT * size.num_all, training)


def _block_inputs(size: ModelSize, recipe: Recipe) -> float:
    """What every block gets from the one before it, for one micro-batch; in float32, which is the most that it is."""
    num_clips = max(1, micro_batch_size(recipe.train, recipe.runtime.train.num_processes))
    return FLOAT * num_clips * size.num_tokens(recipe.shape) * size.width * size.num_layers
