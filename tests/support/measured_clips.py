"""Records for the tests of comparing: clips and measurements from a few numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from rushes.records import BlobRef, Clip, Measurement, Part, SamplerSettings, Score, Scored, Unscored

SAMPLER = SamplerSettings(num_steps=4, guidance_scale=1.0, shift=1.0, scheduler="UniPCMultistepScheduler")


def key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def clip(model: str, dimension: str, prompt: int, take: int = 0) -> Clip:
    return Clip(
        key=key("clip", model, dimension, prompt, take),
        prompt_key=key("prompt", dimension, prompt),
        dimension=dimension,
        seed=take,
        seed_index=take,
        model=model,
        origin="model",
        sampler=SAMPLER,
        height_px=8,
        width_px=8,
        num_frames=5,
        fps=8.0,
        seconds=0.1,
        video=BlobRef(sha256="5f" * 32, suffix=".safetensors", num_bytes=1),
    )


def measured(clips: Sequence[Clip], value: float | str, parts: tuple[Part, ...] = ()) -> Measurement:
    """A measurement of one clip or a group; `value` is a score, or the reason why there is none."""
    outcome = Unscored(reason=value) if isinstance(value, str) else Scored(value=value, parts=parts)
    return Measurement(
        key=key("measurement", *(each.key for each in clips)),
        subject=tuple(each.key for each in clips),
        dimension=clips[0].dimension,
        prompt_key=clips[0].prompt_key,
        measurer="tester",
        outcome=outcome,
    )


def judged(each: Clip, value: float | str) -> Score:
    outcome = Unscored(reason=value) if isinstance(value, str) else Scored(value=value)
    return Score(clip_key=each.key, prompt_key=each.prompt_key, dimension=each.dimension, outcome=outcome)


class Stand:
    """Two models' measurements, gathered dimension by dimension."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.before: list[Measurement] = []
        self.after: list[Measurement] = []
        self.judged: list[Score] = []

    def add(
        self,
        dimension: str,
        before: Sequence[float | str],
        after: Sequence[float | str],
        judge: tuple[Sequence[float | str], Sequence[float | str]] | None = None,
    ) -> Stand:
        """One prompt with one take per value."""
        for side, (model, values) in enumerate((("base", before), ("tuned", after))):
            for prompt, value in enumerate(values):
                made = clip(model, dimension, prompt)
                self.clips.append(made)
                (self.before, self.after)[side].append(measured([made], value))
                if judge is not None:
                    self.judged.append(judged(made, judge[side][prompt]))
        return self

    def add_group(self, dimension: str, model: str, prompt: int, takes: Sequence[int], value: float) -> Stand:
        """One group of takes of one prompt."""
        made = [clip(model, dimension, prompt, take) for take in takes]
        self.clips.extend(made)
        (self.before if model == "base" else self.after).append(measured(made, value))
        return self
