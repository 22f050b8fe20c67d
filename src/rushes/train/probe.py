"""Measurements before training: bytes per block, attention calls, and parameters that do not affect the velocity."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rushes.families.attention import AttentionCall, AttentionCalls
from rushes.families.recompute import BlockBytes
from rushes.train.batch import FlowBatch
from rushes.train.network import Network


@dataclass(frozen=True)
class Probed:
    """What a micro-batch of training needs of the device."""

    blocks: tuple[BlockBytes, ...]
    """Every block in order; empty for a transformer that cannot recompute blocks."""
    calls: tuple[AttentionCall, ...]
    """Distinct attention calls, in the order of their first occurrence."""


def probe(network: Network, batch: FlowBatch) -> Probed:
    """Measure with one micro-batch, already on the network's device. No gradient is left behind.

    Only the first block of each kind runs with gradients, so that it fits even if training without recomputation does
    not.
    """
    model = network.tuned
    sizes: list[BlockBytes] = []
    known: dict[tuple[object, ...], BlockBytes] = {}

    def block(module: Any, *inputs: Any) -> Any:
        tensors = [each for each in inputs if isinstance(each, Tensor)]
        kind = (type(module), tuple(tuple(each.shape) for each in tensors))
        if kind not in known:
            known[kind] = BlockBytes(_kept_bytes(model, module, inputs), sum(each.nbytes for each in tensors))
        sizes.append(known[kind])
        with torch.no_grad():
            return module(*inputs)

    watched = AttentionCalls()
    recomputes = bool(getattr(model, "_supports_gradient_checkpointing", False))
    if recomputes:
        model.enable_gradient_checkpointing(block)
    try:
        z_t = network.family.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
        with watched, torch.set_grad_enabled(recomputes):
            network.velocity(z_t, batch.sigma_B, batch.text)
    finally:
        if recomputes:
            model.disable_gradient_checkpointing()
    return Probed(tuple(sizes), tuple(watched.calls))


def idle_parameters(network: Network, batch: FlowBatch) -> set[str]:
    """Names of trained parameters that the velocity does not depend on, by a backward pass of one micro-batch.

    DDP must know whether there are any, since it waits for all gradients of a step. The batch is already on the
    network's device; no gradient is left behind.
    """
    parameters = network.parameters()
    z_t = network.family.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
    with torch.enable_grad():
        velocity = network.velocity(z_t, batch.sigma_B, batch.text)
        found = torch.autograd.grad(velocity.float().sum(), list(parameters.values()), allow_unused=True)
    return {name for name, gradient in zip(parameters, found, strict=True) if gradient is None}


def _kept_bytes(model: torch.nn.Module, block: Callable[..., Any], inputs: Sequence[Any]) -> int:
    """Bytes that a block of a model keeps for its backward pass, each storage once, without its own weights."""
    storages: dict[int, int] = {}

    @functools.cache
    def weights() -> set[int]:
        # Looked up while the block computes: only then are sharded weights full, plain parameters.
        plain = [value for value in model.parameters() if type(value) is torch.nn.Parameter]
        return {value.untyped_storage().data_ptr() for value in plain}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in weights():
            storages[storage.data_ptr()] = storage.nbytes()
        return value

    fresh = [_tracked(each) if isinstance(each, Tensor) else each for each in inputs]
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        made = block(*fresh)  # held until the count is done: the address of a freed storage could be reused
    total = sum(storages.values())
    del made
    return total


def _tracked(value: Tensor) -> Tensor:
    """The input as a block in the middle of the transformer gets it: requiring a gradient."""
    return value.detach().requires_grad_() if value.is_floating_point() else value
