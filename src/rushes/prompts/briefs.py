"""Briefs for prompts: how many of which dimension, each with a key and a seed independent of all other briefs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rushes.dimensions import Dimension
from rushes.errors import InputError
from rushes.plugins import QUESTION_WRITER, resolved
from rushes.recipe.prompts import FixedWriterSpec
from rushes.records import Origin
from rushes.roles import Brief, RealClip, Spec
from rushes.store.advance import Work
from rushes.store.files import sha256_of_file
from rushes.store.identity import seed_from_key, work_key

Split = Literal["development", "test", "test-2", "watch"]
"""Which held-out prompts, as keys name them: `development` to choose a recipe by, `watch` to watch training, `test-2`
for `measure.split: test`, to confirm a recipe once, and `test` for `measure.split: seen`, which had that name."""


@dataclass(frozen=True)
class Aim:
    """A dimension, and how many prompts of it are needed.

    Example: `Aim(catalogue("rushes_sandbox:dimensions.yaml")[0], 64)`.
    """

    dimension: Dimension
    """What the prompts should exercise."""
    num_prompts: int
    """How many should be left after the screen."""


def plan_briefs(
    aims: Sequence[Aim],
    *,
    origin: Origin,
    writer: Spec,
    seed: int = 0,
    split: Split | None = None,
    round_index: int = 0,
    oversample: float = 1.0,
    questions: Spec | None = None,
) -> list[Work[Brief]]:
    """The drafts to write: for every aim, the number of prompts times `oversample`.

    Key and seed of a brief depend only on its own dimension, origin, split, round and number. Planning more of them, or
    other dimensions, does not change the first ones. Different origins and splits have different seeds; `screen_splits`
    makes their texts differ too.

    Args:
        aims: dimensions with their numbers.
        origin: what the prompts are for; captions are planned by `plan_captions`.
        writer: spec of the writer, resolved; part of the keys.
        seed: root of all seeds.
        split: for held-out prompts, which ones; None for all others.
        round_index: round of the loop, from 0; later rounds get other weakness prompts.
        oversample: drafts per prompt needed, at least 1, since the screen refuses some.
        questions: spec of the writer of questions for texts that have none; part of the keys if given.

    Raises:
        InputError: the writer reads a file that does not exist.
        ValueError: an origin without its split or the other way round, a negative number, or oversample below 1.
    """
    if (origin == "held_out") != (split is not None) or origin == "caption":
        raise ValueError(f"expected a split exactly for held_out prompts, got origin={origin!r}, split={split!r}")
    if oversample < 1 or any(aim.num_prompts < 0 for aim in aims):
        raise ValueError(f"expected oversample >= 1 and numbers >= 0, got {oversample!r} and {aims!r}")
    work: list[Work[Brief]] = []
    order = {"writer": _identity(writer), "origin": origin, "split": split, "seed": seed, "round": round_index}
    order |= _asked_by(questions)
    for aim in aims:
        spec = {**order, "dimension": aim.dimension}
        for index in range(math.ceil(aim.num_prompts * oversample)):
            key = work_key("prompt", spec, index=index)
            work.append(Work(key, _brief(aim.dimension, origin, index, seed_from_key(key, "write"))))
    return work


def _asked_by(questions: Spec | None) -> dict[str, Spec]:
    return {} if questions is None else {"question_writer": resolved(questions, QUESTION_WRITER)}


def plan_captions(clips: Sequence[RealClip], questions: Spec | None = None) -> list[Work[Brief]]:
    """One brief per real clip, in order; `rushes.prompts.captions.CaptionWriter` over the same clips writes them.

    Args:
        clips: the clips with their captions.
        questions: spec of the writer of questions for captions that have none.
    """
    work: list[Work[Brief]] = []
    for index, clip in enumerate(clips):
        spec: dict[str, Any] = {
            "text": clip.text,
            "dimension": clip.dimension,
            "questions": clip.questions,
            "pixels": clip.sha256,
        }
        if not clip.questions:
            spec |= _asked_by(questions)
        key = work_key("caption", spec, index=index)
        brief = Brief(
            dimension=clip.dimension,
            description="",
            examples=(),
            example_questions=(),
            origin="caption",
            index=index,
            seed=seed_from_key(key, "write"),
        )
        work.append(Work(key, brief))
    return work


def _brief(dimension: Dimension, origin: Origin, index: int, seed: int) -> Brief:
    return Brief(
        dimension=dimension.name,
        description=dimension.description,
        examples=dimension.examples,
        example_questions=dimension.example_questions,
        origin=origin,
        index=index,
        seed=seed,
    )


def _identity(writer: Spec) -> Spec | dict[str, str]:
    """The part of a writer's spec that affects its prompts: a file counts by its content, not by its path."""
    if not isinstance(writer, FixedWriterSpec):
        return writer
    try:
        return {"kind": writer.kind, "sha256": sha256_of_file(Path(writer.path))}
    except OSError as error:
        raise InputError(
            "the file of prompts cannot be read",
            expected="a .jsonl file",
            got=writer.path,
            next_step="write it, or correct prompts.writer.path",
        ) from error
