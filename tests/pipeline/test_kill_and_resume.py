"""A run that is killed again and again ends with the same records and the same weights as one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
from pathlib import Path

import pytest

from rushes.execute.progress import ProgressUpdate
from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.records import Checkpoint
from rushes.store.check import examine, mend
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

NUM_KILLS = 20


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))


class _Doom:
    """Kills this process: by turns right after a piece of work has landed, and a random moment into the next one.

    The moment is short, so that even a fast machine does only a little between two kills.
    """

    def __init__(self, rng: random.Random) -> None:
        self.delay_s = rng.choice([0.0, rng.uniform(0.0, 0.02)])
        self.armed = False

    def __call__(self, update: ProgressUpdate) -> None:
        if self.armed or update.num_done <= update.num_before:
            return
        self.armed = True
        if self.delay_s == 0.0:
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Timer(self.delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()


def _life(recipe: Recipe, home: Path, rng: random.Random, doomed: bool) -> int:
    """One process that works on the run, killed or not; its exit status. Forked, so that it need not import anew."""
    child = os.fork()
    if child == 0:
        try:
            improve(recipe, home, on_progress=_Doom(rng) if doomed else None)
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


def _contents(home: Path) -> dict[tuple[str, str], object]:
    """Every record without its wall-clock fields."""
    found: dict[tuple[str, str], object] = {}
    with Run.view(home) as run:
        for name, table in run.tables().items():
            for record in table.all():
                found[name, record.key] = record.content()
    return found


@pytest.mark.slow
def test_twenty_kills_change_nothing(recipe: Recipe, tmp_path: Path) -> None:
    assert _life(recipe, tmp_path / "straight", random.Random(0), doomed=False) == 0
    rng, kills = random.Random(7), 0
    while not (tmp_path / "killed" / "done").exists():
        status = _life(recipe, tmp_path / "killed", rng, doomed=kills < NUM_KILLS)
        assert status in (0, signal.SIGKILL), "a life must end well or by the kill"
        kills += status == signal.SIGKILL
    assert kills >= NUM_KILLS, f"the run was over after {kills} kills"
    straight, killed = _contents(tmp_path / "straight"), _contents(tmp_path / "killed")
    assert straight.keys() == killed.keys()
    for key, content in straight.items():
        assert killed[key] == content, key
    for name in ("scorecard.json", "derived/scores-0.json", "derived/samples-0.json", "derived/gains.json"):
        content = (tmp_path / "straight" / name).read_bytes()
        assert len(content) > 2 and (tmp_path / "killed" / name).read_bytes() == content, name


def test_a_finished_run_returns_at_once_and_loads_nothing(recipe: Recipe, tmp_path: Path) -> None:
    first = improve(recipe, tmp_path)
    landed: list[ProgressUpdate] = []
    assert improve(recipe, tmp_path, on_progress=landed.append) == first
    assert landed == []
    with Run.view(tmp_path) as run:
        (checkpoint,) = run.checkpoints.all()
        assert isinstance(checkpoint, Checkpoint) and checkpoint.step == 6
        rows = sqlite3.connect(tmp_path / "records.sqlite").execute("SELECT count(*) FROM failures").fetchone()
        assert rows == (0,)


def test_a_changed_spec_redoes_what_depends_on_it_and_nothing_else(recipe: Recipe, tmp_path: Path) -> None:
    improve(recipe, tmp_path)
    before = _contents(tmp_path)
    train = recipe.train.model_copy(update={"num_steps": 7})
    improve(recipe.model_copy(update={"train": train}), tmp_path, allow_change=True)
    added = {name for name, key in _contents(tmp_path).keys() - before.keys()}
    assert added == {"checkpoints", "clips", "measurements", "answers"}
    clips = [content for (name, key), content in _contents(tmp_path).items() if name == "clips"]
    models = {content["model"] for content in clips}  # type: ignore[index]
    assert len(models) == 4, "the base, two checkpoints, and real clips"
    runtime = recipe.runtime.model_copy(update={"generate_batch": 3, "judge_batch": 2})
    landed: list[ProgressUpdate] = []
    improve(recipe.model_copy(update={"train": train, "runtime": runtime}), tmp_path, on_progress=landed.append)
    assert landed == []


def test_a_damaged_clip_is_found_and_made_again(recipe: Recipe, tmp_path: Path) -> None:
    improve(recipe, tmp_path)
    before = _contents(tmp_path)
    with Run.view(tmp_path) as run:
        clip = next(clip for clip in run.clips.all() if clip.origin == "model")
        path = run.blobs.path(clip.video)
    path.write_bytes(path.read_bytes()[:-7])
    found = examine(tmp_path).findings
    assert [each.records for each in found] == [(("clips", clip.key),)]
    mend(tmp_path, found)
    improve(recipe, tmp_path)
    assert _contents(tmp_path) == before
    assert path.stat().st_size == clip.video.num_bytes


def test_a_resume_heals_what_it_does_not_read_before_it_is_done(recipe: Recipe, tmp_path: Path) -> None:
    """Killed at the last moment: nothing is left to do, so nothing of what was damaged meanwhile would be read."""
    improve(recipe, tmp_path)
    before = _contents(tmp_path)
    (tmp_path / "done").unlink()
    with Run.view(tmp_path) as run:
        made = [clip for clip in run.clips.all() if clip.origin == "model"]
        altered, cut, gone = (run.blobs.path(clip.video) for clip in made[:3])
    altered.write_bytes(altered.read_bytes()[:-1] + b"?")
    cut.write_bytes(cut.read_bytes()[:-7])
    gone.unlink()
    with sqlite3.connect(tmp_path / "records.sqlite") as connection:
        connection.execute("UPDATE records SET body = replace(body, 'a', 'b') WHERE key = ?", (made[4].key,))
    assert len(examine(tmp_path).findings) == 4
    improve(recipe, tmp_path)
    assert (tmp_path / "done").exists() and examine(tmp_path).findings == ()
    assert _contents(tmp_path) == before
