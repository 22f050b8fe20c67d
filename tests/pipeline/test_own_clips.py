"""A run whose real clips are a user's own folder of mp4 files: of other sizes and lengths, and some of no use."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from rushes.families.load import load_family
from rushes.findings import Unready
from rushes.pipeline import improve
from rushes.prompts.clip_rows import ClipRow
from rushes.recipe.prompts import RealClipsSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import RealismSpec, TrainSpec
from rushes.records import Clip, Sample
from rushes.store.run import Run
from rushes.store.video import write_video
from rushes.train import loop
from rushes.train.data import Step, TrainingSet, step_batch
from rushes_sandbox.real_clips import sandbox_real_clips
from tests.support.sandbox_recipe import prompts_spec
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

if TYPE_CHECKING:
    from rushes.roles import Frames

CAPTIONS = {
    "wide.mp4": "a red circle moves to the left",
    "quick.mp4": "a small green triangle falls",
    "little.mp4": "a blue square grows on a grey background",
    "corrupt.mp4": "a yellow cross moves up",
    "empty.mp4": "a purple circle",
    "short.mp4": "the camera zooms in on an orange square",
    "silent.mp4": "",
}
SHARE = 0.5


def rendered(number: int) -> Frames:
    """17 frames of 64x64 px with something in them."""
    return sandbox_real_clips(number + 1)[number].load().frames_THWC


@cache
def sources() -> dict[str, tuple[Frames, float]]:
    """The good ones, with their rates: 64x48 px and 2.1 s, 64x64 px at twice the model's rate, 24x24 px and 0.9 s."""
    return {
        "wide.mp4": (rendered(0)[:, 8:56], 8.0),
        "quick.mp4": (rendered(7), 16.0),
        "little.mp4": (rendered(2)[:7, 20:44, 20:44], 8.0),
    }


PARTS: dict[str, tuple[slice, slice]] = {
    "wide.mp4": (slice(0, 5), slice(8, 56)),
    "quick.mp4": (slice(0, 10, 2), slice(0, 64)),
    "little.mp4": (slice(0, 5), slice(0, 24)),
}
"""What of each is left: frames by the model's clock, and columns around the middle."""


