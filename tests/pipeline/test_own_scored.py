"""Runs that train on the user's own videos alone: as they are, by weight, by score, by preference; nothing judged."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rushes.execute.progress import ProgressUpdate
from rushes.pipeline import improve
from rushes.prompts.clip_rows import ClipRow
from rushes.recipe.objectives import DpoSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import RealClipsSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Checkpoint, Sample
from rushes.store.run import Run
from rushes.store.video import write_video
from rushes.train import loop
from rushes.train.data import Step, TrainingSet, step_batch
from rushes_sandbox.real_clips import sandbox_real_clips
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

NUM_FILES = 6
CAPTIONS = ["a red circle moves to the left"] * 3 + ["a small green triangle falls"] * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("model"))


def videos(home: Path, said: Sequence[Mapping[str, Any]]) -> Path:
    home.mkdir(parents=True)
    clips = sandbox_real_clips(NUM_FILES, 3, shape=TINY_SHAPE)
    for number, clip in enumerate(clips):
        write_video(home / f"{number}.mp4", clip.load().frames_THWC, TINY_SHAPE.fps, lossless=True)
    rows = [{"file_name": f"{i}.mp4", "text": CAPTIONS[i], **each} for i, each in enumerate(said)]
    (home / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return home


def recipe_for(model: Path, folder: Path, *, is_measured: bool = False, **train: Any) -> Recipe:
    """A recipe whose judge cannot even be built, and whose measurer cannot either unless it is wanted."""
    plain = tiny_recipe(model)
    nowhere = PluginSpec(use="no_such_package.of_judges:Spec")
    prompts = {"num_weakness": 0, "real": RealClipsSpec(folder=str(folder), num_clips=20)}
    measure: dict[str, Any] = {} if is_measured else {"num_prompts": 0, "measurer": nowhere}
    writer = {} if is_measured else {"writer": nowhere}
    given = plain.model_copy(
        update={
            "prompts": plain.prompts.model_copy(update={**prompts, **writer}),
            "judge": plain.judge.model_copy(update={"judge": nowhere}),
            "measure": plain.measure.model_copy(update=measure),
            "train": plain.train.model_copy(update=train),
        }
    )
    return Recipe.model_validate(given.model_dump())


class Drawn:
    """The batches of a run, by step."""

    def __init__(self) -> None:
        self.by_step: dict[int, list[int]] = {}

    def __call__(self, data: TrainingSet, spec: Any, step: int, seed: int, *levels: Any) -> Step:
        found = step_batch(data, spec, step, seed, *levels)
        assert found.rows_B is not None
        self.by_step[step] = found.rows_B.tolist()
        return found

    @property
    def rows(self) -> list[int]:
        return [row for step in sorted(self.by_step) for row in self.by_step[step]]


def trained(recipe: Recipe, home: Path, monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Run it; what was drawn."""
    drawn = Drawn()
    monkeypatch.setattr(loop, "step_batch", drawn)
    assert improve(recipe, home) is None
    return drawn


def samples_of(home: Path) -> list[Sample]:
    with Run.view(home) as run:
        return list(run.read_derived("samples-0", Sample) or [])


def checkpoint_of(home: Path) -> tuple[Checkpoint, bytes]:
    with Run.view(home) as run:
        [made] = run.checkpoints.all()
        return made, run.blobs.read_bytes(made.weights)


