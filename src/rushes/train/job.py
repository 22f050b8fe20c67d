"""A training run that is ready to start: the network loaded, measured, and shared with other processes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.experts import named, of_part
from rushes.families.family import Family
from rushes.plugins import compares_with_start, objective_needs
from rushes.recipe.train import TrainSpec, expert_problem
from rushes.records import Checkpoint, LossSummary
from rushes.train.assignment import Assignment
from rushes.train.data import TrainingSet
from rushes.train.handover import Material
from rushes.train.lesson import BIN_PREFIX
from rushes.train.live_judge import LiveJudge
from rushes.train.network import Network, make_network, merged_weights
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective
from rushes.train.parallel import ALONE, Parallel
from rushes.train.place import placed
from rushes.train.realism import moments_of_rows
from rushes.train.setup import PLAIN_SETUP, Setup, idle_in, prepare
from rushes.train.state import Trained
from rushes.train.watch import HeldOut


@dataclass(frozen=True, eq=False)
class Job:
    """The inputs of the loop; none of them is replaced while it runs."""

    network: Network
    """The network in training, already wrapped by `parallel`."""
    data: TrainingSet
    """What is trained on."""
    objective: TrainingLoss
    """The loss terms."""
    spec: TrainSpec
    """The training settings."""
    seed: int
    """Seed of order, noise and noise levels."""
    setup: Setup = PLAIN_SETUP
    """How the device is used."""
    held_out: Sequence[HeldOut] = ()
    """Clips whose error is recorded before step 1, at every checkpoint, and at the end."""
    parallel: Parallel = ALONE
    """The processes that share every step."""
    until: int | None = None
    """Optimiser steps to do before a pause; None for all."""


@contextlib.contextmanager
def ready(assignment: Assignment, family: Family, material: Material, parallel: Parallel = ALONE) -> Iterator[Job]:
    """Build the network and put it on the device; meanwhile the family's own transformer is in main memory.

    It is built in main memory, so that the device never holds more of it than training needs. A network that will be
    sharded stays there: its blocks are moved to the device one by one, when they are sharded.

    Raises:
        RecipeError: the recipe requests a kernel or a recomputation that this device or transformer does not have.
        TrainingError: an adapter is requested and the transformer has none of the layers that it changes.
    """
    spec, data, family = assignment.spec, material.data, family.tuning(assignment.expert)
    if problem := expert_problem(spec, objective_needs(spec), family.levels):
        raise TrainingError(problem, next_step=f"--set train.experts={'low' if family.levels[0] else 'high'}")
    # Only a judge that is asked in training, and previews, need the rest of the pipeline meanwhile.
    with aside(family, whole=assignment.judge is None and not assignment.previews.read):
        network = _network(assignment, family)
        if not parallel.is_sharded:
            network = placed(network, data, spec, assignment.runtime, parallel)
        setup = prepare(network, data, spec, assignment.runtime, parallel)
        if objective_needs(spec).old is not None:
            network = replace(network, old={name: each.detach().clone() for name, each in network.parameters().items()})
        if network.unfolded:
            begun = {name: each.detach().clone() for name, each in network.parameters().items()}
            network = replace(network, begun=begun)
        network = parallel.wrap(network, partial(idle_in, network, data, spec, setup, parallel))
        if parallel.rank == 0:
            assignment.log.write("training_set_up", **asdict(setup))
        judge = _judge(assignment, family)
        objective = replace(objective_for(network, data, spec), judge=judge)
        try:
            yield Job(
                network, data, objective, spec, assignment.seed, setup, material.held_out, parallel, assignment.until
            )
        finally:
            if judge is not None and parallel.rank == 0:
                asked = judge.asked
                assignment.log.write(
                    "judge_asked_in_training",
                    num_clips=asked.num_clips,
                    num_missing=asked.num_missing,
                    seconds=asked.seconds,
                )


def _judge(assignment: Assignment, family: Family) -> LiveJudge | None:
    """The recipe's judge, if the objective asks it.

    Raises:
        RecipeError: it cannot be loaded, or gives no gradient where one is needed.
    """
    if assignment.judge is None:
        return None
    gradient = objective_needs(assignment.spec).judge == "gradient"
    return LiveJudge.of(assignment.judge, family, gradient=gradient)


def objective_for(network: Network, data: TrainingSet, spec: TrainSpec) -> TrainingLoss:
    """The recipe's loss, with the moments of the real clips if it compares them."""
    mean = std = torch.zeros(0)  # read by `moments` alone
    if spec.realism.kind == "moments":
        real = torch.nonzero(data.is_real_N).flatten()
        rows = real if len(real) else torch.arange(len(data.is_real_N))
        mean, std = (each.to(network.device) for each in moments_of_rows(data.z_0_NCThw, rows))
    loss = TrainingLoss(spec, build_objective(spec), None, mean, std, network.family.path)
    return _comparing(loss, network)


