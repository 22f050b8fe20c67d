"""Weights of a transformer's blocks that wait in main memory while it trains, through diffusers' group offloading.

Each layer's weights are on the device while it computes. A backward pass needs them again, so every block is
recomputed in it. What it keeps is a view of a linear layer's weights as they are on the device, which stays when these
leave; for convolutions `families.trainable.hold_for_backward` sees to that. The backward pass of other layers, such as
norms, would read what has gone: these stay on the device, as do layers outside of the blocks and what is trained.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch


def blocks_of(transformer: torch.nn.Module) -> list[torch.nn.Module]:
    """A diffusers transformer's repeated blocks, in order."""
    lists = [child for child in transformer.children() if isinstance(child, torch.nn.ModuleList)]
    return [block for blocks in lists for block in blocks]


def swap_blocks(transformer: torch.nn.Module, device: torch.device, folder: Path | None = None) -> None:
    """Put a transformer on a device, all but the frozen weights of its blocks: these come and go layer by layer.

    Args:
        transformer: in main memory; its frozen weights may have adapters with trained ones.
        device: where it computes.
        folder: where the weights wait instead of main memory.
    """
    from diffusers.hooks import apply_group_offloading

    on_gpu = device.type == "cuda"
    for child in transformer.children():
        if not isinstance(child, torch.nn.ModuleList):
            child.to(device)
    for value in (*transformer.parameters(recurse=False), *transformer.buffers(recurse=False)):
        value.data = value.data.to(device)
    # Block by block: each layer is fetched during the one before it, in a recomputation as well, which goes through the
    # blocks in reverse.
    for index, block in enumerate(blocks_of(transformer)):
        with _others_taken_out(block):
            apply_group_offloading(
                block,
                onload_device=device,
                offload_device=torch.device("cpu"),
                offload_type="leaf_level",
                use_stream=on_gpu,
                record_stream=on_gpu,  # the backward pass frees weights that another stream has fetched
                offload_to_disk_path=None if folder is None else str(folder / str(index)),
            )
        for module in _others(block):
            for value in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                value.data = value.data.to(device)


def comes_and_goes(module: torch.nn.Module) -> bool:
    """Whether a layer's weights wait in main memory."""
    trains = any(value.requires_grad for value in module.parameters(recurse=False))
    return isinstance(module, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)) and not trains


def _others(block: torch.nn.Module) -> list[torch.nn.Module]:
    return [module for module in block.modules() if not comes_and_goes(module)]


@contextlib.contextmanager
def _others_taken_out(block: torch.nn.Module) -> Iterator[None]:
    """Inside, the block has only what comes and goes, so that nothing else gets hooks."""
    children: list[tuple[torch.nn.Module, str, torch.nn.Module]] = []
    values: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for module in _others(block):
        for name, child in module.named_children():
            if not any(comes_and_goes(each) for each in child.modules()):
                children.append((module, name, child))
        for held in (module._parameters, module._buffers):
            values.append((held, dict(held)))
            held.clear()
    for module, name, _ in children:
        setattr(module, name, torch.nn.Identity())
    try:
        yield
    finally:
        for module, name, child in children:
            setattr(module, name, child)
        for held, own in values:
            held.update(own)
