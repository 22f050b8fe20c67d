"""Clips for a model card: before and after, chosen from the run's own measurements by the report's rule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from rushes.export.source import Source
from rushes.measure.pairs import pair_up
from rushes.records import Clip, Measurement, Scorecard
from rushes.report.clips import TARGET_PX
from rushes.report.examples import Choice, choose_examples
from rushes.store.video import write_video

if TYPE_CHECKING:
    from rushes.roles import Frames

FOLDER: Final = "samples"
"""Subfolder for the clips."""


@dataclass(frozen=True)
class Sample:
    """One prompt and seed, used with both models."""

    dimension: str
    """Quality dimension."""
    rule: str
    """The rule that chose it."""
    prompt: str
    """The text."""
    seed: int
    """Seed of the initial noise."""
    after: str
    """The tuned model's clip: path in the folder."""
    both: str
    """The base model's clip and the tuned one's, side by side: path in the folder."""


def write_gallery(source: Source, scorecard: Scorecard, folder: Path, num_dimensions: int) -> tuple[Sample, ...]:
    """Write mp4 files for people into a subfolder of `folder`.

    Args:
        source: a finished run.
        scorecard: its result.
        folder: the model's folder.
        num_dimensions: how many dimensions at most: those in focus first, then those that got worse.

    Returns:
        What was written: up to three per dimension, losses as well as gains; empty if no pair was scored.
    """
    run = source.run
    clips = {clip.key: clip for clip in run.clips.all()}
    prompts = {prompt.key: prompt for prompt in run.prompts.all()}
    choices = _choices(scorecard, run.measurements.all(), clips, num_dimensions, held_out=_held_out(source))
    (folder / FOLDER).mkdir(exist_ok=True)
    written: list[Sample] = []
    for number, choice in enumerate(choices, start=1):
        before, after = (clips[each.subject[0]] for each in (choice.pair.before, choice.pair.after))
        frames = [run.blobs.read_video(clip.frames) for clip in (before, after)]
        name = f"{FOLDER}/{number:02d}"
        scale = max(1, round(TARGET_PX / max(after.height_px, after.width_px)))
        write_video(folder / f"{name}-tuned.mp4", frames[1], after.fps, scale=scale)
        write_video(folder / f"{name}-before-after.mp4", side_by_side(*frames), after.fps, scale=scale)
        prompt = prompts[choice.pair.prompt_key]
        written.append(
            Sample(
                choice.pair.dimension,
                choice.rule,
                prompt.text,
                after.seed,
                after=f"{name}-tuned.mp4",
                both=f"{name}-before-after.mp4",
            )
        )
    return tuple(written)


def side_by_side(left_THWC: Frames, right_THWC: Frames) -> Frames:
    """Two clips of the same shape side by side, with a grey gap."""
    gap = np.full((*left_THWC.shape[:2], max(2, left_THWC.shape[2] // 16), 3), 128, np.uint8)
    return np.concatenate([left_THWC, gap, right_THWC], axis=2)


def _held_out(source: Source) -> frozenset[str]:
    return frozenset(prompt.key for prompt in source.run.prompts.all() if prompt.origin == "held_out")


def _choices(
    scorecard: Scorecard,
    measurements: list[Measurement],
    clips: dict[str, Clip],
    num_dimensions: int,
    *,
    held_out: frozenset[str],
) -> tuple[Choice, ...]:
    def of(model: str) -> list[Measurement]:
        return [
            each
            for each in measurements
            if each.prompt_key in held_out and all(key in clips and clips[key].model == model for key in each.subject)
        ]

    pairs = pair_up(of(scorecard.base_model), of(scorecard.tuned_model), clips.values()).pairs
    names = [row.dimension for row in scorecard.rows if row.is_focus]
    names += [row.dimension for row in scorecard.rows if row.verdict == "worse" and not row.is_focus]
    return choose_examples(pairs, names[:num_dimensions])
