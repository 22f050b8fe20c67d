"""A training run that is ready to begin: the network in place, measured, and shared with other processes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.family import Family
from rushes.recipe.train import TrainSpec
from rushes.records import Checkpoint, LossSummary
from rushes.train.assignment import Assignment
from rushes.train.data import TrainingSet
from rushes.train.handover import Material
from rushes.train.lesson import BIN_PREFIX
from rushes.train.network import Network, make_network, merged_weights
from rushes.train.objective import RewardWeightedObjective
from rushes.train.parallel import ALONE, Parallel
from rushes.train.realism import moments_of_rows
from rushes.train.setup import PLAIN_SETUP, Setup, idle_in, prepare
from rushes.train.state import Trained
from rushes.train.watch import HeldOut


@dataclass(frozen=True, eq=False)
class Job:
    """What the loop works on; none of it is replaced while it runs."""

    network: Network
    """The network in training; wrapped by `parallel` already."""
    data: TrainingSet
    """What is trained on."""
    objective: RewardWeightedObjective
    """Towards what."""
    spec: TrainSpec
    """How."""
    seed: int
    """Of order, noise and noise levels."""
    setup: Setup = PLAIN_SETUP
    """How the device is used."""
    held_out: Sequence[HeldOut] = ()
    """Clips whose error is noted before step 1, at every checkpoint, and at the end."""
    parallel: Parallel = ALONE
    """The processes that share every step."""


@contextlib.contextmanager
def ready(assignment: Assignment, family: Family, material: Material, parallel: Parallel = ALONE) -> Iterator[Job]:
    """Make the network and put it on the device; the family's own transformer lies in main memory meanwhile.

    It is made in main memory, so that the device never holds more of it than training needs. A network that is going
    to be divided stays there: its blocks come to the device one by one, when they are divided.

    Raises:
        RecipeError: the recipe asks for a kernel or a recomputation that this device or transformer does not have.
        TrainingError: an adapter is wanted and the transformer has none of the layers that it changes.
    """
    spec, data = assignment.spec, material.data
    with aside(family):
        network = _network(assignment, family)
        if not parallel.is_sharded:
            for model in (network.tuned, network.frozen):
                if model is not None:
                    model.to(family.device)
        setup = prepare(network, data, spec, assignment.runtime, parallel)
        network = parallel.wrap(network, partial(idle_in, network, data, spec, setup, parallel))
        if parallel.rank == 0:
            assignment.log.write("training_set_up", **asdict(setup))
        objective = objective_for(network, data, spec)
        yield Job(network, data, objective, spec, assignment.seed, setup, material.held_out, parallel)


def objective_for(network: Network, data: TrainingSet, spec: TrainSpec) -> RewardWeightedObjective:
    """The objective that a recipe asks for, with the moments of the real clips where it compares them."""
    mean = std = torch.zeros(0)  # read by `moments` alone
    if spec.realism.kind == "moments":
        real = torch.nonzero(data.is_real_N).flatten()
        rows = real if len(real) else torch.arange(len(data.is_real_N))
        mean, std = (each.to(network.device) for each in moments_of_rows(data.z_0_NCThw, rows))
    needs_reference = spec.anchor > 0 or spec.negative > 0
    return RewardWeightedObjective(spec, network.reference if needs_reference else None, mean, std, network.family.path)


def checkpoint_of(assignment: Assignment, job: Job, trained: Trained) -> Checkpoint:
    """Store what training made, under the base's own names; inside `ready`, on the first process.

    Raises:
        TrainingError: training left the model as it was.
        StoreError: disk full or read-only.
    """
    family, spec, blobs = job.network.family, assignment.spec, assignment.blobs
    progress = trained.progress
    # Divided weights cannot be merged in place: the average goes into a network of its own, in main memory.
    whole = _network(assignment, family) if job.parallel.is_sharded else job.network
    weights = merged_weights(whole, trained.average)
    check_changed(family.transformer.state_dict() if whole.origin is None else whole.origin, weights)
    return Checkpoint(
        key=assignment.key,
        step=progress.step,
        kind="full" if spec.lora is None else "lora",
        ema=spec.ema_decay > 0,
        parent=assignment.parent,
        weights=blobs.put_tensors(weights),
        losses=tuple(
            _summary(term, points) for term, points in progress.curves.items() if not term.startswith(BIN_PREFIX)
        ),
        curves=blobs.put_bytes(json.dumps(progress.curves).encode(), ".json"),
        num_skipped_steps=progress.num_skipped,
        seconds=progress.seconds,
    )


def check_changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """After training the model must differ from where it began, under exactly the same names.

    Raises:
        TrainingError: it does not, or the names are others.
    """
    if set(before) != set(after):
        odd = sorted(set(before) ^ set(after))[:4]
        raise TrainingError("the tuned weights have other names than the base's", got=odd)
    if all(torch.equal(before[name].cpu(), after[name].cpu()) for name in before):
        raise TrainingError(
            "training left the model exactly as it was",
            next_step="raise train.learning_rate or train.num_steps, or check the loss curves for skipped steps",
        )


def _network(assignment: Assignment, family: Family) -> Network:
    spec, start = assignment.spec, assignment.start
    weights = None if start is None else assignment.blobs.read_tensors(start)
    autocast = spec.precision == "bfloat16"
    return make_network(family, spec.lora, weights, autocast=autocast, conditions=assignment.conditions)


@contextlib.contextmanager
def aside(family: Family, *, whole: bool = False) -> Iterator[None]:
    """The family's transformer, or the `whole` pipeline, in main memory meanwhile, which gives its GPU room."""
    moved = family.pipeline if whole else family.transformer
    on_gpu = family.device.type == "cuda" and family.placement.offload == "none"
    with family.plain_weights():
        if on_gpu:
            moved.to("cpu")
            torch.cuda.empty_cache()
        try:
            yield
        finally:
            if on_gpu:
                moved.to(family.device)


def _summary(term: str, points: Sequence[tuple[int, float]]) -> LossSummary:
    tenth = max(1, len(points) // 10)
    first, last = points[:tenth], points[-tenth:]
    return LossSummary(term=term, first=sum(v for _, v in first) / len(first), last=sum(v for _, v in last) / len(last))
