"""The adapter in training: continued from one that the base has, with or without dropout."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from rushes.errors import TrainingError
from rushes.recipe.train import LoraSpec

if TYPE_CHECKING:
    from rushes.families.adapter import Factors


def continue_adapter(
    model: Any, adapter: Mapping[str, Factors], lora: LoraSpec, origin: Mapping[str, torch.Tensor]
) -> frozenset[str]:
    """Begin with the adapter that the base has: its change moves from the frozen weights to the trained factors.

    Args:
        model: the transformer with a new adapter.
        adapter: what is folded into its weights, by layer; layers that are not trained keep it.
        lora: the trained adapter.
        origin: the base's weights in float32 with that adapter, by name.

    Returns:
        The layers whose frozen weights have changed.

    Raises:
        TrainingError: the base has no adapter, or one of another rank, or none of its layers is trained.
    """
    scale = lora.alpha / (lora.rank**0.5 if lora.rslora else lora.rank)
    found = [name for name in adapter if hasattr(model.get_submodule(name), "lora_A")]
    ranks = sorted({adapter[name].rank for name in found})
    if ranks != [lora.rank]:
        raise TrainingError(
            "train.lora.continues goes on with the adapter of base.lora, which does not fit train.lora",
            expected=f"rank {lora.rank} in all layers that are trained",
            got=f"ranks {ranks}" if ranks else "no such layer" if adapter else "no base.lora for this transformer",
            next_step=f"--set train.lora.rank={ranks[0]}" if len(ranks) == 1 else "--set train.lora.continues=false",
        )
    with torch.no_grad():
        for name in found:
            layer, factors = model.get_submodule(name), adapter[name]
            whole = origin[f"{name}.weight"]
            layer.base_layer.weight.copy_(whole.float() - factors.delta.to(whole.device))
            layer.lora_A["default"].weight.copy_(factors.A_rI)
            layer.lora_B["default"].weight.copy_(factors.B_Or / scale)
    return frozenset(found)


@contextlib.contextmanager
def without_dropout(model: Any) -> Iterator[None]:
    """No dropout in passes without gradient: a model that is compared with, or watched, is asked as it is."""
    layers = list[torch.nn.Dropout]()
    if not torch.is_grad_enabled():
        layers = [each for each in model.modules() if isinstance(each, torch.nn.Dropout) and each.training and each.p]
    for each in layers:
        each.eval()
    try:
        yield
    finally:
        for each in layers:
            each.train()
