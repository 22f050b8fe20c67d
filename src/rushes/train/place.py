"""Where the network is while it trains: on its device, or the frozen weights of its blocks in main memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from rushes.errors import RecipeError
from rushes.families.mixed_precision import computes_in_half, is_in_float8
from rushes.families.model_size import FLOAT, moment_bytes
from rushes.families.paper import paper_of
from rushes.families.recompute import RECOMPUTED, SAFETY, free_bytes
from rushes.families.swap import swap_blocks
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import TrainSpec, micro_batch_size
from rushes.train.data import TrainingSet
from rushes.train.network import Network
from rushes.train.parallel import Parallel


def placed(network: Network, data: TrainingSet, spec: TrainSpec, runtime: TrainRuntime, parallel: Parallel) -> Network:
    """The network on its device; where its frozen weights do not fit there, those of the blocks stay in main memory.

    Raises:
        RecipeError: the recipe requests that for a network that is trained in full, by several processes, or without
            recomputing every block.
    """
    asked = runtime.offload
    can = network.is_adapter and parallel.num_processes == 1 and runtime.recompute in RECOMPUTED
    if asked == "group" and not can:
        raise RecipeError(
            "runtime.train.offload: group keeps frozen weights below an adapter in main memory, of one process, and "
            "recomputes every block",
            expected="train.lora, runtime.train.num_processes: 1 and runtime.train.recompute: auto, all or offload",
            got=f"{'an adapter' if network.is_adapter else 'all weights'}, {parallel.num_processes} processes, "
            f"recompute: {runtime.recompute}",
            next_step="--set runtime.train.offload=auto",
        )
    on_gpu = network.device.type == "cuda"
    if can and on_gpu and (asked == "group" or (asked == "auto" and not _fits(network, data, spec))):
        for model in network.models:
            swap_blocks(model, network.device)
        return replace(network, is_swapped=True)
    for model in network.models:
        model.to(network.device)
    return network


def _fits(network: Network, data: TrainingSet, spec: TrainSpec) -> bool:
    """Whether training fits the free memory with all weights on the device, by counting one step; True if unknown."""
    from rushes.families.pass_bytes import PassOrder, step_bytes

    free, model = free_bytes(network.device), network.tuned
    pipeline = network.family.pipeline
    paper = paper_of(
        type(model).__name__, dict(model.config), expand_timesteps=bool(pipeline.config.get("expand_timesteps"))
    )
    if free is None or paper is None:
        return True
    weights: Literal["float32", "bfloat16", "float8"] = "float32"
    if computes_in_half(network.family.transformer):
        weights = "float8" if is_in_float8(model) else "bfloat16"
    _, channels, frames, rows, columns = data.z_0_NCThw.shape
    order = PassOrder(
        latents=(channels, frames, rows, columns),
        num_text=network.family.max_tokens,
        num_clips=micro_batch_size(spec, 1),
        weights=weights,
        lora=spec.lora,
        autocast=network.autocast,
        recompute="offload",
    )
    counted = step_bytes(paper, order)
    lasting = (moment_bytes(spec) + (FLOAT if spec.ema_decay else 0)) * counted.num_trained
    return counted.weights + counted.peak + lasting <= SAFETY * free
