"""Runs by judges of each kind: killed and resumed, watched, with a judge for each dimension, with replies of no use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import TrainingError
from rushes.execute.progress import ProgressUpdate
from rushes.feedback import GivenPreference, ScaleValue
from rushes.judge.votes import WINS
from rushes.pipeline import improve
from rushes.plan.counts import units_done
from rushes.plan.totals import Totals
from rushes.recipe.load import parse_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.template import recipe_yaml
from rushes.records import Score, Unscored
from rushes.store.run import Run
from rushes.watch.look import current, points_of
from rushes.watch.words import courses
from rushes.weights.report import WeightReport
from tests.support import raters
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

RATER, CHOOSER = "tests.support.raters:RaterSpec", "tests.support.raters:ChooserSpec"
TABLES = {RATER: "ratings", CHOOSER: "votes"}


class Killed(BaseException):
    """As sudden as a kill: nothing catches it."""


@pytest.fixture(scope="module")
def yaml(tmp_path_factory: pytest.TempPathFactory) -> str:
    return recipe_yaml(tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model"))))


def recipe_of(yaml: str, judge: str, *overrides: str) -> Recipe:
    weights = "weights={kind: exponential, temperature: 1.0}"
    return parse_recipe(
        yaml, source="recipe", overrides=[f"judge={{default: {{use: '{judge}'}}}}", weights, *overrides]
    )


def contents(home: Path) -> dict[tuple[str, str], object]:
    with Run.view(home) as run:
        points_of(run)
        return {(name, each.key): each.content() for name, table in run.tables().items() for each in table.all()}


@pytest.mark.parametrize("judge", [RATER, CHOOSER])
def test_a_kill_between_replies_keeps_every_paid_one(
    judge: str, yaml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after each stored chunk: nothing is asked twice, and the records are those of an undisturbed run."""
    recipe = recipe_of(yaml, judge, "runtime.judge_batch=3")
    improve(recipe, tmp_path / "straight", until="judge")
    asked: list[str] = []
    _count(monkeypatch, asked)

    def kill(update: ProgressUpdate) -> None:
        if update.stage == TABLES[judge] and update.num_done > update.num_before:
            raise Killed

    for _ in range(20):
        try:
            improve(recipe, tmp_path / "killed", until="judge", on_progress=kill, check_first=False)
            break
        except Killed:
            continue
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")
    assert len(asked) == len(set(asked)) > 6, "a reply that was stored is not asked for again"
    num = len(asked)
    improve(recipe, tmp_path / "killed", until="judge", check_first=False)
    assert len(asked) == num


