"""The adapter in training: added to the transformer, continued from one that the base has, with or without dropout."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from rushes.errors import TrainingError
from rushes.recipe.train import LoraSpec

if TYPE_CHECKING:
    from rushes.families.adapter import Factors


def add_adapter(model: Any, lora: LoraSpec, targets: Sequence[str]) -> None:
    """Add an adapter that changes nothing yet, the same one every time.

    Args:
        model: a diffusers transformer.
        lora: the adapter.
        targets: name endings of the linear layers that it changes.

    Raises:
        TrainingError: the transformer has none of these layers, or lacks one of those that the recipe names.
    """
    from peft import LoraConfig

    linear = [name for name, each in model.named_modules() if isinstance(each, torch.nn.Linear)]
    missing = [each for each in targets if not any(f".{name}".endswith(f".{each}") for name in linear)]
    if len(missing) == len(targets) or (lora.targets and missing):
        raise TrainingError(
            "the transformer has none of the layers that a low-rank adapter changes",
            expected=f"layers named ...{', ...'.join(targets)}",
            got=f"{type(model).__name__} without ...{', ...'.join(missing)}",
            next_step="--set 'train.lora.targets=[]' takes the family's usual layers"
            if lora.targets
            else "train it in full: --set train.lora=null",
        )
    generator_state = torch.get_rng_state()
    torch.manual_seed(0)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=list(targets),
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
    )
    model.add_adapter(config)
    torch.set_rng_state(generator_state)


def continue_adapter(model: Any, adapter: Mapping[str, Factors], lora: LoraSpec) -> frozenset[str]:
    """Begin with the adapter that the base has: its change moves from the frozen weights to the trained factors.

    Args:
        model: the transformer with a new adapter.
        adapter: what is folded into its weights, by layer; layers that are not trained keep it.
        lora: the trained adapter.

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
            weight = layer.base_layer.weight
            weight.copy_((weight.float() - factors.delta.to(weight.device)).to(weight.dtype))
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
