"""The stage `judge` with judges that give values or preferences, one for each dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rushes.context import Context
from rushes.errors import RecipeError, UserError
from rushes.judge.key import answer_keys, judge_name, rating_key, scoring_identity, vote_key
from rushes.judge.ratings import weights_of_scales
from rushes.judge.stage import build_answerer, build_judge, judge
from rushes.judge.votes import WINS
from rushes.plugins import JUDGE, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Scale, Scored
from rushes.store.identity import content_hash
from rushes.store.run import Run
from tests.support.judged import make_clip, make_prompt, make_question
from tests.support.raters import Chooser, Rater, RaterSpec
from tests.support.sandbox_recipe import sandbox_recipe

RATER, CHOOSER, HASH = (
    {"kind": "plugin", "use": f"tests.support.{name}"}
    for name in ("raters:RaterSpec", "raters:ChooserSpec", "fakes:HashJudgeSpec")
)


def spec_of(**settings: object) -> JudgeSpec:
    return JudgeSpec.model_validate(settings)


def test_each_clip_is_judged_by_the_judge_of_its_dimension(tmp_path: Path) -> None:
    """All kinds at once, in any order of clips; replies go to the tables of their kind, drafts to tables apart."""
    spec = spec_of(judge=HASH, by_dimension={"Mechanics": RATER, "Composition": CHOOSER})
    names = ("Camera_Motion", "Mechanics", "Composition")
    prompts = [make_prompt(name, make_question("Is it so?"), dimension=name) for name in names]
    recipe = sandbox_recipe(judge=spec)
    with Run.open(tmp_path / "run", recipe.model_dump(mode="json")) as run:
        clips = [make_clip(each, take, brightness=50 * take, blobs=run.blobs) for take in range(2) for each in prompts]
        context = Context(recipe, run)
        context.prompts.update({prompt.key: prompt for prompt in prompts})
        scores = judge(context, clips)
        assert [score.clip_key for score in scores] == [clip.key for clip in clips]
        outcomes = [score.outcome for score in scores]
        units = [each.unit if isinstance(each, Scored) else "unscored" for each in outcomes]
        assert units == [None, "mean of look, motion", WINS] * 2
        parts = outcomes[1].parts if isinstance(outcomes[1], Scored) else ()
        assert {part.name: part.unit for part in parts} == {"look": "points from -3 to 5", "motion": "points of 10"}
        assert (run.answers.num_records(), run.ratings.num_records(), run.votes.num_records()) == (2, 4, 2)
        judge(context, clips[:3], "draft_")
        assert run.tables()["draft_ratings"].num_records() == 2 and run.ratings.num_records() == 4


def test_a_judge_of_one_dimension_changes_no_key_of_the_others() -> None:
    """And the old form keeps its keys whatever is added beside it."""
    plain = spec_of(judge=HASH)
    several = spec_of(judge=HASH, by_dimension={"Mechanics": RATER}, scales={"look": 1.0}, combine="mean")
    here, there = (
        make_prompt("a", make_question("Is it so?"), dimension=name) for name in ("Camera_Motion", "Mechanics")
    )
    assert answer_keys(make_clip(here), here, plain) == answer_keys(make_clip(here), here, several)
    assert answer_keys(make_clip(there), there, plain) != answer_keys(make_clip(there), there, several)
    assert content_hash(plain) == content_hash({"spec_name": "judge", **_old_fields(plain)})
    assert scoring_identity(plain, ["Mechanics"]).keys() == {"judge", "aggregate"}
    assert scoring_identity(several, ["Mechanics"]).keys() == {
        "judge",
        "aggregate",
        "by_dimension",
        "combine",
        "scales",
    }


def _old_fields(spec: JudgeSpec) -> dict[str, object]:
    """What earlier releases hashed of a recipe's judge."""
    return {"judge": resolved(spec.judge, JUDGE), "aggregate": spec.aggregate, "max_unscored": spec.max_unscored}


