"""Runs on real clips of several shapes: beside the model's own clips, and alone; killed and resumed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from rushes.execute.progress import ProgressUpdate
from rushes.pipeline import improve
from rushes.preflight.model import check_shapes
from rushes.prompts.clip_rows import ClipRow
from rushes.recipe.base import ShapeSpec
from rushes.recipe.objectives import DpoSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import RealClipsSpec, RealShapeSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Checkpoint
from rushes.store.run import Run
from rushes.store.video import write_video
from rushes.train import loop
from rushes.train.data import Step, TrainingSet, step_batch
from rushes_sandbox.real_clips import sandbox_real_clips
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

WIDE = ShapeSpec(height_px=32, width_px=64, num_frames=9, fps=8)
SHAPES = (TINY_SHAPE, TINY_SHAPE, TINY_SHAPE, WIDE, WIDE, WIDE)
CAPTIONS = ["a red circle moves to the left"] * 6


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos, three of each shape; two pairs of one shape are named, and one of two shapes."""
    home = tmp_path_factory.mktemp("videos")
    rows: list[dict[str, Any]] = []
    for number, shape in enumerate(SHAPES):
        square = shape.model_copy(update={"height_px": shape.width_px})
        (clip,) = sandbox_real_clips(1, number, shape=square)
        frames = clip.load().frames_THWC[:, : shape.height_px]
        write_video(home / f"{number}.mp4", frames, shape.fps, lossless=True)
        rows.append({"file_name": f"{number}.mp4", "text": CAPTIONS[number]})
    rows[0]["preferred_over"], rows[3]["preferred_over"], rows[2]["preferred_over"] = "1.mp4", "4.mp4", "5.mp4"
    (home / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return home


def recipe_for(model: Path, folder: Path, *, alone: bool = False, **train: Any) -> Recipe:
    plain = tiny_recipe(model)
    further = RealShapeSpec(height_px=WIDE.height_px, width_px=WIDE.width_px, num_frames=WIDE.num_frames)
    prompts: dict[str, Any] = {"real": RealClipsSpec(folder=str(folder), num_clips=6, shapes=(further,))}
    update: dict[str, Any] = {"train": plain.train.model_copy(update=train)}
    if alone:
        nowhere = PluginSpec(use="no_such_package.of_judges:Spec")
        prompts |= {"num_weakness": 0, "writer": nowhere}
        update["judge"] = plain.judge.model_copy(update={"judge": nowhere})
        update["measure"] = plain.measure.model_copy(update={"num_prompts": 0, "measurer": nowhere})
    update["prompts"] = plain.prompts.model_copy(update=prompts)
    return Recipe.model_validate(plain.model_copy(update=update).model_dump())


class Drawn:
    """The parts of every step of a run."""

    def __init__(self) -> None:
        self.by_step: dict[int, list[tuple[tuple[int, ...], list[int]]]] = {}

    def __call__(self, data: TrainingSet, spec: Any, step: int, seed: int, *levels: Any) -> Step:
        found = step_batch(data, spec, step, seed, *levels)
        self.by_step[step] = [
            (tuple(part.batch.z_0_BCTHW.shape[2:]), [] if part.rows_B is None else part.rows_B.tolist())
            for part in found.parts
        ]
        return found


def checkpoint_of(home: Path) -> tuple[Checkpoint, bytes]:
    with Run.view(home) as run:
        (made,) = run.checkpoints.all()
        assert made.weights is not None
        return made, run.blobs.read_bytes(made.weights)


def test_real_clips_of_two_shapes_beside_own_ones(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "step_batch", drawn := Drawn())
    recipe = recipe_for(model, folder, num_held_out=2)
    assert improve(recipe, tmp_path) is not None
    with Run.view(tmp_path) as run:
        real = [clip for clip in run.clips.all() if clip.origin == "real"]
        sizes = [(clip.num_frames, clip.height_px, clip.width_px) for clip in real]
        assert sorted(sizes) == sorted((each.num_frames, each.height_px, each.width_px) for each in SHAPES)
        (made,) = run.checkpoints.all()
        curves = json.loads(run.blobs.read_bytes(made.curves))
    assert len(curves["real_flow"]) == recipe.train.steps and "held_out_real" in curves
    shapes = [{shape for shape, _ in parts} for parts in drawn.by_step.values()]
    assert {len(each) for each in shapes} == {1, 2}, "with a wide clip a step has two parts"
    assert len(set.union(*shapes)) == 2
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Frechet" in page, "real clips of all shapes are in the drift panel"


def test_own_videos_of_two_shapes_are_paired_within_a_shape(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "step_batch", drawn := Drawn())
    recipe = recipe_for(model, folder, alone=True, objective=DpoSpec())
    assert improve(recipe, tmp_path) is None
    pairs = {
        pair
        for parts in drawn.by_step.values()
        for _, rows in parts
        for pair in zip(rows[::2], rows[1::2], strict=True)
    }
    assert pairs == {(0, 1), (3, 4)}, "and 2 over 5, of another shape, is left out"
    with Run.view(tmp_path) as run:
        [row] = [each for each in run.read_derived("real-clips", ClipRow) or [] if each.outcome == "dropped"]
    assert (row.name, row.reason) == ("2.mp4 preferred over 5.mp4", "other_shape")


def test_what_cannot_have_several_shapes_is_refused(model: Path, folder: Path) -> None:
    recipe = recipe_for(model, folder)
    for section, change, said in (
        ("train", {"realism": recipe.train.realism.model_copy(update={"kind": "moments"})}, "moments"),
        ("runtime", {"train": recipe.runtime.train.model_copy(update={"num_processes": 2})}, "num_processes: 1"),
    ):
        changed = getattr(recipe, section).model_copy(update=change)
        with pytest.raises(ValidationError, match=said):
            Recipe.model_validate(recipe.model_copy(update={section: changed}).model_dump())
    with pytest.raises(ValidationError, match=r"prompts\.real\.folder"):
        RealClipsSpec(shapes=recipe.prompts.real.shapes)
    odd = RealShapeSpec(height_px=33, width_px=64, num_frames=9)
    real = recipe.prompts.real.model_copy(update={"shapes": (odd,)})
    wrong = recipe.model_copy(update={"prompts": recipe.prompts.model_copy(update={"real": real})})
    (finding,) = check_shapes(wrong)
    assert finding.setting == "prompts.real.shapes[0]" and finding.next_step is not None
    told = RealShapeSpec.model_validate(yaml.safe_load(finding.next_step.partition("shapes: ")[2]))
    real = recipe.prompts.real.model_copy(update={"shapes": (told,)})
    right = recipe.model_copy(update={"prompts": recipe.prompts.model_copy(update={"real": real})})
    assert told.height_px == 32 and not list(check_shapes(right)), "what is told is legal"
    assert not list(check_shapes(recipe))


@pytest.mark.slow
def test_a_kill_at_any_write_changes_no_byte(model: Path, folder: Path, tmp_path: Path) -> None:
    recipe = recipe_for(model, folder, alone=True, num_steps=4)
    assert improve(recipe, tmp_path / "straight") is None
    for _ in range(20):
        child = os.fork()
        if child == 0:

            def die(update: ProgressUpdate) -> None:
                # A step is reported before its state is saved: the first one of a life is lost with its second.
                if update.num_done > update.num_before + (update.stage == "training steps"):
                    os.kill(os.getpid(), signal.SIGKILL)

            try:
                improve(recipe, tmp_path / "killed", on_progress=die)
                os._exit(0)
            except BaseException:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
    else:
        raise AssertionError("it never came to its end")
    one, other = checkpoint_of(tmp_path / "straight"), checkpoint_of(tmp_path / "killed")
    assert one[0].key == other[0].key and one[1] == other[1]
