"""A run that is aimed at a dimension which the user brings, with the very recipe that the README shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.judge.grade import grade
from rushes.pipeline import improve
from rushes.recipe import load_recipe
from rushes.recipe.diagnose import DimensionSpec
from rushes.recipe.recipe import Recipe
from rushes.records import Clip, Focus, Prompt, Sample, Scorecard, Scored
from rushes.store.run import Run
from tests.support.pages import own_dimension
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

OWN = "Side_By_Side"
Finished = tuple[Recipe, Path, Scorecard]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.yaml").write_text(own_dimension().text, encoding="utf-8")
    mine, tiny = load_recipe(folder / "mine.yaml"), tiny_recipe(make_tiny_wan(folder / "model"))
    small = {name: getattr(tiny.diagnose, name) for name in ("num_prompts", "num_takes", "choose")}
    diagnose = mine.diagnose.model_copy(update=small)
    recipe = tiny.model_copy(update={"name": mine.name, "diagnose": diagnose})
    scorecard = improve(recipe, folder / "run")
    assert scorecard is not None
    return recipe, folder / "run", scorecard


def brought(recipe: Recipe) -> DimensionSpec:
    [dimension] = recipe.diagnose.extra
    assert recipe.diagnose.focus == (OWN,) and dimension.name == OWN
    return dimension


def prompts_of(run: Run, origin: str) -> dict[str, Prompt]:
    """The prompts of the dimension that somebody ordered for one purpose, by key."""
    return {each.key: each for each in run.prompts.all() if each.origin == origin and each.dimension == OWN}


def clips_of(run: Run, prompts: dict[str, Prompt]) -> list[Clip]:
    return [clip for clip in run.clips.all() if clip.prompt_key in prompts]


def test_its_prompts_are_written_by_analogy_each_with_its_questions(finished: Finished) -> None:
    recipe, home, _ = finished
    examples = brought(recipe).examples
    answers = [list(example.questions.values()) for example in examples]
    seeds = {example.prompt for example in examples}
    asked_of_seeds = {question for example in examples for question in example.questions}
    with Run.view(home) as run:
        for origin, num_wanted in (("probe", recipe.diagnose.num_prompts), ("weakness", 6), ("held_out", 4)):
            found = prompts_of(run, origin)
            assert len(found) >= num_wanted, origin
            for prompt in found.values():
                assert [question.expected for question in prompt.questions] in answers
                assert {question.dimension for question in prompt.questions} == {OWN}
            asked = {question.text for prompt in found.values() for question in prompt.questions}
            assert {prompt.base_text for prompt in found.values()} - seeds and asked - asked_of_seeds, (
                "nothing but the examples"
            )


def test_the_budget_goes_to_it_and_its_takes_are_generated_and_judged_by_its_questions(finished: Finished) -> None:
    recipe, home, _ = finished
    with Run.view(home) as run:
        [focus] = run.read_derived("focus", Focus) or []
        prompts = prompts_of(run, "weakness")
        clips = clips_of(run, prompts)
        asked = {
            clip.key: {each.question: each for each in run.answers.all() if each.clip_key == clip.key} for clip in clips
        }
        generated = [clip for clip in run.clips.all() if clip.origin == "model"]
        written = {each.key: each for each in run.prompts.all()}
        scores = grade(clips, prompts, run.answers.all(), recipe.judge)
    assert (focus.dimension, focus.num_prompts) == (OWN, recipe.prompts.num_weakness)
    assert len(clips) == recipe.prompts.num_weakness * recipe.generate.num_takes
    assert {each.dimension for each in generated if written[each.prompt_key].origin == "weakness"} == {OWN}
    for clip in clips:
        assert set(asked[clip.key]) == set(prompts[clip.prompt_key].questions)
    # The score is what the judge thinks of the answers that the examples expect, "no" among them.
    for score in scores:
        assert isinstance(score.outcome, Scored)
        expected = [each.p_expected for each in asked[score.clip_key].values()]
        assert sorted(part.value for part in score.outcome.parts) == pytest.approx(sorted(expected))


def test_it_is_trained_on(finished: Finished) -> None:
    recipe, home, _ = finished
    with Run.view(home) as run:
        samples = run.read_derived("samples-0", Sample) or []
        clips = {clip.key for clip in clips_of(run, prompts_of(run, "weakness"))}
        [checkpoint] = run.checkpoints.all()
    own = [sample for sample in samples if sample.source == "own"]
    assert {sample.clip_key for sample in own} == clips
    assert {sample.dimension for sample in own} == {OWN}
    assert len({sample.weight for sample in own}) > 1, "the answers to its questions decide the weights"
    assert checkpoint.step == recipe.train.num_steps
    assert "weighted_flow" in {loss.term for loss in checkpoint.losses}


def test_it_has_a_row_in_the_scorecard_measured_by_its_questions(finished: Finished) -> None:
    recipe, home, scorecard = finished
    rows = {row.dimension: row for row in scorecard.rows}
    assert set(rows) == {"Composition", "Camera_Motion", "Diversity", OWN}
    assert [name for name, row in rows.items() if row.is_focus] == [OWN]
    assert rows[OWN].num_prompts == recipe.measure.num_prompts
    assert rows[OWN].judge_before is not None and rows[OWN].judge_after is not None
    assert scorecard.focus_gain == pytest.approx(rows[OWN].gain)
    with Run.view(home) as run:
        prompts = prompts_of(run, "held_out")
        measured = [each for each in run.measurements.all() if each.prompt_key in prompts]
    assert len(measured) == 2 * recipe.measure.num_prompts * recipe.measure.num_takes, "before and after"
    for each in measured:
        assert isinstance(each.outcome, Scored)
        assert [part.name for part in each.outcome.parts] == [q.text for q in prompts[each.prompt_key].questions]
    assert "Side By Side" in (home / "report.html").read_text(encoding="utf-8")
