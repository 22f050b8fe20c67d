"""The training stage: from samples to a checkpoint record. One piece of work, resumable step by step inside."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.family import PLAIN, Conditions, Family
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import TrainSpec
from rushes.records import Checkpoint, LossSummary
from rushes.store.blobs import Blobs
from rushes.store.identity import seed_from_key
from rushes.train.assignment import Task
from rushes.train.data import TrainingSet
from rushes.train.lesson import BIN_PREFIX, Lesson, lesson_key
from rushes.train.loop import optimise
from rushes.train.network import Network, make_network, merged_weights
from rushes.train.objective import RewardWeightedObjective
from rushes.train.parallel import ALONE, Parallel
from rushes.train.preview import Previews
from rushes.train.realism import moments_of_rows
from rushes.train.setup import Setup, idle_in, prepare
from rushes.train.state import Progress
from rushes.train.watch import HeldOut


def teach(
    lesson: Lesson,
    family: Family,
    data: TrainingSet,
    blobs: Blobs,
    scratch: Path,
    *,
    should_stop: Callable[[], bool],
    on_step: Callable[[Progress], None],
    conditions: Conditions = PLAIN,
    held_out: Sequence[HeldOut] = (),
    runtime: TrainRuntime | None = None,
    parallel: Parallel = ALONE,
    on_setup: Callable[[Setup], None] = lambda setup: None,
    previews: Previews | None = None,
) -> tuple[Checkpoint, Progress]:
    """Train and store the tuned weights under the base's own names.

    Raises:
        TrainingError: training broke down, or left the model as it was.
    """
    spec = lesson.spec
    start = blobs.read_tensors(lesson.start) if lesson.start is not None else None
    weights, progress = tune(
        family,
        data,
        task_of(lesson, runtime or TrainRuntime(), conditions),
        start,
        scratch,
        held_out=held_out,
        parallel=parallel,
        should_stop=should_stop,
        on_step=on_step,
        on_setup=on_setup,
        previews=previews,
    )
    with family.plain_weights():
        _check_changed(family, start, weights)
    checkpoint = Checkpoint(
        key=lesson_key(lesson),
        step=progress.step,
        kind="full" if spec.lora is None else "lora",
        ema=spec.ema_decay > 0,
        parent=lesson.parent,
        weights=blobs.put_tensors(weights),
        losses=tuple(
            _summary(term, points) for term, points in progress.curves.items() if not term.startswith(BIN_PREFIX)
        ),
        curves=blobs.put_bytes(json.dumps(progress.curves).encode(), ".json"),
        num_skipped_steps=progress.num_skipped,
        seconds=progress.seconds,
    )
    return checkpoint, progress


def task_of(lesson: Lesson, runtime: TrainRuntime, conditions: Conditions) -> Task:
    """How a lesson is trained, as every process is told."""
    seed = seed_from_key(lesson_key(lesson), lesson.spec.seed)
    return Task(spec=lesson.spec, runtime=runtime, seed=seed, conditions=conditions)


def tune(
    family: Family,
    data: TrainingSet,
    task: Task,
    start: dict[str, Tensor] | None,
    scratch: Path,
    *,
    held_out: Sequence[HeldOut] = (),
    parallel: Parallel = ALONE,
    should_stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_setup: Callable[[Setup], None] = lambda setup: None,
    previews: Previews | None = None,
) -> tuple[dict[str, Tensor], Progress]:
    """Train `start`, or the base; several processes call it together.

    Returns:
        The tuned weights under the base's own names (on the first process; nothing on the others), and how it went.

    Raises:
        TrainingError: training broke down.
        Stopped: asked to; the state is stored.
    """
    spec = task.spec
    with _beside(family, task, start, parallel) as network:
        setup = prepare(network, data, spec, task.runtime, parallel)
        on_setup(setup)
        network = parallel.wrap(network, partial(idle_in, network, data, spec, setup, parallel))
        trained = optimise(
            network,
            data,
            _objective(network, data, spec),
            spec,
            seed=task.seed,
            scratch=scratch,
            setup=setup,
            held_out=held_out,
            parallel=parallel,
            should_stop=should_stop,
            on_step=on_step,
            on_average=lambda step, average: previews.look(network, average, step) if previews else None,
        )
        if parallel.rank > 0:
            return {}, trained.progress
        # Divided weights cannot be merged in place: the average goes into a network of its own, in main memory.
        whole = _network(family, task, start) if parallel.is_sharded else network
        return merged_weights(whole, trained.average), trained.progress


def _network(family: Family, task: Task, start: dict[str, Tensor] | None) -> Network:
    autocast = task.spec.precision == "bfloat16"
    return make_network(family, task.spec.lora, start, autocast=autocast, conditions=task.conditions)


@contextlib.contextmanager
def _beside(family: Family, task: Task, start: dict[str, Tensor] | None, parallel: Parallel) -> Iterator[Network]:
    """The network to train, on the device; the family's own transformer lies in main memory meanwhile.

    It is made in main memory, so that the device never holds more of it than training needs. One that is going to be
    divided stays there: its blocks come to the device one by one, when they are divided.
    """
    on_gpu = family.device.type == "cuda" and family.placement.offload == "none"
    with family.plain_weights():
        if on_gpu:
            family.transformer.to("cpu")
            torch.cuda.empty_cache()
        try:
            network = _network(family, task, start)
            if not parallel.is_sharded:
                for model in (network.tuned, network.frozen):
                    if model is not None:
                        model.to(family.device)
            yield network
        finally:
            if on_gpu:
                family.transformer.to(family.device)


def _objective(network: Network, data: TrainingSet, spec: TrainSpec) -> RewardWeightedObjective:
    mean = std = torch.zeros(0)  # nobody asks
    if spec.realism.kind == "moments":
        real = torch.nonzero(data.is_real_N).flatten()
        rows = real if len(real) else torch.arange(len(data.is_real_N))
        mean, std = (each.to(network.device) for each in moments_of_rows(data.z_0_NCThw, rows))
    needs_reference = spec.anchor > 0 or spec.negative > 0
    return RewardWeightedObjective(spec, network.reference if needs_reference else None, mean, std, network.family.path)


def _check_changed(family: Family, start: Mapping[str, Tensor] | None, weights: Mapping[str, Tensor]) -> None:
    """After training the model must differ from where it began, under exactly the same names."""
    before = start if start is not None else family.transformer.state_dict()
    if set(before) != set(weights):
        odd = sorted(set(before) ^ set(weights))[:4]
        raise TrainingError("the tuned weights have other names than the base's", got=odd)
    if all(torch.equal(before[name].cpu(), weights[name].cpu()) for name in before):
        raise TrainingError(
            "training left the model exactly as it was",
            next_step="raise train.learning_rate or train.num_steps, or look at the loss curves for skipped steps",
        )


def _summary(term: str, points: Sequence[tuple[int, float]]) -> LossSummary:
    tenth = max(1, len(points) // 10)
    first, last = points[:tenth], points[-tenth:]
    return LossSummary(term=term, first=sum(v for _, v in first) / len(first), last=sum(v for _, v in last) / len(last))
