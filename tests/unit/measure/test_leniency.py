"""Whether the judge became more lenient: on questions that it and the measurer share, before and after."""

from __future__ import annotations

import pytest

from rushes.measure.compare import Contest, compare
from rushes.measure.leniency import MAX_RISE, became_lenient, leniency
from rushes.measure.pairs import pair_up
from rushes.records import Leniency, Part, Score, Scorecard, Scored, Unscored
from rushes.statistics.resampling import Resampling
from tests.support.measured_clips import Stand, clip, measured

HOW = Resampling(num_resamples=200)
QUESTIONS = ("first", "second", "third", "fourth")


def parts(num_right: int) -> tuple[Part, ...]:
    return tuple(Part(name=name, value=float(i < num_right)) for i, name in enumerate(QUESTIONS))


def stand(judge: tuple[int, ...], judge_after: tuple[int, ...]) -> tuple[Stand, dict[str, str]]:
    """Clips of which the measurer says that one question in four is right, and the judge so many."""
    made, clusters = Stand(), {}
    for model, counts in (("base", judge), ("tuned", judge_after)):
        for prompt, num_right in enumerate(counts):
            each = clip(model, "A", prompt)
            clusters[each.prompt_key] = each.prompt_key
            made.clips.append(each)
            (made.before if model == "base" else made.after).append(measured([each], 0.25, parts(1)))
            outcome = Scored(value=num_right / 4, parts=parts(num_right))
            made.judged.append(Score(clip_key=each.key, prompt_key=each.prompt_key, dimension="A", outcome=outcome))
    return made, clusters


def found(made: Stand, clusters: dict[str, str]) -> Leniency | None:
    pairs = pair_up(made.before, made.after, made.clips).pairs
    return leniency(pairs, {each.clip_key: each for each in made.judged}, clusters, HOW)


def card(made: Stand, clusters: dict[str, str]) -> Scorecard:
    contest = Contest(base_model="base", tuned_model="tuned", judge="judge", focus=("A",))
    return compare(pair_up(made.before, made.after, made.clips), clusters, contest, HOW, judged=made.judged)


def test_questions_that_only_the_judge_calls_right_are_counted_on_both_sides() -> None:
    both = found(*stand((1, 2, 1, 2, 1, 1, 1, 1), (3, 2, 2, 3, 2, 2, 3, 2)))
    assert both is not None
    assert (both.before, both.after, both.num_prompts) == (2 / 32, 11 / 32, 8)
    assert 0 < both.rise_low <= 9 / 32 <= both.rise_high
    assert became_lenient(both)
    # A strict judge, which calls nothing right, lets nothing pass.
    strict = found(*stand((1,) * 8, (0,) * 8))
    assert strict is not None and (strict.before, strict.after) == (0.0, 0.0)
    assert not became_lenient(strict)


def test_what_one_of_the_two_did_not_answer_does_not_count() -> None:
    made, clusters = stand((1,) * 8, (2,) * 8)
    made.judged[0] = made.judged[0].model_copy(update={"outcome": Unscored(reason="no answer")})
    made.judged[9] = made.judged[9].model_copy(update={"outcome": Scored(value=1.0, parts=parts(4)[:2])})
    both = found(made, clusters)
    assert both is not None
    assert (both.num_prompts, both.before) == (7, 0.0)
    assert both.after == pytest.approx((6 * 0.25 + 0.5) / 7)
    made.judged.clear()
    assert found(made, clusters) is None


def test_a_rise_by_the_limit_is_warned_of_and_a_smaller_one_is_not() -> None:
    rise = Leniency(before=0.0, after=MAX_RISE, rise_low=-0.1, rise_high=0.2, num_prompts=6)
    assert became_lenient(rise)
    assert not became_lenient(rise.model_copy(update={"after": MAX_RISE - 0.001}))
    assert not became_lenient(rise.model_copy(update={"num_prompts": 5}))
    assert not became_lenient(None)


def test_the_scorecard_holds_it_and_notes_a_rise() -> None:
    made, clusters = stand((1,) * 8, (2, 2, 2, 2, 2, 1, 1, 2))
    (row,) = card(made, clusters).rows
    assert row.leniency == found(made, clusters)
    assert row.gain == 0.0
    (note,) = [note for note in card(made, clusters).notes if "lenient" in note]
    assert note == (
        "A: the judge became more lenient than the measurer: of the questions, it alone says 0 % are right before and "
        "19 % after; a rise of 5 points or more is too much."
    )
    same = card(*stand((2,) * 8, (2,) * 8))
    assert not any("lenient" in note for note in same.notes)
    open_ = card(*stand((1, 2, 1, 2, 1, 2, 1, 1), (2, 1, 2, 1, 2, 2, 2, 1)))
    (note,) = [note for note in open_.notes if "lenient" in note]
    assert note.endswith("It may be chance: the interval of the rise reaches 0.")
