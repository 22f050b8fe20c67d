"""Checkpoints of the sandbox pre-training runs: parameters, optimiser state and counters in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from rushes.store.files import write_atomic
from rushes.train.state import optimizer_tensors, restore_optimizer


def save_state(
    path: Path,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    extra: Mapping[str, float],
    average: Mapping[str, Tensor] = MappingProxyType({}),
) -> None:
    """Write a checkpoint so that a crash leaves either the old file or the new one, never half of one.

    The file is the same whatever the model's device, so that training can resume on another.
    """
    tensors = {f"model.{name}": value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        tensors |= {f"optimizer{number}.{name}": value for name, value in optimizer_tensors(optimizer).items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, save({name: value.cpu() for name, value in tensors.items()}, {"extra": json.dumps(dict(extra))}))


def load_state(
    path: Path,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    average: Mapping[str, Tensor] = MappingProxyType({}),
) -> dict[str, float]:
    """Read a checkpoint into everything that is passed, in place; returns the counters, empty if there is no file."""
    if not path.exists():
        return {}
    with safe_open(str(path), framework="pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}
        extra: dict[str, float] = json.loads(file.metadata()["extra"])
    model.load_state_dict({n.removeprefix("model."): v for n, v in stored.items() if n.startswith("model.")})
    for name, value in average.items():
        value.copy_(stored[f"average.{name}"])
    for number, optimizer in enumerate(optimizers):
        prefix = f"optimizer{number}."
        restore_optimizer(optimizer, {n.removeprefix(prefix): v for n, v in stored.items() if n.startswith(prefix)})
    return extra