def write_folder(folder: Path, metadata: str) -> Path:
    for name, (frames, fps) in sources().items():
        write_video(folder / name, frames, fps)
    write_video(folder / "short.mp4", rendered(3)[:4], 8.0)
    write_video(folder / "silent.mp4", rendered(4), 8.0)
    whole = (folder / "wide.mp4").read_bytes()
    (folder / "corrupt.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    with (folder / metadata).open("w", encoding="utf-8", newline="") as file:
        if metadata.endswith(".csv"):
            csv.writer(file).writerows([("file_name", "text"), *CAPTIONS.items()])
        else:
            rows = [{"file_name": name} | ({"text": text} if text else {}) for name, text in CAPTIONS.items()]
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder


@dataclass(frozen=True)
class Finished:
    """A finished run, and the batch of every step that it trained on."""

    recipe: Recipe
    home: Path
    steps: dict[int, Step]


@pytest.fixture(scope="module", params=["metadata.jsonl", "metadata.csv"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("own")
    tiny = tiny_recipe(make_tiny_wan(folder / "model"))
    mine = write_folder(folder / "my clips", request.param)
    recipe = tiny.model_copy(
        update={
            "prompts": prompts_spec(num_weakness=6, real=RealClipsSpec(folder=str(mine), num_clips=8)),
            "train": tiny.train.model_copy(update={"realism": RealismSpec(kind="real_flow", share=SHARE)}),
        }
    )
    steps: dict[int, Step] = {}

    def drawn(data: TrainingSet, spec: TrainSpec, step: int, seed: int, *levels: Any) -> Step:
        steps[step] = step_batch(data, spec, step, seed, *levels)
        return steps[step]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "step_batch", drawn)
        assert improve(recipe, folder / "run") is not None
    return Finished(recipe, folder / "run", steps)


def real_clips(run: Run) -> dict[str, Clip]:
    """The real clips, by the name of the file that each came from."""
    names = {text: name for name, text in CAPTIONS.items() if text}
    texts = {prompt.key: prompt.text for prompt in run.prompts.all()}
    return {names[texts[clip.prompt_key]]: clip for clip in run.clips.all() if clip.origin == "real"}


def tiles(frames_THWC: Frames) -> np.ndarray:
    """Mean colours of an 8 by 8 grid of each frame: what resizing and the codec leave nearly as it was."""
    num, height, width, _ = frames_THWC.shape
    return frames_THWC.reshape(num, 8, height // 8, 8, width // 8, 3).mean(axis=(2, 4))


def test_a_folder_that_is_gone_stops_a_new_run_before_it_generates_and_not_a_finished_one(finished: Finished) -> None:
    folder = Path(finished.recipe.prompts.real.folder or "")
    away = folder.rename(folder.with_name("away"))
    home = finished.home.with_name("new")
    try:
        assert improve(finished.recipe, finished.home) is not None
        with pytest.raises(Unready, match="no folder of videos"):
            improve(finished.recipe, home)
    finally:
        away.rename(folder)
    assert not home.exists()


def test_what_became_of_every_file_is_written_down_with_its_reason(finished: Finished) -> None:
    with Run.view(finished.home) as run:
        rows = {row.name: row for row in run.read_derived("real-clips", ClipRow) or []}
    bad = {"corrupt.mp4": "unreadable", "empty.mp4": "empty", "short.mp4": "too_short", "silent.mp4": "missing_caption"}
    assert {name: row.reason for name, row in rows.items()} == dict.fromkeys(PARTS, "fitted") | bad
    outcomes = dict.fromkeys(PARTS, "cut") | dict.fromkeys(bad, "dropped")
    assert {name: row.outcome for name, row in rows.items()} == outcomes
    assert rows["wide.mp4"].detail == (
        "the first 0.62 s of 2.12 s; cropped from 64x48 to 48x48 px around the middle; resized from 48x48 to 32x32 px"
    )
    assert "16 to 8 frames per second" in rows["quick.mp4"].detail
    assert "resized from 24x24 to 32x32 px" in rows["little.mp4"].detail
    page = (finished.home / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in bad)


def test_the_good_ones_are_used_in_the_models_shape(finished: Finished) -> None:
    with Run.view(finished.home) as run:
        clips = real_clips(run)
        stored = {name: run.blobs.read_video(clip.frames) for name, clip in clips.items()}
    assert set(clips) == set(PARTS)
    shape = (TINY_SHAPE.num_frames, TINY_SHAPE.height_px, TINY_SHAPE.width_px, 3)
    for name, frames in stored.items():
        assert frames.shape == shape and clips[name].fps == TINY_SHAPE.fps
        source, (times, columns) = sources()[name][0], PARTS[name]
        gap = np.abs(tiles(frames) - tiles(source[times, :, columns])).max()
        assert gap < 40.0, f"{name}: not the stretch and the part of the picture that was to be taken"


def test_training_draws_them(finished: Finished) -> None:
    recipe = finished.recipe
    with Run.view(finished.home) as run:
        clips = real_clips(run)
        samples = [each for each in run.read_derived("samples-0", Sample) or [] if each.source == "real"]
        [checkpoint] = run.checkpoints.all()
        curves = json.loads(run.blobs.read_bytes(checkpoint.curves)) if checkpoint.curves else {}
        frames = [run.blobs.read_video(clip.frames) for clip in clips.values()]
    assert {each.clip_key for each in samples} == {clip.key for clip in clips.values()}
    assert {each.weight for each in samples} == {1.0}
    assert len(curves["real_flow"]) == recipe.train.num_steps

    assert set(finished.steps) == set(range(recipe.train.num_steps))
    encoded = load_family(recipe.base).encode(frames)
    found: set[int] = set()
    for step in finished.steps.values():
        real = step.batch.z_0_BCTHW[step.batch.is_real_B]
        assert len(real) == round(SHARE * recipe.train.batch_size)
        gaps = (real[:, None] - encoded[None]).abs().amax(dim=(2, 3, 4, 5))
        assert torch.all(gaps.min(dim=1).values < 1e-4), "a real row that is the latents of none of the clips"
        found.update(gaps.argmin(dim=1).tolist())
    assert found == set(range(len(PARTS))), "twelve draws of three clips"
