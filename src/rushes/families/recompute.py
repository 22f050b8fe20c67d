"""Which blocks keep their activations for the backward pass, and which recompute them: chosen by free memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import torch

Recompute = Literal["none", "half", "all"]
POLICIES: Final[tuple[Recompute, ...]] = ("none", "half", "all")
"""From the fastest to the one that needs the least memory."""
SAFETY: Final = 0.85
"""Share of the free memory to plan with; the rest is for fragmentation and what was not measured."""


@dataclass(frozen=True)
class BlockBytes:
    """Memory that one transformer block needs for its backward pass."""

    kept: int
    """Bytes that it keeps without recomputation."""
    inputs: int
    """Bytes of its inputs: what it keeps if it is recomputed."""


def is_recomputed(index: int, policy: Recompute) -> bool:
    """Whether the block at `index`, from 0, is recomputed; `half` recomputes 0, 2, 4, ..."""
    return policy == "all" or (policy == "half" and index % 2 == 0)


def activation_bytes(blocks: Sequence[BlockBytes], policy: Recompute) -> int:
    """Bytes at the peak: kept activations, inputs of recomputed blocks, and the activations of the largest of those."""
    again = [block for index, block in enumerate(blocks) if is_recomputed(index, policy)]
    kept = sum(block.kept for index, block in enumerate(blocks) if not is_recomputed(index, policy))
    return kept + sum(block.inputs for block in again) + max((block.kept for block in again), default=0)


def choose_recompute(blocks: Sequence[BlockBytes], free_bytes: int | None, reserved_bytes: int = 0) -> Recompute:
    """The fastest policy whose activations fit; `all` if none does, `none` if free memory is unknown.

    Args:
        blocks: every block in order, for one micro-batch.
        free_bytes: free memory of the device; None if unknown.
        reserved_bytes: other memory that training will need: gradients, the optimiser's moments.
    """
    if free_bytes is None:
        return "none"
    room = SAFETY * free_bytes - reserved_bytes
    return next((policy for policy in POLICIES if activation_bytes(blocks, policy) <= room), "all")


def free_bytes(device: torch.device) -> int | None:
    """Memory that training can still allocate on a device, bytes; None if the system does not report it."""
    if device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return free_main_memory() if device.type == "cpu" else None


def free_main_memory() -> int | None:
    """Main memory that can still be allocated, bytes; None if the system does not report it."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (OSError, ValueError):
        return None


def apply_recompute(transformer: Any, policy: Recompute) -> None:
    """Make a diffusers transformer follow a policy in its backward passes; the results stay the same.

    Every forward pass runs the blocks in the same order, so a block's position in that order is its index.
    """
    if policy == "none":
        transformer.disable_gradient_checkpointing()
        return
    from torch.utils.checkpoint import checkpoint

    from rushes.families.attention import again_as_now

    indices: dict[int, int] = {}

    def block(module: Any, *inputs: Any) -> Any:
        index = indices.setdefault(id(module), len(indices))
        if is_recomputed(index, policy):
            return checkpoint(module.__call__, *inputs, use_reentrant=False, context_fn=again_as_now)
        return module(*inputs)

    transformer.enable_gradient_checkpointing(block)
