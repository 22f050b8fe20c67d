"""Which blocks keep their activations for the backward pass, and which compute them again: by what memory is free."""

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
"""From the fastest to the smallest."""
SAFETY: Final = 0.85
"""Share of the free memory that may be planned with; the rest is for fragments and what was not measured."""


@dataclass(frozen=True)
class BlockBytes:
    """What one block of a transformer needs for its backward pass."""

    kept: int
    """Bytes that it keeps when nothing is computed again."""
    inputs: int
    """Bytes of its inputs: what it keeps when everything is."""


def is_recomputed(index: int, policy: Recompute) -> bool:
    """Whether the block at `index`, from 0, is computed again; `half` takes 0, 2, 4, ..."""
    return policy == "all" or (policy == "half" and index % 2 == 0)


def activation_bytes(blocks: Sequence[BlockBytes], policy: Recompute) -> int:
    """Bytes at the peak: kept activations, inputs of recomputed blocks, and the largest of those at work again."""
    again = [block for index, block in enumerate(blocks) if is_recomputed(index, policy)]
    kept = sum(block.kept for index, block in enumerate(blocks) if not is_recomputed(index, policy))
    return kept + sum(block.inputs for block in again) + max((block.kept for block in again), default=0)


def choose_recompute(blocks: Sequence[BlockBytes], free_bytes: int | None, reserved_bytes: int = 0) -> Recompute:
    """The fastest policy whose activations fit; `all` where none does, `none` where free memory is not known.

    Args:
        blocks: every block in order, for one micro-batch.
        free_bytes: memory of the device that is free now; None where nobody can tell.
        reserved_bytes: what training will take besides: gradients, the optimiser's moments.
    """
    if free_bytes is None:
        return "none"
    room = SAFETY * free_bytes - reserved_bytes
    return next((policy for policy in POLICIES if activation_bytes(blocks, policy) <= room), "all")


def free_bytes(device: torch.device) -> int | None:
    """Memory that training can still take on a device, bytes; None where the system does not tell."""
    if device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type != "cpu":
        return None
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (OSError, ValueError):
        return None


def apply_recompute(transformer: Any, policy: Recompute) -> None:
    """Make a diffusers transformer follow a policy in its backward passes; the numbers stay the same.

    Every forward pass goes through the blocks in the same order, so a block's place in it is its index.
    """
    if policy == "none":
        transformer.disable_gradient_checkpointing()
        return
    from torch.utils.checkpoint import checkpoint

    indices: dict[int, int] = {}

    def block(module: Any, *inputs: Any) -> Any:
        index = indices.setdefault(id(module), len(indices))
        if is_recomputed(index, policy):
            return checkpoint(module.__call__, *inputs, use_reentrant=False)
        return module(*inputs)

    transformer.enable_gradient_checkpointing(block)
