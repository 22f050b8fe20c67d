"""Which blocks keep their activations for the backward pass, and which recompute them: chosen by free memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Recompute = Literal["none", "half", "all", "offload"]
POLICIES: Final[tuple[Recompute, ...]] = ("none", "half", "all")
"""From the fastest to the one that needs the least memory."""
GPU_POLICIES: Final[tuple[Recompute, ...]] = (*POLICIES, "offload")
"""On a GPU: `offload` recomputes every block, and the inputs of the blocks wait in main memory."""
RECOMPUTED: Final = ("auto", "all", "offload")
"""Settings under which every block is recomputed, or may be."""
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
    return policy in ("all", "offload") or (policy == "half" and index % 2 == 0)


def activation_bytes(blocks: Sequence[BlockBytes], policy: Recompute) -> int:
    """Bytes at the peak: kept activations, inputs of recomputed blocks, and the activations of the largest of those."""
    if policy == "offload":
        return max((block.kept + block.inputs for block in blocks), default=0)
    again = [block for index, block in enumerate(blocks) if is_recomputed(index, policy)]
    kept = sum(block.kept for index, block in enumerate(blocks) if not is_recomputed(index, policy))
    return kept + sum(block.inputs for block in again) + max((block.kept for block in again), default=0)


def choose_recompute(
    blocks: Sequence[BlockBytes],
    free_bytes: int | None,
    reserved_bytes: int = 0,
    policies: Sequence[Recompute] = POLICIES,
) -> Recompute:
    """The fastest policy whose activations fit; the last if none does, `none` if free memory is unknown.

    Args:
        blocks: every block in order, for one micro-batch.
        free_bytes: free memory of the device; None if unknown.
        reserved_bytes: other memory that training will need: gradients, the optimiser's moments.
        policies: what the device can do, from the fastest.
    """
    if free_bytes is None:
        return "none"
    room = SAFETY * free_bytes - reserved_bytes
    return next((policy for policy in policies if activation_bytes(blocks, policy) <= room), policies[-1])


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


def apply_recompute(
    transformer: Any,
    policy: Recompute,
    moved: tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]] | None = None,
    *,
    whole: bool = False,
) -> None:
    """Make a diffusers transformer follow a policy in its backward passes; the results stay the same.

    Every forward pass runs the blocks in the same order, so a block's position in that order is its index.

    Args:
        transformer: the transformer.
        policy: which blocks are recomputed.
        moved: how `offload` sends a block's input away and brings it back; None for main memory.
        whole: recompute blocks to their end, not only what the backward pass needs: weights that come and go with each
            layer (`families.swap`) leave at its end.
    """
    if policy == "none":
        transformer.disable_gradient_checkpointing()
        return
    from torch.autograd.graph import saved_tensors_hooks
    from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

    from rushes.families.attention import again_as_now

    again = partial(checkpoint, use_reentrant=False, context_fn=again_as_now)
    indices: dict[int, int] = {}
    send, bring = moved or (_to_main_memory, _back)

    def block(module: Any, *inputs: Any) -> Any:
        index = indices.setdefault(id(module), len(indices))
        if not is_recomputed(index, policy):
            return module(*inputs)
        if policy != "offload":
            with set_checkpoint_early_stop(not whole):
                return again(module.__call__, *inputs)
        # Of the inputs only what has a gradient is a block's own; positions and texts are the same for all blocks.
        own = {each.untyped_storage()._cdata for each in inputs if getattr(each, "requires_grad", False)}

        def pack(value: Tensor) -> tuple[bool, Any]:
            is_own = value.untyped_storage()._cdata in own
            return is_own, send(value) if is_own else value

        def unpack(packed: tuple[bool, Any]) -> Tensor:
            is_own, value = packed
            found: Tensor = bring(value) if is_own else value
            return found

        with saved_tensors_hooks(pack, unpack), set_checkpoint_early_stop(not whole):
            return again(module.__call__, *inputs)

    transformer.enable_gradient_checkpointing(block)


def _to_main_memory(value: Tensor) -> tuple[torch.device, Tensor]:
    """A tensor that a backward pass will need, in pinned main memory if it is large and on a GPU."""
    if value.device.type != "cuda":
        return value.device, value
    import torch

    # In the same layout: recomputing from another one saves other tensors.
    waiting = torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, pin_memory=True)
    waiting.copy_(value)
    return value.device, waiting


def _back(packed: tuple[torch.device, Tensor]) -> Tensor:
    device, value = packed
    return value.to(device, non_blocking=True)