def _count(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    """Notes the name of everything that is asked."""

    def noting(real: Callable[..., Any], name: Callable[[Any], str]) -> Callable[..., Any]:
        def call(judge: Any, requests: Any) -> Any:
            asked.extend(map(name, requests))
            return real(judge, requests)

        return call

    monkeypatch.setattr(raters.Rater, "score", noting(raters.Rater.score, lambda each: each.clip_key))
    pair = noting(raters.Chooser.prefer, lambda each: each.first_key + each.second_key)
    monkeypatch.setattr(raters.Chooser, "prefer", pair)


def test_each_dimension_has_its_judge_in_a_watched_run(yaml: str, tmp_path: Path) -> None:
    """Values in one dimension, preferences in the other: scores, weights, looks and scorecard name their scales."""
    own = f"judge.by_dimension={{Mechanics: {{use: '{CHOOSER}'}}}}"
    watch = "watch={every: 3, num_prompts: 2, num_takes: 1, num_diversity_prompts: 0, keep: 1, stop_after: null}"
    recipe = recipe_of(yaml, RATER, own, watch, "train.objective={kind: nft}")
    scorecard = improve(recipe, tmp_path / "run")
    assert scorecard is not None
    units = {row.dimension: row.judge_unit for row in scorecard.rows if row.judge_before is not None}
    assert units == {"Composition": "mean of look, motion", "Mechanics": WINS}
    assert scorecard.judge == "tests.rater; Mechanics: tests.chooser"
    with Run.view(tmp_path / "run") as run:
        rated = {run.prompts.get(run.clips.get(each.clip_key).prompt_key).dimension for each in run.ratings.all()}
        voted = {run.prompts.get(run.clips.get(each.clip_key).prompt_key).dimension for each in run.votes.all()}
        assert (rated, voted) == ({"Composition"}, {"Mechanics"}) and not run.answers.num_records()
        assert recipe.watch is not None
        (course,) = courses(current(run), recipe.watch)
        dimensions = {each.key: each.dimension for each in run.prompts.all()}
        for point in (course.base, *course.points):
            assert {dimensions[each.prompt_key]: each.unit for each in point.prompts} == units
            assert point.judge is None, "there is no mean over two scales"
        voted_at_base = [each.judge for each in course.base.prompts if dimensions[each.prompt_key] == "Mechanics"]
        assert voted_at_base == [0.5, 0.5]
        done = units_done(run, recipe)
        assert done["ratings"] == {"ratings": run.ratings.num_records()}
        assert done["watch_votes"]["votes"] == 2 * 2 * len(course.points), "each look beside the base, in both orders"
        planned = {event["stage"]: event for event in run.log.read() if event["event"] == "stage_planned"}
    for table, num in (("ratings", len(run_table(tmp_path, "ratings"))), ("votes", len(run_table(tmp_path, "votes")))):
        assert planned[table]["num_total"] == num and planned[table]["is_exact"]
    assert {"ratings", "votes"} <= Totals(recipe).by_table().keys()
    report = (tmp_path / "run" / "report.html").read_text()
    assert "points from -3 to 5" in report and "points of 10" in report


def run_table(folder: Path, name: str) -> list[Any]:
    with Run.view(folder / "run") as run:
        return run.tables()[name].all()


@pytest.mark.parametrize("judge", [RATER, CHOOSER])
def test_a_reply_of_no_use_is_a_reason_and_no_number(
    judge: str, yaml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = (ScaleValue("look", float("nan")), ScaleValue("motion", 1.0))
    monkeypatch.setattr(raters.Rater, "score", lambda _, requests: [bad for _ in requests])
    monkeypatch.setattr(raters.Chooser, "prefer", lambda _, requests: [GivenPreference(1.2) for _ in requests])
    improve(recipe_of(yaml, judge), tmp_path / "run", until="judge", check_first=False)
    with Run.view(tmp_path / "run") as run:
        reasons = {each.unscored_reason for each in run.tables()[TABLES[judge]].all()}
        assert not run.failures()
    problem = "p_first must be a number from 0 to 1, got 1.2"
    assert reasons == ({None, "the value on look must be a finite number, got nan"} if judge == RATER else {problem})
    with pytest.raises(TrainingError, match=r"no score for 10 of 10 clips \(100%\)") as caught:
        improve(recipe_of(yaml, judge), tmp_path / "run", check_first=False)
    assert ("finite number" if judge == RATER else problem) in str(caught.value)


def test_takes_within_the_repeat_error_are_counted_and_not_trained_on(yaml: str, tmp_path: Path) -> None:
    """With an error between the second and the third smallest difference of takes, two prompts teach nothing."""
    improve(recipe_of(yaml, RATER), tmp_path / "first", until="judge")
    with Run.view(tmp_path / "first") as run:
        looks: dict[str, list[float]] = {}
        for each in run.ratings.all():
            if each.scale == "look" and each.value is not None:
                looks.setdefault(run.clips.get(each.clip_key).prompt_key, []).append(each.value)
    ranges = sorted(max(takes) - min(takes) for takes in looks.values())
    error = (ranges[1] + ranges[2]) / 2
    judge = f"judge={{default: {{use: '{RATER}', options: {{repeat_error: {error}}}}}, scales: {{look: 1.0}}}}"
    improve(recipe_of(yaml, RATER, judge), tmp_path / "run", until="train")
    with Run.view(tmp_path / "run") as run:
        (report,) = run.read_derived("weights-0", WeightReport) or []
        scores = run.read_derived("scores-0", Score) or []
    assert (report.num_prompts_skipped, report.num_prompts) == (2, len(ranges) - 2)
    assert not any(isinstance(each.outcome, Unscored) for each in scores), "the judge did score them"
