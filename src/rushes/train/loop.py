"""The optimisation loop, and nothing else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from rushes.errors import Stopped, TrainingError
from rushes.families.wan import attention_for
from rushes.roles import FlowBatch
from rushes.specs import TrainSpec
from rushes.train.data import Step, TrainingSet, step_batch
from rushes.train.network import Network
from rushes.train.objective import RewardWeightedObjective
from rushes.train.state import Progress, load_state, save_state

MAX_SKIPPED_IN_A_ROW = 5
"""Non-finite steps in a row after which training gives up."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What the loop leaves."""

    average: dict[str, Tensor]
    """The averaged (EMA) parameters, or the last ones where `ema_decay` is 0."""
    progress: Progress


def learning_rate(step: int, spec: TrainSpec) -> float:
    """Linear warm-up, then constant or a cosine to zero; `step` counts from 0."""
    if step < spec.warmup_steps:
        return spec.learning_rate * (step + 1) / spec.warmup_steps
    if spec.schedule == "constant":
        return spec.learning_rate
    u = (step - spec.warmup_steps) / max(1, spec.num_steps - spec.warmup_steps)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * u))


def optimise(
    network: Network,
    data: TrainingSet,
    objective: RewardWeightedObjective,
    spec: TrainSpec,
    *,
    seed: int,
    scratch: Path,
    should_stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> Trained:
    """Train, or go on training from the state in `scratch`; resumed and straight runs give the same bits on a CPU.

    Raises:
        TrainingError: losses or gradients stayed non-finite.
        Stopped: asked to; the state is stored.
    """
    parameters = network.parameters()
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=spec.learning_rate, betas=(0.9, 0.99), weight_decay=spec.weight_decay
    )
    average = {name: value.detach().clone() for name, value in parameters.items()}
    progress = load_state(scratch, parameters, average, optimizer)
    check_untouched(network, data, spec, seed) if progress.step == 0 else None
    while progress.step < spec.num_steps:
        began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(progress.step, spec)
        values = _backward(network, step_batch(data, spec, progress.step, seed), objective, spec)
        norm = float(torch.nn.utils.clip_grad_norm_(parameters.values(), spec.max_grad_norm))
        _update(optimizer, parameters, average, values, norm, spec, progress)
        progress.seconds += time.perf_counter() - began
        on_step(progress)
        stopping = should_stop()
        if stopping or progress.step % spec.checkpoint_every == 0:
            save_state(scratch, parameters, average, optimizer, progress)
        if stopping and progress.step < spec.num_steps:
            raise Stopped
    return Trained(average, progress)


def _backward(network: Network, step: Step, objective: RewardWeightedObjective, spec: TrainSpec) -> dict[str, float]:
    """Gradients of one step, accumulated over micro-batches; returns each term's mean."""
    sums: dict[str, float] = {}
    size = spec.batch_size // spec.num_accumulation
    with attention_for(step.batch.z_0_BCTHW.device):
        for at in range(0, spec.batch_size, size):
            part = _slice(step, slice(at, at + size))
            terms = objective.terms(network.velocity, part)
            (terms.total() / spec.num_accumulation).backward()
            for name, value in terms.terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / spec.num_accumulation
    return sums


def _slice(step: Step, rows: slice) -> Step:
    batch = step.batch
    if rows.start == 0 and rows.stop >= len(batch.sigma_B):
        return step
    parts = {name: getattr(batch, name)[rows] for name in FlowBatch.__dataclass_fields__}
    return Step(replace(batch, **parts), step.preference_B[rows])


def _update(
    optimizer: torch.optim.Optimizer,
    parameters: dict[str, torch.nn.Parameter],
    average: dict[str, Tensor],
    values: dict[str, float],
    norm: float,
    spec: TrainSpec,
    progress: Progress,
) -> None:
    """One optimiser step, or a counted skip when something was not finite."""
    progress.step += 1
    if math.isfinite(norm) and all(math.isfinite(value) for value in values.values()):
        optimizer.step()
        progress.num_skipped_in_a_row = 0
        decay = min(spec.ema_decay, progress.step / (progress.step + 1)) if spec.ema_decay else 0.0
        with torch.no_grad():
            for name, value in parameters.items():
                average[name].lerp_(value, 1 - decay)
        for name, term in values.items():
            progress.curves.setdefault(name, []).append((progress.step, term))
    else:
        progress.num_skipped += 1
        progress.num_skipped_in_a_row += 1
    optimizer.zero_grad(set_to_none=True)
    if progress.num_skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
        raise TrainingError(
            f"loss or gradient not finite in {MAX_SKIPPED_IN_A_ROW} steps in a row, at step {progress.step}",
            expected="finite numbers",
            got=", ".join(f"{name} {value!r}" for name, value in values.items()) + f", gradient norm {norm!r}",
            next_step="lower train.learning_rate; if it happens at step 1, check the latents of the clips",
        )


@torch.no_grad()
def check_untouched(network: Network, data: TrainingSet, spec: TrainSpec, seed: int) -> None:
    """Before step 1 the network must be the base, exactly."""
    batch = step_batch(data, spec, 0, seed).batch
    z, sigma, text = batch.z_0_BCTHW[:2], batch.sigma_B[:2], batch.text_BLD[:2]
    with attention_for(z.device):
        tuned, base = network.velocity(z, sigma, text), network.reference(z, sigma, text)
    # NaN on both sides is equal here: the loop itself reports numbers that are not finite.
    difference = (tuned - base).abs().nan_to_num(0.0).max()
    if float(difference) != 0.0:
        raise TrainingError(
            "the network to tune differs from its base before the first step",
            expected="a difference of exactly 0",
            got=float(difference),
            next_step="this is a bug in how the network is built: please report it with the recipe",
        )
