"""What training does to a transformer's weights: an adapter on them, frozen ones rounded. Shared with the plan, which
counts the memory of the same network."""

from __future__ import annotations

from collections.abc import Sequence
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
    """
    keep = tuple(getattr(model, "_keep_in_fp32_modules", None) or ())
    for name, module in model.named_modules():
        if isinstance(module, _ROUNDED) and not set(name.split(".")) & set(keep):
            for value in module.parameters(recurse=False):
                if not value.requires_grad:
                    value.data = value.data.to(torch.bfloat16)


def add_adapter(model: Any, lora: LoraSpec, targets: Sequence[str], *, autocast: bool) -> None:
    """Put a low-rank adapter with float32 weights on a frozen transformer; until it is trained it changes nothing.

    Args:
        model: a diffusers transformer.
        lora: the adapter.
        targets: name endings of the layers that it changes.
        autocast: whether passes run under autocast.

    Raises:
        TrainingError: the transformer has none of these layers.
    """
    from peft import LoraConfig

    if not any(name.endswith(tuple(f".{target}" for target in targets)) for name, _ in model.named_modules()):
        raise TrainingError(
            "the transformer has none of the layers that a low-rank adapter changes",
            expected=f"layers named ...{', ...'.join(targets)}",
            got=type(model).__name__,
            next_step="train it in full: --set train.lora=null",
        )
    generator_state = torch.get_rng_state()
    torch.manual_seed(0)
    model.add_adapter(LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(targets)))
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
