"""What training does to a transformer's weights: an adapter on them, frozen ones rounded. Shared with the plan, which
counts the memory of the same network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from rushes.errors import TrainingError
from rushes.recipe.train import LoraSpec

_ROUNDED = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)
"""Layers whose weights autocast rounds in every pass."""


def round_frozen(model: torch.nn.Module) -> None:
    """Keep frozen weights of linear and convolution layers in bfloat16, which halves their memory.

    Autocast rounds exactly these in every pass, so results do not change. Weights that autocast leaves in float32
    (norms, embeddings, modulation tables) stay, and so do trained weights and those that the model requires in float32.
    Norms of a base that was loaded in bfloat16 get float32 weights: they compute in it, on a GPU by themselves.
    """
    keep = tuple(getattr(model, "_keep_in_fp32_modules", None) or ())
    for name, module in model.named_modules():
        if isinstance(module, _ROUNDED) and not set(name.split(".")) & set(keep):
            for value in module.parameters(recurse=False):
                if not value.requires_grad:
                    value.data = value.data.to(torch.bfloat16)
        elif isinstance(module, (torch.nn.LayerNorm, torch.nn.GroupNorm)):
            for value in module.parameters(recurse=False):
                value.data = value.data.float()


def add_adapter(model: Any, lora: LoraSpec, targets: Sequence[str], *, autocast: bool) -> None:
    """Add an adapter with float32 weights that changes nothing yet, the same one every time.

    Args:
        model: a diffusers transformer, frozen.
        lora: the adapter.
        targets: name endings of the linear layers that it changes.
        autocast: whether passes run under autocast.

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
    for value in model.parameters():
        if value.requires_grad:  # peft makes them in the format of the base's weights
            value.data = value.data.float()
    if autocast:
        _keep_inputs(model)


def _keep_inputs(model: Any) -> None:
    """Give adapters their inputs as they are: autocast rounds them anyway, and a float32 copy of each would be kept."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.cast_input_dtype_enabled = False


def hold_for_backward(model: torch.nn.Module) -> None:
    """Let frozen convolutions keep the weights that they computed with, before hooks exchange these around each call.

    Their backward pass reads the parameter itself, which may be in 8 bits again by then, or elsewhere; that of a linear
    layer reads a view of what it computed with.
    """
    for module in model.modules():
        if type(module) in (torch.nn.Conv2d, torch.nn.Conv3d) and not module.weight.requires_grad:
            module.forward = _holding(module)


def _holding(layer: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = layer._conv_forward(x, layer.weight.detach(), layer.bias)
        return made

    return forward
