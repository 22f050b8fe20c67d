"""Small prompts, clips, scores and measurements for tests of judging and weighing; keys follow from their names."""

from __future__ import annotations

import numpy as np

from rushes.records import (
    BlobRef,
    Clip,
    Measurement,
    Outcome,
    Prompt,
    Question,
    SamplerSettings,
    Score,
    Scored,
    Unscored,
)
from rushes.store.blobs import Blobs
from rushes.store.identity import content_hash

SAMPLER = SamplerSettings(num_steps=2, guidance_scale=1.0, shift=1.0, scheduler="FlowMatchEulerDiscreteScheduler")


def key(*name: object) -> str:
    """A work key that stands for `name`."""
    return content_hash(list(name))


def make_question(text: str, expected: str = "yes", dimension: str = "Mechanics") -> Question:
    return Question.model_validate({"text": text, "expected": expected, "dimension": dimension, "about": "test"})


def make_prompt(name: str, *questions: Question, dimension: str = "Mechanics") -> Prompt:
    return Prompt(
        key=key("prompt", name),
        text=f"the text of {name}",
        base_text="text",
        dimension=dimension,
        origin="weakness",
        index=0,
        questions=questions,
    )


def make_clip(prompt: Prompt, take: int = 0, *, brightness: int = 0, blobs: Blobs | None = None) -> Clip:
    """A grey clip of 3 frames of 4 x 4 px; its video is stored only where there are `blobs`."""
    frames = np.full((3, 4, 4, 3), brightness, np.uint8)
    video = BlobRef(sha256=key("video", brightness), suffix=".safetensors", num_bytes=1)
    return Clip(
        key=key("clip", prompt.key, take),
        prompt_key=prompt.key,
        dimension=prompt.dimension,
        seed=take,
        seed_index=take,
        model="base",
        origin="model",
        sampler=SAMPLER,
        height_px=4,
        width_px=4,
        num_frames=3,
        fps=8.0,
        seconds=0.0,
        video=blobs.put_video(frames) if blobs is not None else video,
    )


def outcome_of(value: float | None) -> Outcome:
    return Unscored(reason="no idea") if value is None else Scored(value=value)


def make_score(clip: Clip, value: float | None) -> Score:
    return Score(clip_key=clip.key, prompt_key=clip.prompt_key, dimension=clip.dimension, outcome=outcome_of(value))


def make_measurement(clip: Clip, value: float | None) -> Measurement:
    return Measurement(
        key=key("measurement", clip.key),
        subject=(clip.key,),
        dimension=clip.dimension,
        prompt_key=clip.prompt_key,
        measurer="test",
        outcome=outcome_of(value),
    )
