"""Where the parts of a pipeline are stored while they are not in use, chosen by free memory when it is loaded.

`model` brings one part at a time to the device, `group` and `sequential` one layer at a time, through diffusers' own
hooks; the rest stays in main memory. The results are the same. Training uses the plain weights: see `families.swap`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from rushes.families.model_size import loaded_model_size, sampling_bytes
from rushes.families.recompute import SAFETY, free_bytes
from rushes.recipe.base import ShapeSpec
from rushes.recipe.runtime import RuntimeSpec

if TYPE_CHECKING:
    import torch

Offload = Literal["none", "model", "group", "sequential"]
"""From the fastest to the one that needs the least memory; `group` needs hardly more and is much faster."""


@dataclass(frozen=True)
class OffloadOrder:
    """What a pipeline will generate, and the recipe's setting for offloading."""

    shape: ShapeSpec
    """Shape of the largest clips."""
    num_clips: int
    """Clips generated at once."""
    frees_text: bool = False
    """Whether the text encoders are freed before the first clip."""
    asked: Literal["auto", "none", "model", "group", "sequential"] = "auto"
    """`runtime.offload`."""


def offload_order(runtime: RuntimeSpec, shapes: Sequence[ShapeSpec]) -> OffloadOrder:
    """The order of a recipe: `shapes` are those of the clips that will be generated, at least one."""
    return OffloadOrder(
        shape=max(shapes, key=lambda shape: shape.num_pixels),
        num_clips=runtime.generate_batch,
        frees_text=runtime.free_text_encoder,
        asked=runtime.offload,
    )


@dataclass(frozen=True)
class Placement:
    """What was chosen, and why."""

    offload: Offload = "none"
    """How parts are moved to main memory while they are not in use."""
    free_bytes: int | None = None
    """Free memory of the device before the pipeline was loaded, bytes; None if not measured or unknown."""
    work_bytes: int | None = None
    """Estimated memory of generating besides the weights, bytes; None if not estimated or the sizes are unknown."""
    part_bytes: dict[str, int] = field(default_factory=dict[str, int])
    """Bytes of weights and buffers of each part; empty if not measured."""


UNMOVED = Placement()
"""Everything is on the device; no choice was needed."""
AWAY = Placement("model")
"""Everything stays in main memory: for a process that only trains a network made from the pipeline's."""


def needed_bytes(parts: Mapping[str, int], work: int, *, frees_text: bool = False) -> dict[Offload, int]:
    """Device memory at the peak without offloading, part by part, and layer by layer except in the autoencoder.

    The autoencoder, used last for every clip, is still on the device while the next text is encoded.

    Args:
        parts: bytes of each part, by its name in the pipeline.
        work: memory of generating besides the weights, bytes.
        frees_text: whether the text encoders are freed before the first clip.
    """
    text = [size for name, size in parts.items() if name.startswith("text_encoder")]
    autoencoder = parts.get("vae", 0)
    # Of two transformers by noise level only one computes at a time.
    networks = [size for name, size in parts.items() if not name.startswith("text_encoder") and name != "vae"]
    at_once = max(sum(text), work) if frees_text else sum(text) + work
    return {
        "none": sum(networks) + autoencoder + at_once,
        "model": autoencoder + max(max(networks, default=0) + work, max(text, default=0)),
        "group": autoencoder + work,
    }


def choose_offload(parts: Mapping[str, int], free: int | None, work: int, *, frees_text: bool = False) -> Offload:
    """The fastest mode that fits; `group` if none does, `none` if free memory is unknown.

    Args:
        parts: bytes of each part, by its name in the pipeline.
        free: free memory of the device before any part is on it, bytes; None if unknown.
        work: memory of generating besides the weights, bytes.
        frees_text: whether the text encoders are freed before the first clip.
    """
    if free is None:
        return "none"
    needed = needed_bytes(parts, work, frees_text=frees_text)
    return next((way for way, size in needed.items() if size <= SAFETY * free), "group")


def choose_placement(pipeline: Any, device: torch.device, order: OffloadOrder | Placement | None) -> Placement:
    """How to offload a pipeline that is still in main memory; on a CPU there is nowhere to offload to.

    Args:
        pipeline: the loaded pipeline.
        device: where it computes.
        order: what it will generate; or a placement chosen before; None keeps all of it on the device.
    """
    if device.type == "cpu" or order is None:
        return UNMOVED
    if isinstance(order, Placement):
        return order
    free, parts = free_bytes(device), part_bytes(pipeline)
    size = loaded_model_size(pipeline)
    # Attention on a GPU does not store the matrix of scores.
    work = None if size is None else round(sampling_bytes(replace(size, num_heads=0), order.shape, order.num_clips))
    chosen = choose_offload(parts, free, work or 0, frees_text=order.frees_text)
    return Placement(chosen if order.asked == "auto" else order.asked, free, work, parts)


def part_bytes(pipeline: Any) -> dict[str, int]:
    """Bytes of the weights and buffers of every network in a pipeline, by its name there."""
    return {
        name: sum(value.nbytes for value in (*part.parameters(), *part.buffers()))
        for name, part in pipeline.components.items()
        if hasattr(part, "parameters")
    }


def place(pipeline: Any, offload: Offload, device: torch.device) -> None:
    """Move a pipeline from main memory to its device: all of it, or part by part on use by diffusers' hooks."""
    if offload == "group":
        on_gpu = device.type == "cuda"
        pipeline.enable_group_offload(
            onload_device=device,
            offload_type="leaf_level",
            use_stream=on_gpu,
            record_stream=on_gpu,
            exclude_modules=["vae"],  # it computes on slices of a clip in an order of its own
        )
    elif offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)


def bring_back(pipeline: Any, offload: Offload) -> None:
    """Undo `place`: all parts are in main memory again, without the hooks of an offload."""
    if offload == "group":
        from diffusers.hooks import HookRegistry
        from diffusers.hooks.group_offloading import (
            _GROUP_OFFLOADING,
            _LAYER_EXECUTION_TRACKER,
            _LAZY_PREFETCH_GROUP_OFFLOADING,
        )

        for part in pipeline.components.values():
            if hasattr(part, "parameters"):
                registry = HookRegistry.check_if_exists_or_initialize(part)
                for name in (_GROUP_OFFLOADING, _LAYER_EXECUTION_TRACKER, _LAZY_PREFETCH_GROUP_OFFLOADING):
                    registry.remove_hook(name, recurse=True)
    pipeline.remove_all_hooks()
    pipeline.to("cpu")