def _comparing(loss: TrainingLoss, network: Network) -> TrainingLoss:
    """The loss with the models that its terms compare with; where both are one model, it is asked once."""
    needs, start = objective_needs(loss.spec), ("start", network.reference)
    read = ("old", network.of_old) if needs.old else start if needs.reference else None
    held = None
    if loss.spec.is_held:
        held = start if network.base is None else ("base", network.of_base)
    first = read or held
    if first is None:
        return loss
    if held is None or held[0] == first[0]:
        return replace(loss, reference=first[1], compared=(first[0],))
    return replace(loss, reference=first[1], held_to=held[1], compared=(first[0], held[0]))


def checkpoint_of(assignment: Assignment, job: Job, trained: Trained) -> Checkpoint:
    """Store the trained weights under the base's own names; to be called inside `ready`, on the first process.

    Raises:
        TrainingError: training did not change the model.
        StoreError: disk full or read-only.
    """
    family, spec, blobs = job.network.family, assignment.spec, assignment.blobs
    progress = trained.progress
    # Sharded weights cannot be merged in place: the average goes into a separate network in main memory.
    whole = _network(assignment, family) if job.parallel.is_sharded else job.network
    weights = merged_weights(whole, trained.average)
    check_changed(whole.start_weights(), weights)
    return Checkpoint(
        key=assignment.checkpoint,
        step=progress.step,
        kind="full" if spec.lora is None else "lora",
        ema=spec.ema_decay > 0,
        parent=assignment.parent,
        weights=blobs.put_tensors(named(weights, family.part)),
        losses=tuple(
            _summary(term, points) for term, points in progress.curves.items() if not term.startswith(BIN_PREFIX)
        ),
        curves=blobs.put_bytes(json.dumps(progress.curves).encode(), ".json"),
        num_skipped_steps=progress.num_skipped,
        seconds=progress.seconds,
    )


def check_changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """After training the weights must differ from the initial ones, under exactly the same names.

    Raises:
        TrainingError: they do not differ, or the names do.
    """
    if set(before) != set(after):
        odd = sorted(set(before) ^ set(after))[:4]
        raise TrainingError("the names of the tuned weights differ from the base's", got=odd)
    if all(torch.equal(before[name].cpu(), after[name].cpu()) for name in before):
        raise TrainingError(
            "training did not change the model at all",
            next_step="raise train.learning_rate or train.num_steps, or check the loss curves for skipped steps",
        )


def _network(assignment: Assignment, family: Family) -> Network:
    spec, start = assignment.spec, assignment.start
    weights = None if start is None else of_part(assignment.blobs.read_tensors(start), family.part)
    autocast = spec.precision == "bfloat16"
    return make_network(
        family,
        spec.lora,
        weights,
        autocast=autocast,
        conditions=assignment.conditions,
        keeps_base=spec.is_held_to_base,
        keeps_start=compares_with_start(spec, is_later=start is not None),
    )


@contextlib.contextmanager
def aside(family: Family, *, whole: bool = False) -> Iterator[None]:
    """Keep the family's transformers, or the `whole` pipeline, in main memory meanwhile, to free GPU memory."""
    moved = (family.pipeline,) if whole else tuple(family.transformers.values())
    on_gpu = family.device.type == "cuda" and family.placement.offload == "none"
    with family.plain_weights():
        if on_gpu:
            for each in moved:
                each.to("cpu")
            torch.cuda.empty_cache()
        try:
            yield
        finally:
            if on_gpu:
                for each in moved:
                    each.to(family.device)


def _summary(term: str, points: Sequence[tuple[int, float]]) -> LossSummary:
    tenth = max(1, len(points) // 10)
    first, last = points[:tenth], points[-tenth:]
    return LossSummary(term=term, first=sum(v for _, v in first) / len(first), last=sum(v for _, v in last) / len(last))
