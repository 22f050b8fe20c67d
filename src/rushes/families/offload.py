"""Where the parts of a pipeline wait between their turns while it generates: chosen from free memory when it is loaded.

`model` brings one part at a time to the device, `sequential` one layer at a time, through diffusers' own hooks; the
rest waits in main memory. The numbers are the same. Training takes the plain weights and is not offloaded.
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

Offload = Literal["none", "model", "sequential"]
"""From the fastest to the smallest."""


@dataclass(frozen=True)
class OffloadOrder:
    """What a pipeline will generate, and what the recipe says about offloading it."""

    shape: ShapeSpec
    """Of the largest clips."""
    num_clips: int
    """Clips generated at once."""
    frees_text: bool = False
    """Whether the text encoders are freed before the first clip."""
    asked: Literal["auto", "none", "model", "sequential"] = "auto"
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
    """What is moved away between its turns."""
    free_bytes: int | None = None
    """Memory of the device that was free before the pipeline came; None where nobody asked or can tell."""
    work_bytes: int | None = None
    """What generating takes besides the weights, estimated; None where nobody asked or the sizes are not known."""
    part_bytes: dict[str, int] = field(default_factory=dict[str, int])
    """Weights and buffers of each part; empty where nobody asked."""


UNMOVED = Placement()
"""Everything lies on the device; nothing had to be chosen."""
AWAY = Placement("model")
"""Everything waits in main memory: for a process that only trains a network made from the pipeline's."""


def needed_bytes(parts: Mapping[str, int], work: int, *, frees_text: bool = False) -> dict[Offload, int]:
    """Device memory at the peak without offloading and part by part.

    Between clips the autoencoder, the last part of every clip, still lies there while the text is read.

    Args:
        parts: bytes of each part, by its name in the pipeline.
        work: what generating takes besides the weights.
        frees_text: whether the text encoders are freed before the first clip.
    """
    text = [size for name, size in parts.items() if name.startswith("text_encoder")]
    autoencoder = parts.get("vae", 0)
    network = sum(parts.values()) - sum(text) - autoencoder
    at_once = max(sum(text), work) if frees_text else sum(text) + work
    return {
        "none": network + autoencoder + at_once,
        "model": autoencoder + max(network + work, max(text, default=0)),
    }


def choose_offload(parts: Mapping[str, int], free: int | None, work: int, *, frees_text: bool = False) -> Offload:
    """The fastest way that fits; `sequential` where no other does, `none` where free memory is not known.

    Args:
        parts: bytes of each part, by its name in the pipeline.
        free: memory of the device that is free before any part is there, bytes; None where nobody can tell.
        work: what generating takes besides the weights, bytes.
        frees_text: whether the text encoders are freed before the first clip.
    """
    if free is None:
        return "none"
    needed = needed_bytes(parts, work, frees_text=frees_text)
    return next((way for way, size in needed.items() if size <= SAFETY * free), "sequential")


def choose_placement(pipeline: Any, device: torch.device, order: OffloadOrder | Placement | None) -> Placement:
    """What a pipeline, still in main memory, should be offloaded like; on a CPU there is nowhere to offload to.

    Args:
        pipeline: the loaded pipeline.
        device: where it computes.
        order: what it will generate; or what was chosen already; None keeps all of it on the device.
    """
    if device.type == "cpu" or order is None:
        return UNMOVED
    if isinstance(order, Placement):
        return order
    free, parts = free_bytes(device), part_bytes(pipeline)
    size = loaded_model_size(pipeline)
    # Attention on a GPU keeps no table of scores.
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
    """Put a pipeline that lies in main memory where it computes: whole, or by diffusers' hooks when its turn comes."""
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
