"""A watched run: the same training, looks in between, the best checkpoint as the result; killed, damaged, stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rushes.cli.compare import show_comparison
from rushes.errors import InputError
from rushes.execute.progress import ProgressUpdate
from rushes.pipeline import improve
from rushes.plan.counts import planned_totals, trained_steps, units_done
from rushes.prompts.evaluation import Evaluation
from rushes.recipe.recipe import Recipe
from rushes.recipe.watch import WatchSpec
from rushes.records import Checkpoint, Clip, Prompt, WatchSet
from rushes.store.check import examine, mend
from rushes.store.header import spec_part
from rushes.store.identity import content_hash
from rushes.store.run import Run
from rushes.watch.compare import compare_looks
from rushes.watch.find import Found, Place, find, place
from rushes.watch.look import WATCH_POINTS, current, points_of
from rushes.watch.words import courses
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

WATCH = WatchSpec(
    every=2, num_prompts=2, num_takes=1, num_diversity_prompts=1, keep=1, stop_after=None, max_diversity_loss=1.0
)


class Killed(BaseException):
    """As sudden as a kill: nothing catches it."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model"))).model_copy(update={"watch": WATCH})


@pytest.fixture(scope="module")
def home(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished watched run, not to be changed."""
    home = tmp_path_factory.mktemp("runs") / "run"
    improve(recipe, home)
    return home


def _changed(recipe: Recipe, **settings: object) -> Recipe:
    return recipe.model_copy(update={"watch": WATCH.model_copy(update=settings)})


def _contents(home: Path) -> dict[tuple[str, str], object]:
    with Run.view(home) as run:
        points_of(run)
        tables = run.tables() | {name: run.table(name, kind) for name, kind in _apart().items()}
        return {(name, each.key): each.content() for name, table in tables.items() for each in table.all()}


def _apart() -> dict[str, type]:
    from rushes.plan.counts import WATCH_TABLES

    return dict(WATCH_TABLES)


def _checkpoints(home: Path) -> dict[int, Checkpoint]:
    with Run.view(home) as run:
        return {each.step: each for each in run.checkpoints.all()}


def test_the_result_is_the_best_look_and_the_others_are_dropped(recipe: Recipe, home: Path) -> None:
    with Run.view(home) as run:
        (course,) = courses(points_of(run).all(), WATCH)
        (kept,) = run.checkpoints.all()
        card = run.scorecard()
        stored = {path.stem for path in run.blobs.folder.glob("??/*.safetensors")}
    assert [each.step for each in course.points] == [2, 4, 6]
    assert kept.key == course.best.model and card is not None and card.tuned_model == kept.key
    assert kept.weights.sha256 in stored
    assert all(each.judge is not None and each.measurer is not None for each in (course.base, *course.points))
    assert all(each.velocity_norm and each.motion and each.diversity is not None for each in course.points)
    assert examine(home).findings == ()
    assert not list((home / "scratch").iterdir())


def test_watch_prompts_are_used_for_nothing_else(home: Path) -> None:
    with Run.view(home) as run:
        texts = {each.key: each.text for each in run.prompts.all()}
        clips = run.table("watch_clips", Clip).all()
        watched, others = (
            {texts[each.prompt_key] for each in clips},
            {texts[each.prompt_key] for each in run.clips.all()},
        )
    assert watched and not watched & others


def test_watch_prompts_are_guarded_against_training() -> None:
    made = [
        Prompt(key=f"{i}" * 64, text=f"{i}", base_text=f"{i}", dimension="D", origin="held_out", index=i)
        for i in range(4)
    ]
    probe, held_out, suite, watch = made
    assert set(Evaluation((probe,), (held_out,), (suite,), watch=(watch,)).guarded) == set(made)


def test_watching_changes_no_weight(recipe: Recipe, tmp_path: Path, home: Path) -> None:
    """The prompts differ by those that the screen refuses for the watch's sake: here there are none."""
    improve(_changed(recipe, keep=3), tmp_path / "kept")
    improve(recipe.model_copy(update={"watch": None}), tmp_path / "plain")
    kept, (plain,) = _checkpoints(tmp_path / "kept"), _checkpoints(tmp_path / "plain").values()
    assert set(kept) == {2, 4, 6}
    assert kept[6].content() == plain.content(), "key, weights and curves"
    assert len({each.weights.sha256 for each in kept.values()}) == 3
    (best,) = _checkpoints(home).values()
    assert best.content() == kept[best.step].content()


@pytest.mark.slow
def test_a_killed_watch_ends_with_the_same_records(recipe: Recipe, tmp_path: Path, home: Path) -> None:
    """Killed after every stored chunk of the looks and every stored checkpoint."""
    kills = 0

    def doom(update: ProgressUpdate) -> None:
        if update.stage.startswith(("watch", "checkpoints")) and update.num_done > update.num_before:
            raise Killed

    for _ in range(60):
        try:
            improve(recipe, tmp_path / "run", on_progress=doom)
            break
        except Killed:
            kills += 1
    assert kills >= 12, "each of four looks has clips, answers and measurements"
    assert _contents(tmp_path / "run") == _contents(home)


def test_a_dropped_result_is_trained_again(recipe: Recipe, tmp_path: Path) -> None:
    improve(recipe, tmp_path)
    before = _contents(tmp_path)
    (best,) = _checkpoints(tmp_path).values()
    with Run.view(tmp_path) as run:
        run.blobs.path(best.weights).write_bytes(b"damaged")
    mend(tmp_path, examine(tmp_path).findings)
    improve(recipe, tmp_path)
    assert _contents(tmp_path) == before


def test_training_stops_early(recipe: Recipe, tmp_path: Path) -> None:
    """A threshold that every look is beyond."""
    stopping = _changed(recipe, max_norm_rise=0.0, max_motion_loss=0.0, max_diversity_loss=0.0, stop_after=1)
    card = improve(stopping, tmp_path)
    with Run.view(tmp_path) as run:
        (course,) = courses(points_of(run).all(), stopping.watch or WATCH)
        assert trained_steps(run) == course.points[-1].step < 6
        assert not list((tmp_path / "scratch").iterdir())
    assert card is not None and any("training stopped after step" in note for note in card.notes)
    assert "watch: training stopped" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_state_ahead_of_the_checkpoint_is_not_used(recipe: Recipe, tmp_path: Path) -> None:
    """Training went on towards the next look; then the checkpoint of the one before is damaged and needed."""

    def doom(update: ProgressUpdate) -> None:
        if update.stage == "training steps" and update.num_done == 4:
            raise Killed

    with pytest.raises(Killed):
        improve(recipe, tmp_path, on_progress=doom)
    (early,) = _checkpoints(tmp_path).values()
    with Run.open(tmp_path, recipe) as run:
        run.blobs.path(early.weights).write_bytes(b"damaged")
        points_of(run).drop([each.key for each in points_of(run).all() if each.step])
    mend(tmp_path, examine(tmp_path).findings)

    def stop(update: ProgressUpdate) -> None:
        if update.stage == "checkpoints" and update.num_done:
            raise Killed

    with pytest.raises(Killed):
        improve(recipe, tmp_path, on_progress=stop)
    assert _checkpoints(tmp_path)[2].weights == early.weights


def test_the_plan_and_the_ledger_know_the_watch(recipe: Recipe, home: Path) -> None:
    planned = planned_totals(recipe)
    assert planned["watch_points"] == 4 and planned["checkpoints"] == 1
    assert planned["watch_clips"] == 4 * (2 * 2 + 1 * 2)
    with Run.view(home) as run:
        done = units_done(run, recipe)
        stages = {entry.stage for entry in run.costs()}
    assert done["watch_clips"]["decodes"] == planned["watch_clips"]
    assert done["checkpoints"]["train_clips"] == 6 * recipe.train.batch_size, "although step 6 may not be kept"
    assert {"watch_clips", "watch_answers", "watch_measurements", "watch_points"} <= stages


def test_switched_off_it_is_in_no_key(recipe: Recipe) -> None:
    plain = recipe.model_copy(update={"watch": None})
    spec = spec_part(plain)
    assert "watch" not in spec and "watch" in spec_part(recipe)
    assert content_hash(spec) != content_hash(spec_part(recipe))
    assert not [name for name in planned_totals(plain) if name.startswith("watch")]


# ---------------------------------------------------------------------------------------------- rushes compare


def _found(home: Path, at: str) -> Found:
    return find(Run.view(home), place(f"{home}{at}"))


def test_two_looks_are_compared_prompt_by_prompt(home: Path) -> None:
    before = _contents(home)
    one, other = _found(home, "@0"), _found(home, "@4")
    found = compare_looks(one, other)
    rows = {row.name: row for row in found.rows}
    for name in ("judge", "measurer", "motion", "saturation"):
        a, b = getattr(one.point, name), getattr(other.point, name)
        assert (rows[name].before, rows[name].after) == pytest.approx((a, b)), f"{name} is what the looks stored"
        assert rows[name].difference == pytest.approx(b - a)
        low, high = rows[name].low, rows[name].high
        assert low is not None and high is not None and low <= rows[name].difference <= high
    assert rows["velocity_norm_ratio"].before == 1.0 and rows["velocity_norm_ratio"].change is None
    assert set(found.left_out) == {"diversity"}, "a single prompt has no interval"
    assert _contents(home) == before, "nothing is generated or scored"


def test_a_run_alone_is_its_result(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _found(home, "")
    assert found.is_result and found.label == f"{home}@{found.course.best.step}"
    show_comparison(f"{home}@0", str(home), as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["before"], shown["after"]) == (f"{home}@0", found.label)
    show_comparison(f"{home}@0", str(home), as_json=False)
    assert f"rushes report {home}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("at", "said"), [("@3", "@0, @2, @4, @6"), ("@2:4", "@0, @2, @4, @6"), ("@four", "four"), ("@0:4", "0:4")]
)
def test_a_look_that_is_not_there(home: Path, at: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        _found(home, at)
    assert said in str(error.value)


def test_an_at_in_the_name_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "run@3").mkdir()
    assert place(str(tmp_path / "run@3")) == Place(tmp_path / "run@3")
    assert place(str(tmp_path / "run@3@2:50")) == Place(tmp_path / "run@3", 2, 50)


def test_only_equal_takes_are_paired(recipe: Recipe, home: Path) -> None:
    one, other = _found(home, "@0"), _found(home, "@4")
    fewer = replace(other, point=other.point.model_copy(update={"prompts": other.point.prompts[:1]}))
    with pytest.raises(InputError, match="4 and 1 watch prompts, 1 of them the same"):
        compare_looks(one, fewer)
    with pytest.raises(InputError, match=r"watch\.num_takes is 1 and 2"):
        compare_looks(one, replace(other, recipe=_changed(recipe, num_takes=2)))


def test_who_judged_differently_is_not_compared(home: Path) -> None:
    one, other = _found(home, "@0"), _found(home, "@4")
    stranger = other.recipe.model_copy(update={"judge": other.recipe.judge.model_copy(update={"aggregate": "minimum"})})
    elsewhere = other.point.model_copy(update={"asked": "ab" * 32})
    found = compare_looks(one, replace(other, recipe=stranger, point=elsewhere))
    assert "different judges" in found.left_out["judge"] and "judge" not in {row.name for row in found.rows}
    assert {"measurer", "motion"} <= {row.name for row in found.rows}


def test_looks_by_another_measurer_are_not_mixed(recipe: Recipe, home: Path, tmp_path: Path) -> None:
    """A folder in which another recipe ran before, which asked another measurer at the same steps."""
    with Run.view(home) as run:
        points = points_of(run).all()
    again = [each.model_copy(update={"asked": "cd" * 32, "key": each.key[::-1]}) for each in points]
    assert [len(each.points) for each in courses([*points, *again], WATCH)] == [3, 3]
    with Run.open(tmp_path / "run", recipe) as run:
        points_of(run).land([*points, *again])
        assert len(current(run)) == 8, "not known yet which of them count"
        run.write_derived(WATCH_POINTS, [WatchSet(asked="cd" * 32)])
        assert {each.key for each in current(run)} == {each.key for each in again}


def test_a_watched_run_says_what_its_looks_ask(home: Path) -> None:
    with Run.view(home) as run:
        assert current(run) == points_of(run).all() and len(current(run)) == 4
        (watch_set,) = run.read_derived(WATCH_POINTS, WatchSet) or ()
        (base,) = (each for each in points_of(run).all() if each.training is None)
    assert watch_set.asked == base.asked == base.key