def test_what_decides_a_value_is_in_its_key_and_what_does_not_is_not() -> None:
    prompt = make_prompt("a")
    a, b = make_clip(prompt), make_clip(prompt, 1)
    scale, spec = Scale(name="look", unit="points"), spec_of(judge=RATER)
    own = rating_key(a, prompt, spec, scale)
    assert own == rating_key(a, prompt, spec, scale.model_copy(update={"repeat_error": 0.5}))
    assert own == rating_key(a, prompt, spec_of(judge=RATER, scales={"look": 2.0}), scale)
    others = [
        rating_key(b, prompt, spec, scale),
        rating_key(a, prompt, spec, scale.model_copy(update={"name": "motion"})),
        rating_key(a, prompt, spec, scale.model_copy(update={"unit": "levels"})),
        rating_key(a, prompt, spec_of(judge=CHOOSER), scale),
        rating_key(a, prompt.model_copy(update={"text": "another"}), spec, scale),
    ]
    assert len({own, *others}) == 6
    assert vote_key(a, b, prompt, spec) != vote_key(b, a, prompt, spec), "the order in which they are shown"


def test_names_of_several_judges() -> None:
    assert judge_name(spec_of(judge=HASH)) == "tests.hash-judge"
    several = spec_of(judge=HASH, by_dimension={"Mechanics": RATER})
    assert judge_name(several) == "tests.hash-judge; Mechanics: tests.rater"
    assert judge_name(several.of("Mechanics")) == "tests.rater"


def test_the_scales_that_count() -> None:
    assert weights_of_scales(spec_of(judge=RATER)) == {"look": 1.0, "motion": 1.0}
    assert weights_of_scales(spec_of(judge=RATER, scales={"motion": 0.5, "other": 1.0})) == {"motion": 0.5}
    with pytest.raises(RecipeError, match="names none of the judge's scales"):
        weights_of_scales(spec_of(judge=RATER, scales={"other": 1.0}))


def test_a_judge_must_have_the_method_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    build_judge(spec_of(judge=RATER), RuntimeSpec())
    with pytest.raises(RecipeError, match="gives scores, and here questions are to be answered"):
        build_answerer(spec_of(judge=RATER), RuntimeSpec())
    monkeypatch.setattr(RaterSpec, "gives", "preferences")
    with pytest.raises(RecipeError, match="does not build a PreferenceJudge") as caught:
        build_judge(spec_of(judge=RATER), RuntimeSpec())
    assert "prefer(requests), see rushes.feedback.PreferenceJudge" in str(caught.value)
    monkeypatch.setattr(RaterSpec, "gives", "stars")
    with pytest.raises(RecipeError, match="gives 'stars', which is no kind of feedback"):
        build_judge(spec_of(judge=RATER), RuntimeSpec())


@pytest.mark.parametrize("scales", [(), (Scale(name="a", unit="b"),) * 2, ("VQ",), None])
def test_scales_that_are_none_are_refused(scales: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RaterSpec, "scales", scales)
    with pytest.raises(RecipeError, match="does not say on which scales"):
        weights_of_scales(spec_of(judge=RATER))


@pytest.mark.parametrize("use", [RATER, CHOOSER])
def test_replies_that_came_before_the_credit_ran_out_are_kept(
    use: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge that yields its replies and then ends the run: what it gave is stored, and not asked for again."""
    asked: list[str] = []

    def once(real: Callable[..., list[Any]], name: Callable[[Any], str], most: int) -> Callable[..., Iterator[Any]]:
        def call(judge: Any, requests: Sequence[Any]) -> Iterator[Any]:
            for request in requests:
                if len(asked) == most:
                    raise UserError("the credit is used up", next_step="pay")
                asked.append(name(request))
                yield from real(judge, [request])

        return call

    real = (Rater.score, Chooser.prefer)
    for most in (3, 100):
        monkeypatch.setattr(Rater, "score", once(real[0], lambda each: each.clip_key, most))
        monkeypatch.setattr(Chooser, "prefer", once(real[1], lambda each: each.first_key + each.second_key, most))
        recipe = sandbox_recipe(judge=spec_of(judge=use))
        with Run.open(tmp_path / "run", recipe.model_dump(mode="json")) as run:
            prompts = [make_prompt(name) for name in "abc"]
            clips = [
                make_clip(each, take, brightness=50 * take, blobs=run.blobs) for each in prompts for take in (0, 1)
            ]
            context = Context(recipe, run)
            context.prompts.update({prompt.key: prompt for prompt in prompts})
            if most == 3:
                with pytest.raises(UserError, match="the credit is used up"):
                    judge(context, clips)
            else:
                assert all(isinstance(each.outcome, Scored) for each in judge(context, clips))
            table = run.ratings if use is RATER else run.votes
            assert table.num_records() == {3: 6 if use is RATER else 3, 100: 12 if use is RATER else 6}[most]
    assert len(asked) == len(set(asked)) == 6
