"""The optimiser: AdamW, fused if the device supports it, with 8-bit moments if the recipe requests them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from rushes.errors import RecipeError
from rushes.recipe.train import TrainSpec

if TYPE_CHECKING:
    import torch

BETAS: Final = (0.9, 0.99)
INSTALL: Final = "pip install -c constraints.txt 'rushes[eight-bit]'"
"""What 8-bit AdamW needs."""


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter], spec: TrainSpec, device: torch.device
) -> torch.optim.Optimizer:
    """AdamW over float32 parameters. On a CPU it is not fused, so its last bits do not depend on the machine.

    Raises:
        RecipeError: 8-bit AdamW is requested without a GPU, or bitsandbytes is not installed.
    """
    options: dict[str, Any] = {"lr": spec.learning_rate, "betas": BETAS, "weight_decay": spec.weight_decay}
    if spec.optimizer == "adamw_8bit":
        made: torch.optim.Optimizer = _bitsandbytes(device).optim.AdamW8bit(list(parameters), **options)
        return made
    import torch

    if device.type == "cuda":
        options["fused"] = True
    return torch.optim.AdamW(parameters, **options)


def _bitsandbytes(device: torch.device) -> Any:
    if device.type != "cuda":
        raise RecipeError(
            "8-bit AdamW needs a GPU",
            expected="runtime.device: cuda",
            got=device.type,
            next_step="--set train.optimizer=adamw",
        )
    try:
        return importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise RecipeError(
            "8-bit AdamW needs the package bitsandbytes, which is not installed",
            next_step=f"{INSTALL}, or --set train.optimizer=adamw",
        ) from error
