"""The state of a training run between two steps: one safetensors file, enough to resume bit for bit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from rushes.store.files import write_atomic
from rushes.store.sums import UNSEALED, is_sealed, sealed
from rushes.train.lesson import BIN_PREFIX, HELD_OUT_PREFIX
from rushes.train.parallel import ALONE, Parallel

FILE_NAME = "state.safetensors"
RATE, NORM = "learning_rate", "gradient_norm"
"""Curves that are no loss: the learning rate, and the gradient's norm before it is cut to `train.max_grad_norm`."""


@dataclass
class Progress:
    """Progress so far."""

    step: int = 0
    """Optimiser steps done, skipped ones included."""
    num_skipped: int = 0
    """Steps skipped because the loss or a gradient was not finite."""
    num_skipped_in_a_row: int = 0
    """The most recent skipped steps in a row."""
    seconds: float = 0.0
    """Wall-clock seconds spent."""
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict[str, list[tuple[int, float]]])
    """(step, value) of every loss term, of learning rate and gradient norm, and of the measurements of `watch`."""

    @property
    def note(self) -> str:
        """The last value of the first loss term, for the display: "loss real_flow 0.182"; empty before step 1."""
        for name, points in self.curves.items():
            is_loss = name not in (RATE, NORM) and not name.startswith((HELD_OUT_PREFIX, BIN_PREFIX))
            if is_loss and points and points[-1][0] == self.step:
                return f"loss {name} {points[-1][1]:.3g}"
        return ""


@dataclass(eq=False)
class State:
    """Everything that changes from step to step."""

    weights: Mapping[str, torch.nn.Parameter]
    """The trained parameters, by name."""
    average: Mapping[str, Tensor]
    """Their exponential moving average (EMA); empty without one."""
    optimizer: torch.optim.Optimizer
    progress: Progress
    old: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    """Their values in the moving old policy; empty without one."""
    judged: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """What the judge said, see `rushes.train.memory`; empty where nothing reads it again."""

    @property
    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        """What is stored, by kind and name, parameters' names but for `judged`."""
        weights = {name: value.detach() for name, value in self.weights.items()}
        return {"weights": weights, "average": self.average, "old": self.old, "judged": self.judged}


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of the loop."""

    average: dict[str, Tensor]
    """The averaged (EMA) parameters, or the last ones if `ema_decay` is 0; full tensors, on the first process."""
    progress: Progress


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's moments and counters under flat names, `<index>.<field>`."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"{index}.{name}": _copied(torch.as_tensor(value).detach()).contiguous()
        for index, parameter in enumerate(parameters)
        for name, value in optimizer.state.get(parameter, {}).items()
    }


def _copied(value: Tensor) -> Tensor:
    """A copy in main memory; a shard of a divided tensor stays on its device until it is gathered."""
    return value.clone() if hasattr(value, "placements") else value.to("cpu", copy=True)


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], parallel: Parallel = ALONE
) -> None:
    """Load the result of `optimizer_tensors` into an optimiser over the same parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    fused = bool(optimizer.param_groups[0].get("fused"))
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        state: dict[str, Tensor | int] = optimizer.state[parameter]
        if value.ndim == 0 and value.dtype == torch.int64:
            state[key] = int(value)  # 8-bit AdamW counts steps in a plain number
        else:
            on_cpu = key == "step" and not fused  # as AdamW itself keeps it
            on_device = value if on_cpu else value.to(parameter.device)
            state[key] = parallel.part(on_device, parameter) if value.ndim else on_device


def save_state(folder: Path, state: State, parallel: Parallel = ALONE) -> None:
    """Write the whole state atomically: a crash leaves the old file or the new one.

    Several processes call it together and the first writes. The file is the same as with one process, so that training
    can resume with any number of processes.
    """
    tensors = {f"{kind}.{name}": value for kind, named in state.tensors.items() for name, value in named.items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(state.optimizer).items()}
    whole = {name: value.contiguous() for name, value in parallel.collected(tensors).items()}
    if parallel.rank == 0:
        data = save(whole, {"progress": json.dumps(vars(state.progress)), **UNSEALED})
        write_atomic(folder / FILE_NAME, sealed(data))


def load_state(folder: Path, state: State, parallel: Parallel = ALONE, *, until: int | None = None) -> None:
    """Load a stored state in place, if there is one. Every process reads the same file.

    A damaged state counts as none, with a warning: training then begins again from its first step. So does, without a
    warning, one that is past step `until`, when a checkpoint on the way has to be made again.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return
    if path.is_dir() or is_sealed(path) is False:
        warnings.warn(f"{path} is damaged; training starts again from its first step", stacklevel=2)
        if parallel.rank == 0 and path.is_dir():
            path.rename(path.with_name(f".{FILE_NAME}.damaged.tmp"))  # a folder would be in the way of the next state
        return
    with safe_open(str(path), framework="pt") as file, torch.no_grad():
        stored: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}
        text: str = file.metadata()["progress"]
    if until is not None and json.loads(text)["step"] > until:
        return
    with torch.no_grad():
        for kind, tensors in state.tensors.items():
            for name, value in tensors.items():
                value.copy_(parallel.part(stored[f"{kind}.{name}"], value))
    prefix = "optimizer."
    moments = {n.removeprefix(prefix): v for n, v in stored.items() if n.startswith(prefix)}
    restore_optimizer(state.optimizer, moments, parallel)
    fields = json.loads(text)
    fields["curves"] = {term: [(int(s), float(v)) for s, v in points] for term, points in fields["curves"].items()}
    state.progress = Progress(**fields)
