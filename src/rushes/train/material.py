"""From samples to the training data and the held-out clips: latents, texts, weights, preferences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from rushes.errors import TrainingError
from rushes.families.family import Family
from rushes.families.loaded import TEXT_BATCH
from rushes.families.texts import TextStates
from rushes.recipe.train import check_held_out
from rushes.records import Clip, Prompt, Sample
from rushes.store.blobs import Blobs
from rushes.train.data import Known, TrainingSet
from rushes.train.lesson import Lesson
from rushes.train.shelf import shelved
from rushes.train.watch import HeldOut

NUM_OWN_HELD_OUT: Final = 16
"""The run's own clips that are not trained on, whose error is recorded."""
NUM_ENCODED_AT_ONCE: Final = 16
"""Clips whose latents are read or encoded together."""
MAX_PIXELS: Final = 2**24
"""Maximum pixels, over all frames, per call of the autoencoder; a larger clip is encoded alone."""


def divide(lesson: Lesson) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """The samples to train on, and the `num_held_out` real ones that are kept out: the last by key.

    Raises:
        TrainingError: no real clip would be left to train on, or there are fewer than are to be kept out.
    """
    num = lesson.spec.num_held_out
    if num == 0:
        return lesson.samples, ()
    real = sorted(sample.clip_key for sample in lesson.samples if sample.source == "real")
    if not real:  # real clips alone are trained on: some of those
        real = sorted(sample.clip_key for sample in lesson.samples)
    check_held_out(num, len(real))
    apart = set(real[-num:])
    kept = tuple(sample for sample in lesson.samples if sample.clip_key not in apart)
    return kept, tuple(sample for sample in lesson.samples if sample.clip_key in apart)


def training_set(
    lesson: Lesson,
    family: Family,
    blobs: Blobs,
    clips: Mapping[str, Clip],
    prompts: Mapping[str, Prompt],
    folder: Path,
) -> TrainingSet:
    """Everything that training reads: weights in memory, latents and texts in memory-mapped files.

    Latents of real clips are always encoded from their pixels.

    Args:
        lesson: what to learn.
        family: the loaded base.
        blobs: where clips are stored.
        clips: by key.
        prompts: by key.
        folder: for this lesson only, on a disk with space for all its latents and texts (`rushes plan`); what an
            earlier process has written there is not encoded again.

    Raises:
        TrainingError: a latent is not finite, or no weight is left.
        StoreError: the disk is full.
    """
    samples, _ = divide(lesson)
    texts = [prompts[sample.prompt_key].text for sample in samples]
    distinct = list(dict.fromkeys(texts))
    rows = {text: row for row, text in enumerate(distinct)}
    shown = [sample.clip_key for sample in samples]
    known = known_of(samples, clips)

    def states(part: slice) -> Mapping[str, Tensor]:
        return family.encode_text(distinct[part]).float().to("cpu").tensors()

    def of_shape(number: int, keys: Sequence[str]) -> Tensor:
        def clean(part: slice) -> Mapping[str, Tensor]:
            return {"z_0": _finite(_latents([clips[key] for key in keys[part]], family, blobs, lesson.reencode))}

        name = f"latents-{number}" if number else "latents"
        return shelved(folder, name, len(keys), NUM_ENCODED_AT_ONCE, clean)["z_0"]

    # The chunk sizes are those of `encode_text` and `latents`.
    first, *others = (of_shape(number, keys) for number, keys in enumerate(_by_shape(shown, known)))
    return TrainingSet(
        z_0_NCThw=first,
        further=tuple(others),
        text=TextStates.of(shelved(folder, "text", len(distinct), TEXT_BATCH, states)),
        text_row_N=torch.tensor([rows[text] for text in texts]),
        seed_N=torch.tensor([clips[key].seed for key in shown]),
        empty=family.encode_text([""]).float().to("cpu"),
        **vars(known),
    )


def _by_shape(keys: Sequence[str], known: Known) -> list[list[str]]:
    """The clips of each shape, in order."""
    if known.shape_N is None:
        return [list(keys)]
    numbers = known.shape_N.tolist()
    return [[key for key, of in zip(keys, numbers, strict=True) if of == each] for each in range(max(numbers) + 1)]


def known_of(samples: Sequence[Sample], clips: Mapping[str, Clip] | None = None) -> Known:
    """What samples say themselves, as columns; with the clips also which of them have one shape."""
    return Known(
        weight_N=torch.tensor([sample.weight for sample in samples]),
        is_real_N=torch.tensor([sample.source == "real" for sample in samples]),
        preference_N=_column([sample.preference for sample in samples]),
        score_N=_column([sample.score for sample in samples]),
        advantage_N=_column([sample.advantage for sample in samples]),
        shape_N=None if clips is None else _shape_numbers([clips[sample.clip_key] for sample in samples]),
        **_together(samples),
    )


