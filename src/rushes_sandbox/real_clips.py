"""The sandbox's real videos: rendered clips of the balanced world with true captions.

Half of the captions mention every detail. The others leave open what prompts leave open too, such as the background,
and so show the model that every variant occurs; otherwise it would learn to show the easiest one wherever it can.

They come in memory for a recipe with `source: {use: sandbox}`, or as a folder like one of the user's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from rushes.errors import InputError, RecipeError
from rushes.recipe.base import ShapeSpec
from rushes.roles import RealClip, Video
from rushes.store.files import make_folder, store_error, write_atomic
from rushes.store.video import pixel_hash, write_video
from rushes_sandbox.captions import base_prompt, detailed_prompt
from rushes_sandbox.grammar import DIMENSIONS, draw_scene
from rushes_sandbox.questions import checks, questions_of
from rushes_sandbox.render import render
from rushes_sandbox.scene import FPS, Scene

METADATA: Final = "metadata.jsonl"
Caption = Callable[[Scene, np.random.Generator], str]


def sandbox_real_clips(
    num: int,
    seed: int = 0,
    dimensions: Sequence[str] | None = None,
    shape: ShapeSpec | None = None,
    *,
    detailed: bool = False,
) -> list[RealClip]:
    """Real clips of the sandbox, without any file. Clip i depends on i and on the arguments other than `num`.

    Args:
        num: how many.
        seed: decides all of them.
        dimensions: dimensions of the grammar, taken in turn; None for all.
        shape: size, number of frames and frame rate; None for the sandbox's own. Clips are square.
        detailed: if True, every caption mentions every detail.

    Raises:
        KeyError: the grammar has no such dimension.
        RecipeError: the shape is not square.
    """
    shape = shape or ShapeSpec()
    if shape.height_px != shape.width_px:
        raise RecipeError(
            "the sandbox's real clips are square",
            expected="shape.height_px equal to shape.width_px",
            got=(shape.height_px, shape.width_px),
            next_step=f"--set shape.width_px={shape.height_px}, or name a folder of videos in prompts.real.folder",
        )
    kinds = tuple(dimensions) if dimensions is not None else DIMENSIONS
    turns = [divmod(index, len(kinds)) for index in range(num)]
    captions = (detailed_prompt if detailed else base_prompt), detailed_prompt
    return [_clip((seed, i), kinds[place], captions[turn % 2], shape) for i, (turn, place) in enumerate(turns)]


def _clip(name: tuple[int, int], dimension: str, caption: Caption, shape: ShapeSpec) -> RealClip:
    rng = np.random.default_rng(name)
    scene = draw_scene(rng, dimension)
    text = caption(scene, rng)
    asked = questions_of(checks(scene, rng), dimension, rng)
    load = partial(_rendered, scene, shape)
    return RealClip("sandbox {}-{}".format(*name), text, dimension, asked, pixel_hash(load()), load)


def _rendered(scene: Scene, shape: ShapeSpec) -> Video:
    return Video(render(scene, shape.height_px, shape.num_frames), shape.fps)


def write_clip_folder(folder: str | Path, num_clips: int, seed: int = 0) -> Path:
    """Write the sandbox's real clips as a folder of lossless mp4 files with `metadata.jsonl`.

    `rushes.prompts.captions.read_clip_folder` returns exactly the pixels, captions and questions of
    `sandbox_real_clips(num_clips, seed)`. The metadata is written last: a folder that has it is complete.

    Args:
        folder: is created; must be missing or empty.
        num_clips: how many.
        seed: decides all of them.

    Returns:
        The metadata file.

    Raises:
        InputError: the folder is not empty.
        StoreError: disk full or read-only.
    """
    home = Path(folder)
    make_folder(home)
    try:
        there = sorted(path.name for path in home.iterdir())
    except OSError as error:
        raise store_error(home, error) from error
    if there:
        raise InputError(
            f"{home} is not empty",
            expected="a new or empty folder",
            got=there[:5],
            next_step="name another folder, or empty this one",
        )
    lines = []
    for index, clip in enumerate(sandbox_real_clips(num_clips, seed)):
        name = f"clip_{index:04d}.mp4"
        write_video(home / name, clip.load().frames_THWC, FPS, lossless=True)
        questions = [{"text": q.text, "expected": q.expected, "about": q.about} for q in clip.questions]
        row = {"file_name": name, "text": clip.text, "dimension": clip.dimension, "questions": questions}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_atomic(home / METADATA, "".join(lines).encode("utf-8"))
    return home / METADATA
