"""One batch is sampled on a GPU while the batch before it is decoded and stored.

Decoding has a CUDA stream and a thread of its own; records are stored in their order. Where memory does not suffice for
both, or parts of the pipeline are moved about, decoding keeps the turn, and only storing overlaps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from rushes.execute.turns import TwoAtOnce
from rushes.recipe.base import ShapeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.store.advance import Place

if TYPE_CHECKING:
    from torch import Tensor

    from rushes.families.family import Family
    from rushes.roles import Frames


def overlapping(place: Place, runtime: RuntimeSpec) -> Place:
    """Where clips are generated: with two batches in work on a GPU of this process, else as it is."""
    has_two = runtime.executor == "local" and runtime.device.startswith("cuda") and runtime.sampling.overlap
    return replace(place, executor=TwoAtOnce()) if has_two else place


def can_overlap(family: Family, shape: ShapeSpec, num: int) -> bool:
    """Whether so many clips can be decoded while as many are sampled, guided in one call perhaps."""
    from rushes.families.speed import fits

    return fits(family, shape, 3 * num)


def beside(family: Family, latents: Tensor) -> Callable[[Tensor], list[Frames]]:
    """`family.decode` on a stream of its own, which waits for the latents alone; they are in the queue already."""
    import torch

    stream = torch.cuda.Stream(family.device)
    stream.wait_stream(torch.cuda.current_stream(family.device))
    latents.record_stream(stream)

    def decode(latents: Tensor) -> list[Frames]:
        with torch.cuda.stream(stream):
            return family.decode(latents)

    return decode
