"""The optimisation loop, and nothing else."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from rushes.errors import Stopped, TrainingError
from rushes.plugins import objective_needs
from rushes.recipe.train import TrainSpec, micro_batch_size
from rushes.records import OldPolicy
from rushes.store.identity import seed_from_key
from rushes.train.batch import FlowBatch, LossTerms
from rushes.train.data import Step, step_batch
from rushes.train.flow import squared_error
from rushes.train.hooks import Hooks
from rushes.train.job import Job
from rushes.train.memory import nothing_yet, recalled, remember
from rushes.train.network import Network
from rushes.train.objective import num_items
from rushes.train.optimizer import make_optimizer
from rushes.train.parallel import Parallel, rows_of
from rushes.train.setup import uncompiled
from rushes.train.state import NORM, RATE, Progress, State, Trained, load_state, save_state
from rushes.train.tally import Tallied, Tally
from rushes.train.watch import Watched, error_by_sigma, held_out_errors

MAX_SKIPPED_IN_A_ROW: Final = 5
"""Non-finite steps in a row after which training gives up."""


def learning_rate(step: int, spec: TrainSpec) -> float:
    """Linear warm-up, then constant or a cosine to zero; `step` counts from 0."""
    if step < spec.warmup_steps:
        return spec.learning_rate * (step + 1) / spec.warmup_steps
    if spec.schedule == "constant":
        return spec.learning_rate
    u = (step - spec.warmup_steps) / max(1, spec.steps - spec.warmup_steps)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * u))


def optimise(job: Job, scratch: Path, hooks: Hooks | None = None) -> Trained:
    """Train, or resume from the state in `scratch`; resumed and uninterrupted runs give the same bits on a CPU.

    A pause (`job.until`) changes nothing either: the next call goes on from the state that it leaves.

    If several processes train together, each calls this with the same arguments but its own `job.parallel`.

    Args:
        job: what to train.
        scratch: folder of the resumable state.
        hooks: callbacks.

    Raises:
        TrainingError: losses or gradients stayed non-finite.
        Stopped: stopped on request; the state is stored.
    """
    network, spec, parallel, hooks = job.network, job.spec, job.parallel, hooks or Hooks()
    weights = network.parameters()
    # Without an average the weights are their own: nothing is held twice.
    average = {name: value.detach().clone() if spec.ema_decay else value.detach() for name, value in weights.items()}
    optimizer = make_optimizer(weights.values(), spec, network.device)
    needs = objective_needs(spec)
    judged = nothing_yet(needs, len(job.data.is_real_N))
    state = State(weights, average if spec.ema_decay else {}, optimizer, Progress(), network.old or {}, judged)
    until = spec.steps if job.until is None else job.until
    load_state(scratch, state, parallel, until=until)
    progress = state.progress
    _check_agreed(progress, parallel)
    if progress.step == 0:
        check_untouched(job)
        _note_held_out(job, progress)
        hooks.on_average(network, average, 0)
    while progress.step < until:
        began = time.perf_counter()
        drawn = step_batch(job.data, spec, progress.step, job.seed, network.family.levels)
        step = [replace(part, last=_last(progress)) for part in drawn.parts]
        found = _backward(job, [recalled(judged, part, progress.step, needs) for part in step], progress.step)
        for part, said_B in zip(step, found.judged_B.split([len(each.batch.sigma_B) for each in step]), strict=True):
            remember(judged, part, said_B)
        sigma = torch.cat([part.batch.sigma_B for part in step])
        _update(job, state, found.means, error_by_sigma(found.error_B, sigma))
        at_checkpoint = progress.step % spec.checkpoint_every == 0
        if at_checkpoint or progress.step == spec.steps:
            _note_held_out(job, progress)
        progress.seconds += time.perf_counter() - began
        hooks.on_step(progress)
        stopping = parallel.of_first(hooks.should_stop())
        if stopping or at_checkpoint or progress.step == until < spec.steps:
            save_state(scratch, state, parallel)
        if stopping and progress.step < until:
            parallel.meet()
            raise Stopped
        hooks.on_average(network, average, progress.step)
    return Trained(parallel.collected(average), progress)


def _check_agreed(progress: Progress, parallel: Parallel) -> None:
    """All processes must resume from the same step."""
    steps = [int(step) for (step,) in parallel.gather([progress.step])]
    if len(set(steps)) > 1:
        raise TrainingError(
            "the training processes do not read the same state",
            expected="one run folder, on a disk that all of them share",
            got=f"steps {steps}",
            next_step="put the run folder on a shared disk: --home",
        )


def _note(progress: Progress, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        progress.curves.setdefault(name, []).append((progress.step, value))


def _last(progress: Progress) -> dict[str, float]:
    """The last value of every curve."""
    return {name: points[-1][1] for name, points in progress.curves.items()}


def _note_held_out(job: Job, progress: Progress) -> None:
    size = micro_batch_size(job.spec, job.parallel.num_processes)
    _note(progress, held_out_errors(job.network, job.held_out, size, job.setup.kernels, job.parallel))


def _backward(job: Job, step: Sequence[Step], number: int) -> Tallied:
    """Gradients of step `number`, over micro-batches and processes, and what was seen in the whole batch.

    Args:
        job: what is trained.
        step: its parts, one for each shape of the clips; several processes share one part.
        number: of the step, from 0.
    """
    network, spec, parallel = job.network, job.spec, job.parallel
    tally, watched = Tally(job.objective.names), Watched(network)
    rows = rows_of(parallel.rank, parallel.num_processes, spec.batch_size)
    micro = list(_micro_batches([_slice(part, rows).to(network.device) for part in step], job))
    num, at = sum(len(part.batch.sigma_B) for part in micro), 0
    with job.setup.kernels(network.device):
        for part in micro:
            size = len(part.batch.sigma_B)
            with parallel.syncing(network, last=at + size >= num), _random(job, number, parallel.rank * num + at):
                terms = job.objective.terms(watched.velocity, part)
                # The mean over all items; of one shape, micro-batches have one size.
                (terms.total() / spec.num_accumulation if len(step) == 1 else terms.total() * size / num).backward()
            at += size
            seen = {**terms.terms, **terms.diagnostics}
            items = {**num_items(part.batch, seen), **terms.num_items}
            tally.add(seen, items, _errors(watched, part.batch), _judged(terms, part.batch))
    return tally.of_batch(parallel)


def _micro_batches(mine: Sequence[Step], job: Job) -> Iterator[Step]:
    """The parts of a step in pieces of at most a micro-batch."""
    size = micro_batch_size(job.spec, job.parallel.num_processes)
    for part in mine:
        for at in range(0, len(part.batch.sigma_B), size):
            yield _slice(part, slice(at, at + size))


@contextlib.contextmanager
def _random(job: Job, number: int, row: int) -> Iterator[None]:
    """Dropout decided by the step and the first row, so that a resumed run sees the same; nothing without dropout."""
    lora = job.spec.lora
    if lora is None or not lora.dropout:
        yield
        return
    with torch.random.fork_rng(devices=[job.network.device] if job.network.device.type == "cuda" else []):
        torch.manual_seed(seed_from_key(str(job.seed), "dropout", number, row))
        yield


def _judged(terms: LossTerms, batch: FlowBatch) -> Tensor | None:
    """The new scores of all items, (B,); NaN for real clips."""
    if terms.judged_B is None:
        return None
    return torch.full_like(batch.sigma_B, torch.nan).masked_scatter(~batch.is_real_B, terms.judged_B)


def _errors(watched: Watched, batch: FlowBatch) -> Tensor:
    """Squared error of each item, whatever the objective, (B,)."""
    assert watched.last is not None
    path = watched.network.family.path
    return squared_error(watched.last, path.target(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B))


def _slice(step: Step, rows: slice) -> Step:
    batch = step.batch
    if rows.start == 0 and rows.stop >= len(batch.sigma_B):
        return step
    parts = {name: getattr(batch, name)[rows] for name in FlowBatch.__dataclass_fields__}
    columns = {name: values[rows] for name, values in step.columns.items()}
    which = None if step.rows_B is None else step.rows_B[rows]
    return replace(step, batch=replace(batch, **parts), columns=columns, rows_B=which)


def _update(job: Job, state: State, means: Mapping[str, float], errors: Mapping[str, float]) -> None:
    """One optimiser step, or a counted skip if a loss or gradient is not finite."""
    spec, progress, optimizer = job.spec, state.progress, state.optimizer
    rate = learning_rate(progress.step, spec)
    for group in optimizer.param_groups:
        group["lr"] = rate
    norm = float(job.parallel.whole(torch.nn.utils.clip_grad_norm_(state.weights.values(), spec.max_grad_norm)))
    progress.step += 1
    if math.isfinite(norm) and all(math.isfinite(value) for value in means.values()):
        optimizer.step()
        progress.num_skipped_in_a_row = 0
        decay = min(spec.ema_decay, progress.step / (progress.step + 1))
        with torch.no_grad():
            for name, value in state.weights.items() if spec.ema_decay else ():
                state.average[name].lerp_(value, 1 - decay)
            _renew(state, objective_needs(spec).old)
        _note(progress, {**means, **errors, RATE: rate, NORM: norm})
    else:
        progress.num_skipped += 1
        progress.num_skipped_in_a_row += 1
    optimizer.zero_grad(set_to_none=True)
    if progress.num_skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
        raise TrainingError(
            f"loss or gradient not finite in {MAX_SKIPPED_IN_A_ROW} steps in a row, at step {progress.step}",
            expected="finite numbers",
            got=", ".join(f"{name} {value!r}" for name, value in means.items()) + f", gradient norm {norm!r}",
            next_step="lower train.learning_rate; if it happens at step 1, check the latents of the clips",
        )


def _renew(state: State, policy: OldPolicy | None) -> None:
    """theta_old <- eta theta_old + (1 - eta) theta, if it is due after this step."""
    if policy is not None and state.progress.step % policy.every == 0:
        eta = min(policy.rate * state.progress.step, policy.cap)
        for name, value in state.weights.items():
            state.old[name].lerp_(value, 1 - eta)


@torch.no_grad()
def check_untouched(job: Job) -> None:
    """Before step 1 the network must be the base, exactly.

    Raises:
        TrainingError: it is not.
    """
    network = job.network
    if network.frozen is None and not network.is_adapter:
        difference = _changed(network, job.parallel)
    else:
        difference = _moved(job)
    if difference != 0.0:
        raise TrainingError(
            "the network to tune differs from its base before the first step",
            expected="a difference of exactly 0",
            got=difference,
            next_step="this is a bug in how the network is built: please report it with the recipe",
        )


def _changed(network: Network, parallel: Parallel) -> float:
    """The largest difference of a trained parameter from the weights that training starts from."""
    start, largest = network.start_weights(), 0.0
    for name, value in network.parameters().items():
        difference = parallel.whole(value.detach()).cpu() - start[name].cpu()
        # NaN on both sides is equal here: the loop itself reports numbers that are not finite.
        largest = max(largest, float(difference.abs().nan_to_num(0.0).max()))
    return largest


def _moved(job: Job) -> float:
    """The largest difference of the velocity from that of the frozen start."""
    network, setup = job.network, job.setup
    batch = step_batch(job.data, job.spec, 0, job.seed, network.family.levels).to(network.device).batch
    z, sigma, text = batch.z_0_BCTHW[:2], batch.sigma_B[:2], batch.text[:2]
    # Compiled blocks differ from the base's own in the last bits, but this check is about the weights.
    with setup.kernels(z.device), uncompiled(setup.compiled):
        tuned, base = network.velocity(z, sigma, text), network.reference(z, sigma, text)
    return float((tuned - base).abs().nan_to_num(0.0).max())
