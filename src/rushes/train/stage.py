"""The training stage: from samples to a checkpoint record. One piece of work, resumable step by step inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.records import Checkpoint, Clip, LossSummary, Prompt, Sample, Score, Scored
from rushes.specs import TrainSpec
from rushes.store.blobs import Blobs
from rushes.store.identity import seed_from_key
from rushes.train.data import TrainingSet
from rushes.train.lesson import Lesson, lesson_key
from rushes.train.loop import optimise
from rushes.train.network import Network, make_network, merged_weights
from rushes.train.objective import RewardWeightedObjective
from rushes.train.realism import weighted_moments
from rushes.train.state import Progress

if TYPE_CHECKING:
    from rushes.families.wan import Wan


def preferences(samples: Sequence[Sample], scores: Mapping[str, Score]) -> Tensor:
    """Preference r in [0, 1] of each sample: 1/2 plus half its score's distance to the mean of its prompt's takes.

    Real clips get 1. Scaled by the largest distance met, so that the best and worst clips reach 1 and 0 at most.
    """
    by_prompt: dict[str, list[float]] = {}
    for sample in samples:
        score = scores.get(sample.clip_key)
        if score is not None and isinstance(score.outcome, Scored):
            by_prompt.setdefault(sample.prompt_key, []).append(score.outcome.value)
    centred: list[float] = []
    for sample in samples:
        score = scores.get(sample.clip_key)
        if sample.source == "own" and score is not None and isinstance(score.outcome, Scored):
            takes = by_prompt[sample.prompt_key]
            centred.append(score.outcome.value - sum(takes) / len(takes))
        else:
            centred.append(0.0)
    largest = max((abs(value) for value in centred), default=0.0) or 1.0
    own = torch.tensor([sample.source == "own" for sample in samples])
    return torch.where(own, 0.5 + 0.5 * torch.tensor(centred) / largest, torch.ones(len(samples)))


def training_set(
    lesson: Lesson,
    wan: Wan,
    blobs: Blobs,
    clips: Mapping[str, Clip],
    prompts: Mapping[str, Prompt],
    scores: Mapping[str, Score],
) -> TrainingSet:
    """Everything training reads, in memory. Latents of real clips are always encoded from their pixels."""
    samples = lesson.samples
    chosen = [clips[sample.clip_key] for sample in samples]
    z_0 = torch.cat([_latents(chosen[at : at + 16], wan, blobs, lesson.reencode) for at in range(0, len(chosen), 16)])
    if not bool(torch.isfinite(z_0).all()):
        raise TrainingError("the latents of a clip are not finite", next_step="film again: delete the run's clips")
    return TrainingSet(
        z_0_NCThw=z_0,
        text_NLD=wan.encode_text([prompts[sample.prompt_key].text for sample in samples]).float(),
        empty_LD=wan.encode_text([""])[0].float(),
        weight_N=torch.tensor([sample.weight for sample in samples]),
        preference_N=preferences(samples, scores),
        is_real_N=torch.tensor([sample.source == "real" for sample in samples]),
    )


def _latents(clips: Sequence[Clip], wan: Wan, blobs: Blobs, reencode: bool) -> Tensor:
    rows: list[Tensor | None] = []
    for clip in clips:
        keep = clip.origin == "model" and not reencode and clip.latents is not None
        rows.append(blobs.read_tensors(clip.latents)["latents"].float() if keep and clip.latents else None)
    missing = [i for i, row in enumerate(rows) if row is None]
    if missing:
        encoded = wan.encode([blobs.read_video(clips[i].video) for i in missing]).cpu()
        for i, row in zip(missing, encoded, strict=True):
            rows[i] = row
    return torch.stack([row for row in rows if row is not None])


def teach(
    lesson: Lesson,
    wan: Wan,
    data: TrainingSet,
    blobs: Blobs,
    scratch: Path,
    *,
    should_stop: Callable[[], bool],
    on_step: Callable[[Progress], None],
) -> tuple[Checkpoint, Progress]:
    """Train and store the tuned weights under the base's own names.

    Raises:
        TrainingError: training broke down, or left the model as it was.
    """
    key, spec = lesson_key(lesson), lesson.spec
    start = blobs.read_tensors(lesson.start) if lesson.start is not None else None
    network = make_network(wan, spec.lora, start, autocast=spec.precision == "bfloat16")
    trained = optimise(
        network,
        data,
        _objective(network, data, spec),
        spec,
        seed=seed_from_key(key, spec.seed),
        scratch=scratch,
        should_stop=should_stop,
        on_step=on_step,
    )
    weights = merged_weights(network, trained.average)
    _check_changed(wan, start, weights)
    progress = trained.progress
    checkpoint = Checkpoint(
        key=key,
        step=progress.step,
        kind="full" if spec.lora is None else "lora",
        ema=spec.ema_decay > 0,
        parent=lesson.parent,
        weights=blobs.put_tensors(weights),
        losses=tuple(_summary(term, points) for term, points in progress.curves.items()),
        curves=blobs.put_bytes(json.dumps(progress.curves).encode(), ".json"),
        num_skipped_steps=progress.num_skipped,
        seconds=progress.seconds,
    )
    return checkpoint, progress


def _objective(network: Network, data: TrainingSet, spec: TrainSpec) -> RewardWeightedObjective:
    real = data.z_0_NCThw[data.is_real_N]
    source = real if len(real) else data.z_0_NCThw
    mean, std = weighted_moments(source, torch.ones(len(source)))
    needs_reference = spec.anchor > 0 or spec.negative > 0
    return RewardWeightedObjective(spec, network.reference if needs_reference else None, mean, std)


def _check_changed(wan: Wan, start: Mapping[str, Tensor] | None, weights: Mapping[str, Tensor]) -> None:
    """After training the model must differ from where it began, under exactly the same names."""
    before = start if start is not None else wan.transformer.state_dict()
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
