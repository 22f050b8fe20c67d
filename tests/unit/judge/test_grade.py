"""Answers become a score only when they are all there; how they do is a choice that re-judges nothing."""

from __future__ import annotations

import random
from itertools import product

import pytest

from rushes.errors import TrainingError
from rushes.judge.grade import aggregate, check_unscored_share, grade
from rushes.judge.key import answer_keys
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.records import Answer, Clip, Outcome, Prompt, Scored, Unscored
from tests.support.judged import make_clip, make_prompt, make_question, make_score
from tests.support.sandbox_recipe import judge_spec

SPEC = judge_spec()
PROMPT = make_prompt("p", make_question("red?"), make_question("blue?", "no"), make_question("moves?"))
CLIP = make_clip(PROMPT)


def answered(
    values: list[float | str | None], clip: Clip = CLIP, prompt: Prompt = PROMPT, spec: JudgeSpec = SPEC
) -> list[Answer]:
    """Answers to the first questions: a probability of yes, a reason for having none, or None for no record at all."""
    return [
        Answer(
            key=answer_keys(clip, prompt, spec)[index],
            clip_key=clip.key,
            question=prompt.questions[index],
            p_yes=None if isinstance(value, str) else value,
            unscored_reason=value if isinstance(value, str) else None,
            judge="test",
        )
        for index, value in enumerate(values)
        if value is not None
    ]


def outcome(values: list[float | str | None], spec: JudgeSpec = SPEC) -> Outcome:
    (score,) = grade([CLIP], {PROMPT.key: PROMPT}, answered(values), spec)
    assert (score.clip_key, score.prompt_key, score.dimension) == (CLIP.key, PROMPT.key, "Mechanics")
    return score.outcome


@pytest.mark.parametrize(
    ("how", "value"), [("mean", (0.9 + 0.8 + 0.5) / 3), ("product", 0.9 * 0.8 * 0.5), ("minimum", 0.5)]
)
def test_the_probabilities_of_the_expected_answers_are_aggregated(how: str, value: float) -> None:
    got = outcome([0.9, 0.2, 0.5], judge_spec(aggregate=how))
    assert isinstance(got, Scored)
    assert got.value == pytest.approx(value)
    assert [part.name for part in got.parts] == ["red?", "blue?", "moves?"]
    assert [part.value for part in got.parts] == pytest.approx([0.9, 0.8, 0.5])


def test_a_missing_answer_is_named_and_makes_no_score() -> None:
    got = outcome([0.9, None, "the reply was 'maybe'"])
    assert isinstance(got, Unscored)
    assert got.reason == (
        "no answer to 2 of 3 questions: 'blue?': the judge failed; there is no answer; 'moves?': the reply was 'maybe'"
    )


def test_a_prompt_without_questions_has_no_score() -> None:
    silent = make_prompt("silent")
    (score,) = grade([make_clip(silent)], {silent.key: silent}, [], SPEC)
    assert score.outcome == Unscored(reason="the prompt has no questions")


def test_answers_of_another_judge_or_clip_do_not_count() -> None:
    other_judge = judge_spec(judge=PluginSpec(use="tests.support.fakes:HashJudgeSpec"))
    other_clip = make_clip(PROMPT, take=1)
    answers = [*answered([1.0, 0.0, 1.0], spec=other_judge), *answered([1.0, 0.0, 1.0], clip=other_clip)]
    first, second = grade([CLIP, other_clip], {PROMPT.key: PROMPT}, answers, SPEC)
    assert isinstance(first.outcome, Unscored)
    assert isinstance(second.outcome, Scored) and second.outcome.value == 1.0


def test_the_order_of_answers_changes_nothing() -> None:
    clips = [make_clip(PROMPT, take) for take in range(6)]
    rng = random.Random(0)
    answers = [a for clip in clips for a in answered([rng.random(), rng.random(), rng.random()], clip=clip)]
    prompts = {PROMPT.key: PROMPT}
    assert grade(clips, prompts, rng.sample(answers, len(answers)), SPEC) == grade(clips, prompts, answers, SPEC)


def test_the_same_question_twice_keeps_both_answers() -> None:
    twice = make_prompt("twice", make_question("red?"), make_question("red?"))
    clip = make_clip(twice)
    (score,) = grade([clip], {twice.key: twice}, answered([1.0, 0.0], clip=clip, prompt=twice), SPEC)
    assert isinstance(score.outcome, Scored)
    assert [part.value for part in score.outcome.parts] == [1.0, 0.0]


def test_aggregates_stay_in_range_and_in_order() -> None:
    for p in product([0.0, 0.1, 0.7, 1.0], repeat=3):
        low, mid, high = (aggregate(p, how) for how in ("product", "minimum", "mean"))
        assert 0.0 <= low <= mid + 1e-12 and mid <= high + 1e-12 and high <= 1.0
    assert aggregate([0.1] * 7, "mean") == pytest.approx(aggregate([0.1] * 7, "minimum"))
    with pytest.raises(ValueError, match="at least one"):
        aggregate([], "mean")
    with pytest.raises(ValueError, match="got 'median'"):
        aggregate([0.5], "median")


class TestUnscoredShare:
    SCORES = tuple(make_score(make_clip(PROMPT, take), None if take < 3 else 0.5) for take in range(10))

    def test_up_to_the_limit_is_allowed(self) -> None:
        check_unscored_share(self.SCORES, 0.3)

    def test_above_it_training_is_refused_with_the_reasons(self) -> None:
        with pytest.raises(TrainingError, match=r"no score for 3 of 10 clips \(30%\)") as caught:
            check_unscored_share(self.SCORES, 0.29)
        assert caught.value.got_repr == "['3 x no idea']"
        assert "judge.max_unscored" in str(caught.value)

    def test_nothing_scored_is_refused_whatever_is_allowed(self) -> None:
        with pytest.raises(TrainingError, match="no score for 3 of 3 clips"):
            check_unscored_share(self.SCORES[:3], 1.0)
        with pytest.raises(TrainingError, match="no score for 0 of 0 clips"):
            check_unscored_share([], 1.0)
