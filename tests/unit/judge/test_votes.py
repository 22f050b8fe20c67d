"""Which takes are compared, and what their votes say."""

from __future__ import annotations

import pytest

from rushes.judge.votes import WINS, grade_votes, pairs, wins
from rushes.records import Clip, Score, Scored, Unscored, Vote
from rushes.report.scales import Places, SameOrder, ScaleRow, places, same_order, scale_rows
from tests.support.judged import key, make_clip, make_measurement, make_prompt, make_score

PROMPT = make_prompt("a")


def takes(num: int, model: str = "base") -> list[Clip]:
    made = [make_clip(PROMPT, take) for take in range(num)]
    return [clip.model_copy(update={"model": model, "key": key(clip.key, model)}) for clip in made]


def vote(first: Clip, second: Clip, p_first: float | None) -> Vote:
    return Vote(
        key=key("vote", first.key, second.key),
        clip_key=first.key,
        other_key=second.key,
        p_first=p_first,
        unscored_reason="no idea" if p_first is None else None,
        judge="test",
    )


def test_takes_of_one_model_are_compared_all_with_all() -> None:
    a, b, c = takes(3)
    other = make_clip(make_prompt("b"))
    assert pairs([a, b, other, c], both=False) == [(a, b), (a, c), (b, c)]
    assert pairs([a, b], both=True) == [(a, b), (b, a)]


def test_takes_of_two_models_are_compared_seed_by_seed() -> None:
    base, tuned = takes(2), takes(2, "tuned")
    assert pairs([*base, *tuned], both=False) == [(base[0], tuned[0]), (base[1], tuned[1])]


def test_a_score_is_the_share_of_comparisons_won() -> None:
    a, b, c = takes(3)
    scores = grade_votes([a, b, c], [vote(a, b, 1.0), vote(c, a, 0.25), vote(b, c, 0.5)])
    assert [each.outcome for each in scores] == [
        Scored(value=0.875, unit=WINS),
        Scored(value=0.25, unit=WINS),
        Scored(value=0.375, unit=WINS),
    ]


def test_a_judge_that_favours_a_place_favours_no_take() -> None:
    a, b = takes(2)
    assert wins([vote(a, b, 0.9), vote(b, a, 0.9)]) == {a.key: [pytest.approx(0.5)], b.key: [pytest.approx(0.5)]}


def test_a_pair_with_one_order_missing_does_not_count() -> None:
    """What is left would be the judge's bias for a place as much as for a take."""
    a, b, c = takes(3)
    votes = [vote(a, b, 0.9), vote(b, a, None), vote(a, c, 0.25), vote(c, a, 0.75)]
    scores = {each.clip_key: each.outcome for each in grade_votes([a, b, c], votes)}
    assert scores[a.key] == Scored(value=0.25, unit=WINS)
    assert scores[b.key] == Unscored(reason="no idea")


def test_a_take_that_was_compared_with_none_has_no_score() -> None:
    (alone,) = grade_votes(takes(1), [])
    assert isinstance(alone.outcome, Unscored) and "no other take" in alone.outcome.reason


def test_how_much_the_place_decides() -> None:
    a, b, c = takes(3)
    votes = [vote(a, b, 0.9), vote(b, a, 0.7), vote(a, c, 0.8), vote(c, a, 0.4), vote(b, c, 0.5)]
    assert places(votes) == Places(num_pairs=2, num_contradicted=1, first_wins=pytest.approx(0.7))
    assert places([vote(a, b, 0.9)]) is None


def scored(clip: Clip, value: float) -> Score:
    return make_score(clip, 0.0).model_copy(update={"outcome": Scored(value=value, unit="points of 10")})


def test_scales_are_shown_by_model_and_shares_are_not() -> None:
    base, tuned = takes(2), takes(2, "tuned")
    clips = {clip.key: clip for clip in (*base, *tuned)}
    scores = [scored(clip, value) for clip, value in zip(clips.values(), (1.0, 2.0, 7.0, 9.0), strict=True)]
    assert scale_rows(scores, clips, "base", "tuned") == (
        ScaleRow("Mechanics", "score", "points of 10", before=1.5, after=8.0, num_before=2, num_after=2),
    )
    assert scale_rows([make_score(clip, 0.5) for clip in clips.values()], clips, "base", "tuned") == ()


def test_judge_and_measurer_agree_on_the_order_of_takes_of_a_seed() -> None:
    base, tuned = takes(3), takes(3, "tuned")
    clips = {clip.key: clip for clip in (*base, *tuned)}
    judged = [scored(clip, value) for clip, value in zip(clips.values(), (1, 2, 3, 4, 1, 3), strict=True)]
    measured = [make_measurement(clip, value) for clip, value in zip(clips.values(), (0, 0, 0, 1, 1, 1), strict=True)]
    assert same_order(judged, measured, clips) == (SameOrder("Mechanics", num_same=1, num_pairs=2),)
