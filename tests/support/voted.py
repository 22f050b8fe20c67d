"""A finished run for votes, made of records alone: held-out prompts of two models, whose clips differ in colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rushes.records import Checkpoint, Clip, Prompt, Scorecard
from rushes.store.run import Run
from tests.support.made_run import SAMPLER, key
from tests.support.sandbox_recipe import sandbox_recipe

DIMENSIONS = ("Composition", "Mechanics")


def make_voted_run(home: Path, num_prompts: int, text: str = "") -> Path:
    """Half of the prompts in each dimension; `text` is the first prompt's."""
    with Run.open(home, sandbox_recipe(name="voted")) as run:
        weights = run.blobs.put_bytes(b"weights", ".safetensors")
        tuned = Checkpoint(key=key("tuned"), step=200, kind="full", ema=True, weights=weights, seconds=1.0)
        run.checkpoints.land([tuned])
        for number in range(num_prompts):
            prompt = Prompt(
                key=key("held out", number),
                text=text if text and not number else f"prompt number {number}: a ball rolls",
                base_text="a ball rolls",
                dimension=DIMENSIONS[number % 2],
                origin="held_out",
                index=number,
            )
            run.prompts.land([prompt])
            run.clips.land([_clip(run, prompt, model) for model in ("base", tuned.key)])
        run.finish(
            Scorecard(base_model="base", tuned_model=tuned.key, measurer="perception", judge="sandbox-vqa", rows=())
        )
    return home


def _clip(run: Run, prompt: Prompt, model: str) -> Clip:
    frames_THWC = np.full((5, 24, 32, 3), 40, np.uint8)
    for time in range(5):
        frames_THWC[time, 6:18, 2 + 4 * time : 14 + 4 * time] = (220, 40, 40) if model == "base" else (40, 80, 220)
    frames_THWC[:, 0, 0] = prompt.index % 256
    return Clip(
        key=key("clip", prompt.key, model),
        prompt_key=prompt.key,
        dimension=prompt.dimension,
        seed=7,
        seed_index=0,
        model=model,
        origin="model",
        sampler=SAMPLER,
        height_px=24,
        width_px=32,
        num_frames=5,
        fps=8.0,
        seconds=0.1,
        video=run.blobs.put_video(frames_THWC),
    )
