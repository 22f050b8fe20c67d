"""From samples to what training reads, and to the clips that it does not read: latents, texts, weights, preferences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.family import Family
from rushes.records import Clip, Prompt, Sample, Score, Scored
from rushes.store.blobs import Blobs
from rushes.train.data import TrainingSet
from rushes.train.lesson import Lesson
from rushes.train.watch import HeldOut

NUM_OWN_HELD_OUT: Final = 16
"""Clips of the run that training does not read, whose error is watched."""


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


def divide(lesson: Lesson) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """The samples to train on, and the `num_held_out` real ones that are kept out: the last by key.

    Raises:
        TrainingError: no real clip would be left to train on, or there are fewer than are to be kept out.
    """
    num = lesson.spec.num_held_out
    if num == 0:
        return lesson.samples, ()
    real = sorted(sample.clip_key for sample in lesson.samples if sample.source == "real")
    if num >= len(real):
        raise TrainingError(
            "train.num_held_out keeps all real clips out of training",
            expected=f"fewer than the {len(real)} real clips there are",
            got=num,
            next_step="lower train.num_held_out, or raise prompts.real.num_clips",
        )
    apart = set(real[-num:])
    kept = tuple(sample for sample in lesson.samples if sample.clip_key not in apart)
    return kept, tuple(sample for sample in lesson.samples if sample.clip_key in apart)


def training_set(
    lesson: Lesson,
    family: Family,
    blobs: Blobs,
    clips: Mapping[str, Clip],
    prompts: Mapping[str, Prompt],
    scores: Mapping[str, Score],
) -> TrainingSet:
    """Everything training reads, in main memory. Latents of real clips are always encoded from their pixels."""
    samples, _ = divide(lesson)
    z_0 = latents([clips[sample.clip_key] for sample in samples], family, blobs, lesson.reencode)
    return TrainingSet(
        z_0_NCThw=z_0,
        text=family.encode_text([prompts[sample.prompt_key].text for sample in samples]).float().to("cpu"),
        empty=family.encode_text([""]).float().to("cpu"),
        weight_N=torch.tensor([sample.weight for sample in samples]),
        preference_N=preferences(samples, scores),
        is_real_N=torch.tensor([sample.source == "real" for sample in samples]),
    )


def unread_clips(lesson: Lesson, clips: Mapping[str, Clip], prompts: Mapping[str, Prompt]) -> list[Clip]:
    """Own clips of prompts that the lesson has no sample of, such as the base's probe clips: the first by key."""
    keys = {sample.clip_key for sample in lesson.samples}
    texts = {sample.prompt_key for sample in lesson.samples}
    free = [
        clip
        for key, clip in sorted(clips.items())
        if clip.origin == "model" and key not in keys and clip.prompt_key not in texts and clip.prompt_key in prompts
    ]
    return free[:NUM_OWN_HELD_OUT]


def held_out_sets(
    lesson: Lesson, family: Family, blobs: Blobs, clips: Mapping[str, Clip], prompts: Mapping[str, Prompt]
) -> tuple[HeldOut, ...]:
    """Real clips that are kept out of training, where the recipe says so, and own clips that it has no use for."""
    real = [clips[sample.clip_key] for sample in divide(lesson)[1]]
    found = []
    for name, chosen in (("real", real), ("own", unread_clips(lesson, clips, prompts))):
        if chosen:
            z_0 = latents(chosen, family, blobs, lesson.reencode)
            texts = family.encode_text([prompts[clip.prompt_key].text for clip in chosen]).float().to("cpu")
            found.append(HeldOut(name, z_0, texts))
    return tuple(found)


def latents(clips: Sequence[Clip], family: Family, blobs: Blobs, reencode: bool) -> Tensor:
    """Clean normalised latents of clips, (N, C, t, h, w) in main memory.

    Raises:
        TrainingError: a number in them is not finite.
    """
    parts = [clips[at : at + 16] for at in range(0, len(clips), 16)]
    z_0 = torch.cat([_latents(part, family, blobs, reencode) for part in parts])
    if not bool(torch.isfinite(z_0).all()):
        raise TrainingError("the latents of a clip are not finite", next_step="film again: delete the run's clips")
    return z_0


def _latents(clips: Sequence[Clip], family: Family, blobs: Blobs, reencode: bool) -> Tensor:
    rows: list[Tensor | None] = []
    for clip in clips:
        keep = clip.origin == "model" and not reencode and clip.latents is not None
        rows.append(blobs.read_tensors(clip.latents)["latents"].float() if keep and clip.latents else None)
    missing = [i for i, row in enumerate(rows) if row is None]
    if missing:
        encoded = family.encode([blobs.read_video(clips[i].video) for i in missing]).cpu()
        for i, row in zip(missing, encoded, strict=True):
            rows[i] = row
    return torch.stack([row for row in rows if row is not None])
