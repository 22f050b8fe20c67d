"""The optimisation loop, and nothing else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from rushes.errors import Stopped, TrainingError
from rushes.recipe.train import TrainSpec
from rushes.train.batch import FlowBatch
from rushes.train.data import Step, TrainingSet, step_batch
from rushes.train.flow import squared_error
from rushes.train.network import Network
from rushes.train.objective import RewardWeightedObjective, num_items
from rushes.train.optimizer import make_optimizer
from rushes.train.parallel import ALONE, Parallel, rows_of
from rushes.train.setup import PLAIN_SETUP, Setup, micro_batch_size, uncompiled
from rushes.train.state import Progress, load_state, save_state
from rushes.train.tally import Tally
from rushes.train.watch import HeldOut, Watched, error_by_sigma, held_out_errors

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
    setup: Setup = PLAIN_SETUP,
    held_out: Sequence[HeldOut] = (),
    parallel: Parallel = ALONE,
    should_stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_average: Callable[[int, Mapping[str, Tensor]], None] = lambda step, average: None,
) -> Trained:
    """Train, or go on training from the state in `scratch`; resumed and straight runs give the same bits on a CPU.

    Where several processes train together, each calls this with the same arguments and its own `parallel`.

    Args:
        network, data, objective, spec: what is trained, on what, towards what, and how.
        seed: of order, noise and noise levels.
        scratch: folder of the resumable state.
        setup: how the device is used.
        held_out: clips whose error is noted before step 1, at every checkpoint, and at the end.
        parallel: the processes that share every step; `network` is wrapped by it already.
        should_stop: asked after every step; the first process's answer counts.
        on_step: told after every step.
        on_average: shown the averaged parameters before step 1 and after every step; it must leave them as they are.

    Raises:
        TrainingError: losses or gradients stayed non-finite.
        Stopped: asked to; the state is stored.
    """
    parameters = network.parameters()
    optimizer = make_optimizer(parameters.values(), spec, network.device)
    average = {name: value.detach().clone() for name, value in parameters.items()}
    progress = load_state(scratch, parameters, average, optimizer, parallel)
    _check_agreed(progress, parallel)
    if progress.step == 0:
        check_untouched(network, data, spec, seed, setup)
        _look(network, held_out, spec, setup, progress, parallel)
        on_average(0, average)
    while progress.step < spec.num_steps:
        began = time.perf_counter()
        step = step_batch(data, spec, progress.step, seed)
        values, watched = _backward(network, step, objective, spec, setup, parallel)
        _update(optimizer, parameters, average, values, watched, spec, progress, parallel)
        at_checkpoint = progress.step % spec.checkpoint_every == 0
        if at_checkpoint or progress.step == spec.num_steps:
            _look(network, held_out, spec, setup, progress, parallel)
        progress.seconds += time.perf_counter() - began
        on_step(progress)
        stopping = parallel.of_first(should_stop())
        if stopping or at_checkpoint:
            save_state(scratch, parameters, average, optimizer, progress, parallel)
        if stopping and progress.step < spec.num_steps:
            raise Stopped
        on_average(progress.step, average)
    return Trained(parallel.collected(average), progress)


def _check_agreed(progress: Progress, parallel: Parallel) -> None:
    """All processes must go on from the same step."""
    steps = [int(step) for (step,) in parallel.gather([progress.step])]
    if len(set(steps)) > 1:
        raise TrainingError(
            "the processes that train together do not see the same state",
            expected="one run folder, on a disk that all of them share",
            got=f"steps {steps}",
            next_step="put the run folder on a shared disk: --home",
        )


def _note(progress: Progress, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        progress.curves.setdefault(name, []).append((progress.step, value))


def _look(
    network: Network,
    held_out: Sequence[HeldOut],
    spec: TrainSpec,
    setup: Setup,
    progress: Progress,
    parallel: Parallel,
) -> None:
    size = micro_batch_size(spec, parallel.num_processes)
    _note(progress, held_out_errors(network, held_out, size, setup.kernels, parallel))


def _backward(
    network: Network,
    step: Step,
    objective: RewardWeightedObjective,
    spec: TrainSpec,
    setup: Setup,
    parallel: Parallel,
) -> tuple[dict[str, float], dict[str, float]]:
    """Gradients of one step, accumulated over micro-batches and processes.

    Returns:
        Each term's mean, and the error by noise level: both of the whole batch, on every process.
    """
    tally, watched = Tally(), Watched(network)
    mine = _slice(step, rows_of(parallel.rank, parallel.num_processes, spec.batch_size)).to(network.device)
    num, size = len(mine.batch.sigma_B), micro_batch_size(spec, parallel.num_processes)
    with setup.kernels(network.device):
        for at in range(0, num, size):
            part = _slice(mine, slice(at, at + size))
            with parallel.syncing(network, last=at + size >= num):
                terms = objective.terms(watched.velocity, part)
                (terms.total() / spec.num_accumulation).backward()
            tally.add(terms.terms, num_items(part.batch), _errors(watched, part.batch))
    means, error_B = tally.of_batch(parallel)
    return means, error_by_sigma(error_B, step.batch.sigma_B)


def _errors(watched: Watched, batch: FlowBatch) -> Tensor:
    """Squared error of each item, whatever the objective made of it, (B,)."""
    assert watched.last is not None
    path = watched.network.family.path
    return squared_error(watched.last, path.target(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B))


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
    watched: dict[str, float],
    spec: TrainSpec,
    progress: Progress,
    parallel: Parallel,
) -> None:
    """One optimiser step, or a counted skip when something was not finite."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(progress.step, spec)
    norm = float(parallel.whole(torch.nn.utils.clip_grad_norm_(parameters.values(), spec.max_grad_norm)))
    progress.step += 1
    if math.isfinite(norm) and all(math.isfinite(value) for value in values.values()):
        optimizer.step()
        progress.num_skipped_in_a_row = 0
        decay = min(spec.ema_decay, progress.step / (progress.step + 1)) if spec.ema_decay else 0.0
        with torch.no_grad():
            for name, value in parameters.items():
                average[name].lerp_(value, 1 - decay)
        _note(progress, {**values, **watched})
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
def check_untouched(
    network: Network, data: TrainingSet, spec: TrainSpec, seed: int, setup: Setup = PLAIN_SETUP
) -> None:
    """Before step 1 the network must be the base, exactly."""
    batch = step_batch(data, spec, 0, seed).to(network.device).batch
    z, sigma, text = batch.z_0_BCTHW[:2], batch.sigma_B[:2], batch.text[:2]
    # Compiled blocks differ from the base's own in the last bits; it is the weights that are compared here.
    with setup.kernels(z.device), uncompiled(setup.compiled):
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
