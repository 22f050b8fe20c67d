"""The training stage: from samples to a checkpoint record. One piece of work, resumable step by step inside."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.family import PLAIN, Conditions, Family
from rushes.records import Checkpoint, LossSummary
from rushes.specs import TrainRuntime, TrainSpec
from rushes.store.blobs import Blobs
from rushes.store.identity import seed_from_key
from rushes.train.data import TrainingSet
from rushes.train.lesson import BIN_PREFIX, Lesson, lesson_key
from rushes.train.loop import optimise
from rushes.train.network import Network, make_network, merged_weights
from rushes.train.objective import RewardWeightedObjective
from rushes.train.realism import weighted_moments
from rushes.train.setup import Setup, prepare
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
    on_setup: Callable[[Setup], None] = lambda setup: None,
) -> tuple[Checkpoint, Progress]:
    """Train and store the tuned weights under the base's own names.

    Raises:
        TrainingError: training broke down, or left the model as it was.
    """
    key, spec = lesson_key(lesson), lesson.spec
    start = blobs.read_tensors(lesson.start) if lesson.start is not None else None
    network = make_network(family, spec.lora, start, autocast=spec.precision == "bfloat16", conditions=conditions)
    with _parked(family):
        setup = prepare(network, data, spec, runtime or TrainRuntime())
        on_setup(setup)
        trained = optimise(
            network,
            data,
            _objective(network, data, spec),
            spec,
            seed=seed_from_key(key, spec.seed),
            scratch=scratch,
            setup=setup,
            held_out=held_out,
            should_stop=should_stop,
            on_step=on_step,
        )
        weights = merged_weights(network, trained.average)
    _check_changed(family, start, weights)
    progress = trained.progress
    checkpoint = Checkpoint(
        key=key,
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


@contextlib.contextmanager
def _parked(family: Family) -> Iterator[None]:
    """The family's own transformer in main memory meanwhile: training has its own copies on the device."""
    on_gpu = family.device.type == "cuda"
    if on_gpu:
        family.transformer.to("cpu")
        torch.cuda.empty_cache()
    try:
        yield
    finally:
        if on_gpu:
            family.transformer.to(family.device)


def _objective(network: Network, data: TrainingSet, spec: TrainSpec) -> RewardWeightedObjective:
    real = data.z_0_NCThw[data.is_real_N]
    source = real if len(real) else data.z_0_NCThw
    mean, std = (each.to(network.device) for each in weighted_moments(source, torch.ones(len(source))))
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
