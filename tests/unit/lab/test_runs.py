"""Arms of a tiny model, run for real: what is kept of them, and whose answers their training clips are scored by."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lab.arms import Arm
from lab.budgets import Budget, budget_of, planned
from lab.keep import run_or_read
from lab.outcomes import read
from lab.runs import Laboratory, trainings
from lab.substitute import substitute, training_clips
from rushes.context import Context
from rushes.errors import RecipeError
from rushes.judge.grade import grade
from rushes.judge.key import answer_keys
from rushes.recipe.template import recipe_yaml
from rushes.records import Checkpoint, Score, Scored
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

PLAIN = Arm("plain", "objectives", ("train.num_steps=2",))


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    folder: Path = tmp_path_factory.mktemp("lab")
    source = folder / "tiny.yaml"
    source.write_text(recipe_yaml(tiny_recipe(make_tiny_wan(folder / "model"))), encoding="utf-8")
    return Laboratory(folder / "run", "development", source=str(source))


def test_an_arm_from_run_to_file_and_back_without_its_run_folder(laboratory: Laboratory, tmp_path: Path) -> None:
    found = run_or_read(laboratory, PLAIN, 1, tmp_path)
    again = run_or_read(replace(laboratory, home=tmp_path / "gone"), PLAIN, 1, tmp_path)
    assert again == found == read(tmp_path, "development")[0] and not (tmp_path / "gone").exists()
    assert set(found.focus) == set(found.dimensions) == {"Composition", "Mechanics"}
    assert all(len(each.gains) == 4 for each in found.dimensions.values())
    recipe = laboratory.recipe(PLAIN, 1)
    with Run.view(laboratory.home) as run:
        card = run.scorecard()
        prompts = {each.key: each for each in run.prompts.all()}
        own = [each for each in run.clips.all() if prompts[each.prompt_key].origin == "weakness"]
    assert card is not None and found.focus_gain == pytest.approx(card.focus_gain, abs=1e-6)
    assert found.drift == card.drift and "motion amount" in {row.name for row in found.drift}
    seconds = found.budget.seconds
    assert found.budget == budget_of(recipe, len(own), 2, seconds) and seconds is not None and seconds > 0
    assert found.budget.forwards <= planned(recipe).forwards


def test_best_of_n_trains_nothing_and_each_seed_has_takes_of_its_own(laboratory: Laboratory) -> None:
    arm = Arm("best of 2", "objectives", best_of=2)
    one, two = laboratory.run(arm, 1), laboratory.run(arm, 2)
    # 8 held-out prompts, 2 takes of each, one more than any model needs; 2 steps with guidance.
    assert one.budget.model_copy(update={"seconds": None}) == Budget(clips_judged=16, steps=0, forwards=32)
    assert one.focus == two.focus and one.gains.keys() == set(one.focus)
    assert one.gains != two.gains


@pytest.mark.parametrize("how", ["shuffled", "random", "truth"])
def test_controls_change_the_answers_about_training_clips_and_nothing_else(how: str, laboratory: Laboratory) -> None:
    true, control = (laboratory.recipe(replace(PLAIN, answers=each), 1) for each in ("judge", how))  # type: ignore[arg-type]
    for _ in range(2):  # a second time adds nothing
        substitute(true, control, how, laboratory.home)  # type: ignore[arg-type]
    with Run.open(laboratory.home, true, allow_change=True) as run:
        context = Context(true, run)
        clips = training_clips(context)
        answers = run.answers.all()
        before, after = (grade(clips, context.prompts, answers, each.judge) for each in (true, control))
        keys = {key for clip in clips for key in answer_keys(clip, context.prompts[clip.prompt_key], control.judge)}
        landed = [each for each in answers if each.judge != answers[0].judge and each.key in keys]
    assert clips and len(landed) == len(keys), "every answer is replaced, so the run's judge is not asked about these"
    assert _values(before) != _values(after)
    by_prompt = [Counter((each.prompt_key, round(_value(each), 9)) for each in scores) for scores in (before, after)]
    assert (by_prompt[0] == by_prompt[1]) is (how == "shuffled"), "a prompt's takes keep their scores, in another order"


def _value(score: Score) -> float:
    assert isinstance(score.outcome, Scored)
    return score.outcome.value


def _values(scores: tuple[Score, ...]) -> list[float]:
    return [_value(each) for each in scores]


def test_answers_cannot_be_replaced_where_clips_depend_on_them(laboratory: Laboratory) -> None:
    two = laboratory.recipe(replace(PLAIN, overrides=("num_rounds=2",)), 1)
    with pytest.raises(RecipeError, match="cannot be replaced"):
        substitute(two, two, "random", laboratory.home)


def test_steps_of_all_rounds_count_but_not_those_of_other_arms() -> None:
    chain = {
        name: Checkpoint.model_construct(key=name, parent=parent, step=10)
        for name, parent in (("one", None), ("two", "one"), ("other", "one"))
    }
    assert [each.key for each in trainings("two", chain)] == ["two", "one"]
    assert trainings("base", chain) == []
