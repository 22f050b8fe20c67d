"""A run folder with as many clips as wanted, made of records alone: no model is loaded. Every clip has real frames."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rushes.records import (
    Answer,
    Checkpoint,
    Clip,
    Measurement,
    Part,
    Prompt,
    Question,
    Rejection,
    Sample,
    SamplerSettings,
    Score,
    Scored,
)
from rushes.store.run import Run
from tests.support.sandbox_recipe import sandbox_recipe

DIMENSIONS = ("Composition", "Camera_Motion", "Mechanics")
SAMPLER = SamplerSettings(num_steps=2, guidance_scale=1.0, shift=1.0, scheduler="UniPCMultistepScheduler")
HOSTILE = (
    '<script>window.hacked = 1</script> a "ball"',
    "<img src=x onerror=window.hacked=1> & <b>bold</b>",
    "javascript:window.hacked=1 {{ 7 * 7 }} {% raw %}",
    "right \u202eto left\u202c and \u2066isolated, a bell \x07 and \x1b[31mred",
    "a ball " + "very" * 60,
    "ein Bällchen 小さな赤い球 كرة حمراء صغيرة 🎬",
)
"""Texts that a careless page would run, break on, or be turned around by."""


def key(*parts: object) -> str:
    """A work key of our own."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def make_run(home: Path, *, num_prompts: int = 6, num_takes: int = 2, texts: Sequence[str] = (), **how: bool) -> Path:
    """A run that has generated and judged its clips; with `measured=True`, also held-out pairs of two models.

    Args:
        home: the run folder.
        num_prompts: training prompts.
        num_takes: clips of each.
        texts: of the first prompts; others are numbered.
        how: `measured`.
    """
    recipe = sandbox_recipe(name=texts[0][:40] if texts else "made")
    with Run.open(home, recipe) as run:
        frames = [run.blobs.put_video(_frames(shade)) for shade in range(8)]
        prompts = [_prompt(index, "weakness", texts) for index in range(num_prompts)]
        run.prompts.land(prompts)
        clips = [
            _clip(prompt, take, "base", frames[(index + take) % 8])
            for index, prompt in enumerate(prompts)
            for take in range(num_takes)
        ]
        for begin in range(0, len(clips), 500):
            run.clips.land(clips[begin : begin + 500])
            run.answers.land([each for clip in clips[begin : begin + 500] for each in _answers(clip)])
        scores = [_score(clip) for clip in clips]
        run.write_derived("scores-0", scores)
        run.write_derived("samples-0", [_sample(clip, score) for clip, score in zip(clips, scores, strict=True)])
        refused = Rejection(text="a ball and a ball", dimension="Composition", reason="near_duplicate", detail="0.94")
        run.write_derived("rejections", [refused])
        if how.get("measured"):
            _measure(run, texts)
    return home


def _measure(run: Run, texts: Sequence[str]) -> None:
    """Twelve held-out prompts of two models; the tuned one is better in the first dimension."""
    weights = run.blobs.put_bytes(b"weights", ".safetensors")
    curves = run.blobs.put_bytes(b'{"real_flow": [[1, 0.5], [2, 0.4], [3, 0.35]]}', ".json")
    tuned = Checkpoint(key=key("tuned"), step=200, kind="full", ema=True, weights=weights, curves=curves, seconds=1.0)
    run.checkpoints.land([tuned])
    prompts = [_prompt(index, "held_out", texts) for index in range(12)]
    run.prompts.land(prompts)
    for model in ("base", tuned.key):
        clips = [_clip(p, 0, model, run.blobs.put_video(_frames(n % 8))) for n, p in enumerate(prompts)]
        run.clips.land(clips)
        run.answers.land([each for clip in clips for each in _answers(clip)])
        run.measurements.land([_measurement(clip, n, model != "base") for n, clip in enumerate(clips)])


def _prompt(index: int, origin: str, texts: Sequence[str]) -> Prompt:
    text = texts[index] if index < len(texts) else f"prompt number {index}: a red ball rolls to the left"
    dimension = DIMENSIONS[index % 3]
    questions = (
        Question(text=f"Is the ball red? {text[:60]}", expected="yes", dimension=dimension, about="colour"),
        Question(text="Is it blue?", expected="no", dimension=dimension, about="colour"),
    )
    return Prompt.model_validate(
        {"key": key(origin, index), "text": text, "base_text": text, "dimension": dimension, "origin": origin,
         "index": index, "questions": questions, "source": text[:40]}
    )  # fmt: skip


def _clip(prompt: Prompt, take: int, model: str, video: object) -> Clip:
    return Clip.model_validate(
        {"key": key("clip", prompt.key, take, model), "prompt_key": prompt.key, "dimension": prompt.dimension,
         "seed": 7, "seed_index": take, "model": model, "origin": "model", "sampler": SAMPLER, "height_px": 32,
         "width_px": 48, "num_frames": 8, "fps": 8.0, "seconds": 0.1, "video": video}
    )  # fmt: skip


def _p(clip: Clip) -> float:
    return int(clip.key[:4], 16) / 0xFFFF


def _answers(clip: Clip) -> list[Answer]:
    questions = (("Is the ball red?", "yes"), ("Is it blue?", "no"))
    return [
        Answer.model_validate(
            {"key": key("answer", clip.key, text), "clip_key": clip.key, "judge": "made", "p_yes": _p(clip),
             "question": {"text": text, "expected": expected, "dimension": clip.dimension, "about": "colour"}}
        )
        for text, expected in questions
    ]  # fmt: skip


def _score(clip: Clip) -> Score:
    outcome = Scored(value=_p(clip) * (1 - _p(clip)))
    return Score(clip_key=clip.key, prompt_key=clip.prompt_key, dimension=clip.dimension, outcome=outcome)


def _sample(clip: Clip, score: Score) -> Sample:
    assert isinstance(score.outcome, Scored)
    return Sample(
        clip_key=clip.key, prompt_key=clip.prompt_key, weight=score.outcome.value, source="own",
        dimension=clip.dimension, score=score.outcome.value,
    )  # fmt: skip


def _measurement(clip: Clip, number: int, is_tuned: bool) -> Measurement:
    value = 1.0 if is_tuned and clip.dimension == "Composition" else 0.0 if number % 2 else 0.5
    outcome = Scored(value=value, parts=(Part(name="Is it blue?", value=value),))
    return Measurement(
        key=key("measurement", clip.key), subject=(clip.key,), dimension=clip.dimension, prompt_key=clip.prompt_key,
        measurer="made", outcome=outcome,
    )  # fmt: skip


def _frames(shade: int) -> np.ndarray:
    """Eight frames of a square that moves to the right."""
    frames_THWC = np.full((8, 32, 48, 3), 30 + 20 * shade, np.uint8)
    for time in range(8):
        frames_THWC[time, 10:22, 4 + 4 * time : 16 + 4 * time] = (220, 40 + 20 * shade, 40)
    return frames_THWC