def test_a_plain_folder_is_fine_tuning_on_every_file_alike_and_nothing_is_generated_judged_or_measured(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for(model, videos(tmp_path / "mine", [{}] * NUM_FILES))
    drawn = trained(recipe, tmp_path / "run", monkeypatch)
    assert sorted(drawn.rows) == sorted([*range(NUM_FILES)] * 4), "six steps of four: every file four times"
    with Run.view(tmp_path / "run") as run:
        assert {clip.origin for clip in run.clips.all()} == {"real"}
        assert not run.answers.all() and not run.measurements.all()
        assert {prompt.origin for prompt in run.prompts.all()} == {"caption"}
        assert len(run.checkpoints.all()) == 1


def test_weights_decide_how_often_a_video_is_drawn(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [{"weight": w, "score": 1.0} for w in (0, 1, 2, 3, 0.0, 6)]
    recipe = recipe_for(model, videos(tmp_path / "mine", said), num_steps=12)
    drawn = trained(recipe, tmp_path / "run", monkeypatch)
    assert [round(sample.weight * 2) for sample in samples_of(tmp_path / "run")] == [0, 1, 2, 3, 0, 6]
    assert [drawn.rows.count(i) for i in range(NUM_FILES)] == [0, 4, 8, 12, 0, 24]


def test_scores_on_any_scale_become_weights_by_the_recipes_rule(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [{"score": stars} for stars in (1, 5, 3, 1, 1, 5)]
    recipe = recipe_for(model, videos(tmp_path / "mine", said))
    trained(recipe, tmp_path / "run", monkeypatch)
    found = samples_of(tmp_path / "run")
    assert [sample.score for sample in found] == [0.0, 1.0, 0.5, 0.0, 0.0, 1.0]
    assert [sample.weight for sample in found] == pytest.approx([0.0, 2.4, 1.2, 0.0, 0.0, 2.4])


def test_dpo_trains_on_the_pairs_that_are_named_and_on_no_others(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = [{} for _ in range(NUM_FILES)]
    said[0] = {"preferred_over": ["1.mp4", "2.mp4", "3.mp4"]}  # the last one has another caption
    said[4] = {"preferred_over": "./5.mp4"}
    recipe = recipe_for(model, videos(tmp_path / "mine", said), objective=DpoSpec(), num_steps=9)
    drawn = trained(recipe, tmp_path / "run", monkeypatch)
    pairs = list(zip(drawn.rows[::2], drawn.rows[1::2], strict=True))
    assert sorted(pairs) == sorted([(0, 1), (0, 2), (4, 5)] * 6)
    with Run.view(tmp_path / "run") as run:
        [row] = [each for each in run.read_derived("real-clips", ClipRow) or [] if each.outcome == "dropped"]
    assert (row.name, row.reason) == ("0.mp4 preferred over 3.mp4", "other_caption")


def test_two_tables_that_differ_in_their_preferences_train_two_models(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for name, better, worse in (("one", 0, 1), ("other", 1, 0)):
        said: list[dict[str, Any]] = [{} for _ in range(NUM_FILES)]
        said[better] = {"preferred_over": f"{worse}.mp4"}
        recipe = recipe_for(model, videos(tmp_path / name, said), objective=DpoSpec(), num_steps=2)
        trained(recipe, tmp_path / f"run-{name}", monkeypatch)
        made.append(checkpoint_of(tmp_path / f"run-{name}"))
    assert made[0][0].key != made[1][0].key and made[0][1] != made[1][1]


def test_before_and_after_are_still_measured_and_nothing_is_probed_or_judged(model: Path, tmp_path: Path) -> None:
    recipe = recipe_for(model, videos(tmp_path / "mine", [{}] * NUM_FILES), is_measured=True)
    scorecard = improve(recipe, tmp_path / "run")
    assert scorecard is not None and scorecard.focus_gain is not None
    assert {row.dimension for row in scorecard.rows if row.is_focus} == {"Composition", "Mechanics"}
    assert all(row.judge_before is None for row in scorecard.rows)
    with Run.view(tmp_path / "run") as run:
        assert not run.answers.all()
        assert {prompt.origin for prompt in run.prompts.all()} == {"caption", "held_out"}
        assert run.is_done
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "their owner" in page and "no judge was asked" in page


@pytest.mark.slow
def test_a_kill_at_any_write_changes_no_byte(model: Path, tmp_path: Path) -> None:
    said = [{"score": score} for score in (1, 5, 3, 1, 2, 5)]
    recipe = recipe_for(model, videos(tmp_path / "mine", said), objective=DpoSpec())
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