def shape_of(clip: Clip) -> tuple[int, int, int]:
    """Frames, height and width of a clip, pixels."""
    return clip.num_frames, clip.height_px, clip.width_px


def _shape_numbers(clips: Iterable[Clip]) -> Tensor | None:
    """The number of each clip's shape, (N,) int64, in the order of the shapes' sides; None if all have one."""
    shapes = [shape_of(clip) for clip in clips]
    numbers = {shape: number for number, shape in enumerate(sorted(set(shapes)))}
    return torch.tensor([numbers[shape] for shape in shapes]) if len(numbers) > 1 else None


def _column(values: Sequence[float | None]) -> Tensor:
    """Missing values as NaN, never as 0."""
    return torch.tensor([math.nan if value is None else value for value in values])


def _together(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Which samples are takes of one prompt, and which of them are paired."""
    row = {sample.clip_key: i for i, sample in enumerate(samples)}
    group = {key: i for i, key in enumerate(dict.fromkeys(sample.prompt_key for sample in samples))}
    partners = [row.get(sample.partner, -1) if sample.partner is not None else -1 for sample in samples]
    named = [(i, row[key]) for i, sample in enumerate(samples) for key in sample.preferred_over if key in row]
    return {
        **(
            {"pairs_P2": torch.tensor(named, dtype=torch.int64).view(-1, 2)}
            if any(each.preferred_over for each in samples)
            else {}
        ),
        "group_N": torch.tensor([group[sample.prompt_key] for sample in samples]),
        "partner_N": torch.tensor(partners),
    }


def unread_clips(lesson: Lesson, clips: Mapping[str, Clip], prompts: Mapping[str, Prompt]) -> list[Clip]:
    """Own clips of prompts without a sample in the lesson, such as the base's probe clips: the first ones by key."""
    keys = {sample.clip_key for sample in lesson.samples}
    texts = {sample.prompt_key for sample in lesson.samples}
    others = (clips[key] for key in sorted(clips) if key not in keys)
    free = (
        clip
        for clip in others
        if clip.origin == "model" and clip.prompt_key not in texts and clip.prompt_key in prompts
    )
    return list(islice(free, NUM_OWN_HELD_OUT))


def held_out_sets(
    lesson: Lesson, family: Family, blobs: Blobs, clips: Mapping[str, Clip], prompts: Mapping[str, Prompt]
) -> tuple[HeldOut, ...]:
    """Real clips that the recipe keeps out of training, and own clips that training does not use."""
    real = [clips[sample.clip_key] for sample in divide(lesson)[1]]
    found = []
    for name, chosen in (("real", real), ("own", unread_clips(lesson, clips, prompts))):
        for shape in sorted({shape_of(clip) for clip in chosen}):
            alike = [clip for clip in chosen if shape_of(clip) == shape]
            z_0 = latents(alike, family, blobs, lesson.reencode)
            texts = family.encode_text([prompts[clip.prompt_key].text for clip in alike]).float().to("cpu")
            found.append(HeldOut(name, z_0, texts))
    return tuple(found)


def latents(clips: Sequence[Clip], family: Family, blobs: Blobs, reencode: bool) -> Tensor:
    """Clean normalised latents of clips, (N, C, t, h, w) in main memory.

    Raises:
        TrainingError: a number in them is not finite.
    """
    parts = [clips[at : at + NUM_ENCODED_AT_ONCE] for at in range(0, len(clips), NUM_ENCODED_AT_ONCE)]
    return torch.cat([_finite(_latents(part, family, blobs, reencode)) for part in parts])


def _finite(z_0: Tensor) -> Tensor:
    if not bool(torch.isfinite(z_0).all()):
        raise TrainingError("the latents of a clip are not finite", next_step="run the recipe in a new folder: --home")
    return z_0


def _latents(clips: Sequence[Clip], family: Family, blobs: Blobs, reencode: bool) -> Tensor:
    rows: list[Tensor | None] = []
    for clip in clips:
        keep = clip.origin == "model" and not reencode and clip.latents is not None
        rows.append(blobs.read_tensors(clip.latents)["latents"].float() if keep and clip.latents else None)
    missing = [i for i, row in enumerate(rows) if row is None]
    if missing:
        first = clips[missing[0]]
        num = max(1, MAX_PIXELS // (first.num_frames * first.height_px * first.width_px))
        for at in range(0, len(missing), num):
            part = missing[at : at + num]
            encoded = family.encode([blobs.read_video(clips[i].frames) for i in part]).cpu()
            for i, row in zip(part, encoded, strict=True):
                rows[i] = row
    return torch.stack([row for row in rows if row is not None])
