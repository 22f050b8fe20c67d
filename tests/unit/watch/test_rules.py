"""Each alarm exactly when its condition holds, the best checkpoint, and early stop: on constructed curves."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from rushes.recipe.watch import WatchSpec
from rushes.records import WatchedPrompt, WatchPoint
from rushes.watch.rules import Course, looks
from rushes.watch.words import courses, curves, notes

SPEC = WatchSpec(judge_rise=0.05, max_diversity_loss=0.1, max_motion_loss=0.25, max_norm_rise=0.1, stop_after=2)
SPREAD = (-0.01, 0.0, 0.01, 0.0) * 6
"""Differences between prompts: small, but not 0."""


def point(
    step: int,
    judge: float | None = 0.5,
    measurer: float | None = 0.5,
    *,
    diversity: float | None = 0.4,
    motion: float | None = 2.0,
    norm: float | None = 1.0,
    spread: Sequence[float] = SPREAD,
) -> WatchPoint:
    prompts = tuple(
        WatchedPrompt(
            prompt_key=f"{number:064x}",
            judge=None if judge is None else judge + step % 7 * each,
            measurer=measurer,
        )
        for number, each in enumerate(spread)
    )
    return WatchPoint(
        key=f"{step + 1000:064x}",
        model=f"{step:064x}" if step else "base",
        training="ab" * 32 if step else None,
        step=step,
        prompts=prompts,
        diversity=diversity,
        motion=motion,
        saturation=0.2,
        velocity_norm=norm,
    )


def course(*points: WatchPoint, spec: WatchSpec = SPEC, base: WatchPoint | None = None) -> Course:
    return Course(spec, base or point(0), points)


def kinds(of: Course, index: int = -1) -> list[str]:
    return [each.kind for each in of.alarms(index % len(of.points))]


@pytest.mark.parametrize(
    ("judge", "measurer", "expected"),
    [
        (0.56, 0.5, ["judge_only"]),
        (0.56, 0.4, ["judge_only"]),
        (0.75, 0.7, []),  # the measurer clearly rose too
        (0.54, 0.5, []),  # too small a rise
        (0.44, 0.4, []),  # both fell
        (None, 0.5, []),  # nothing judged
        (0.56, None, []),  # nothing measured
    ],
)
def test_the_judge_alone_rises(judge: float | None, measurer: float | None, expected: list[str]) -> None:
    assert kinds(course(point(8, judge, measurer))) == expected


def test_a_rise_that_may_be_chance_is_none() -> None:
    wide = (-0.3, -0.1, 0.1, 0.3) * 6
    flat = point(0, spread=wide)
    assert kinds(course(point(1, 0.57, spread=wide), base=flat)) == []
    assert kinds(course(point(1, 0.57), base=point(0))) == ["judge_only"]


def test_the_rise_counts_since_the_last_clear_rise_of_the_measurer() -> None:
    peak, later = point(7, 0.60, 0.7), point(14, 0.62, 0.6)
    assert kinds(course(peak, later)) == [], "only 2 points since the peak, though 12 since the start"
    hacked = point(14, 0.70, 0.6)
    assert kinds(course(peak, hacked)) == ["judge_only"], "the measurer is still above the start, but below its peak"
    (alarm,) = course(peak, hacked).alarms(1)
    assert alarm.text.startswith(
        "since step 7, the judge's score rose by 10.0 points and the measurer's changed by -10.0: the judge's rose by "
        "20.0 more ("
    )


def test_a_rise_of_the_measurer_that_may_be_chance_silences_nothing() -> None:
    """38 points by the judge and 8 by the measurer, which is right or wrong; and 38 by both."""
    right = [False, True] * 12
    more, all_but_two = [True, True, *right[2:21], True, True, True], [True] * 9 + right[9:]
    base, hacked, true = (
        _measured(step, judge, rights)
        for step, judge, rights in ((0, 0.35, right), (7, 0.73, more), (7, 0.73, all_but_two))
    )
    assert base.measurer == 0.5 and hacked.measurer == pytest.approx(0.5 + 2 / 24)
    assert kinds(course(hacked, base=base)) == ["judge_only"]
    assert kinds(course(true, base=base)) == []


def test_where_the_start_was_not_measured_the_first_look_that_was_counts() -> None:
    unknown = point(0, 0.5, None)
    assert kinds(course(point(8, 0.5, 0.5), point(16, 0.6, 0.5), base=unknown)) == ["judge_only"]
    assert kinds(course(point(8, 0.6, 0.5), base=unknown)) == []


def test_the_luckiest_look_is_not_what_later_ones_are_held_against() -> None:
    right, lucky = [False, True] * 12, [True] * 3 + [False, True] * 10 + [False]
    base, peak = _measured(0, 0.5, right), _measured(7, 0.5, lucky)
    assert peak.measurer is not None and base.measurer is not None and peak.measurer > base.measurer
    later = _measured(14, 0.58, right)
    (alarm,) = course(peak, later, base=base).alarms(1) or (None,)
    assert alarm is None or alarm.text.startswith("since the start")


def _measured(step: int, judge: float, rights: Sequence[bool]) -> WatchPoint:
    plain = point(step, judge)
    prompts = (each.model_copy(update={"measurer": float(ok)}) for each, ok in zip(plain.prompts, rights, strict=True))
    return plain.model_copy(update={"prompts": tuple(prompts)})


def _share_of_alarms(judge: float, measurer: float, *, num_prompts: int = 24, num: int = 60) -> tuple[float, float]:
    """Of simulated trainings of six looks, those with an alarm, and those that are stopped by two in a row.

    Both rise evenly to the third look and then stay. The judge's score is soft, with noise at every look; the measurer
    says right or wrong, drawn anew.
    """
    rng, rang, stopped = np.random.default_rng(1), 0, 0
    for _ in range(num):
        q = rng.uniform(0.2, 0.8, num_prompts)
        looked = []
        for look in range(7):
            done = min(1.0, look / 3)
            soft = np.clip(q + judge * done + rng.normal(0, 0.15, num_prompts), 0, 1)
            looked.append(_drawn(look, soft, rng.random(num_prompts) < np.clip(q + measurer * done, 0, 1)))
        bells = [bool(kinds(course(*looked[1:], base=looked[0]), at)) for at in range(6)]
        rang += any(bells)
        stopped += any(a and b for a, b in itertools.pairwise(bells))
    return rang / num, stopped / num


def _drawn(look: int, judge: np.ndarray, right: np.ndarray) -> WatchPoint:
    prompts = tuple(
        WatchedPrompt(prompt_key=f"{number:064x}", judge=float(a), measurer=float(b))
        for number, (a, b) in enumerate(zip(judge, right, strict=True))
    )
    return point(7 * look).model_copy(update={"prompts": prompts})


@pytest.mark.slow
def test_how_often_the_alarm_is_false_and_how_often_it_finds_a_lenient_judge() -> None:
    """docs/hacking.md has a table of such shares, of more trainings."""
    nothing, true, mostly = (_share_of_alarms(*rises) for rises in ((0.0, 0.0), (0.3, 0.3), (0.38, 0.08)))
    assert max(nothing) <= 0.05
    assert true[0] <= 0.2 and true[1] <= 0.05, "clips that truly get better"
    assert mostly[0] >= 0.6 and mostly[1] >= 0.3, "a judge that rises by much more than the measurer"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"diversity": 0.361}, []),
        ({"diversity": 0.359}, ["diversity"]),
        ({"diversity": None}, []),
        ({"motion": 1.51}, []),
        ({"motion": 1.49}, ["motion"]),
        ({"motion": 9.0}, []),
        ({"norm": 1.09}, []),
        ({"norm": 1.11}, ["norm"]),
        ({"norm": 0.5}, []),
        ({"diversity": 0.1, "motion": 0.1, "norm": 2.0}, ["diversity", "motion", "norm"]),
    ],
)
def test_drift_against_the_untouched_model(changed: dict[str, float | None], expected: list[str]) -> None:
    assert kinds(course(point(50, **changed))) == expected  # type: ignore[arg-type]


def test_without_a_value_before_there_is_no_alarm() -> None:
    unknown = point(0, diversity=None, motion=0.0, norm=None)
    assert kinds(course(point(50, diversity=0.1, motion=0.0, norm=9.0), base=unknown)) == []


def test_the_best_is_measured_highest_and_has_not_drifted() -> None:
    first, high, drifted = point(7, measurer=0.6), point(14, measurer=0.7), point(21, measurer=0.9, motion=0.5)
    assert course(first, high, drifted).best == high
    assert course(drifted).best == drifted, "there must be a result"
    assert course(first, point(14, measurer=0.6)).best == first, "of equals the earliest"
    assert course(first, point(14, measurer=None)).best == first, "unmeasured is never the best"
    assert course(point(7, measurer=None), point(14, measurer=0.1)).best.step == 14


def test_the_order_of_two_points_does_not_depend_on_others() -> None:
    """Checkpoints are dropped while training goes on: what is dropped must not become one of the best later."""
    points = [point(7 * n, measurer=m, motion=v) for n, (m, v) in enumerate([(0.6, 2.0), (0.7, 0.1), (0.5, 2.0)], 1)]
    whole = [each.step for each in course(*points).ranked]
    for left_out in points:
        some = course(*(each for each in points if each != left_out))
        assert [each.step for each in some.ranked] == [step for step in whole if step != left_out.step]


def test_training_stops_after_alarms_in_a_row() -> None:
    good, bad = point(7, measurer=0.6), point(14, motion=0.1)
    assert not course(good, bad).is_over
    assert course(good, bad, point(21, motion=0.1)).is_over
    assert not course(bad, point(21, measurer=0.6), point(28, motion=0.1)).is_over
    never = SPEC.model_copy(update={"stop_after": None})
    assert not course(bad, point(21, motion=0.1), spec=never).is_over
    at_once = SPEC.model_copy(update={"stop_after": 1})
    assert course(bad, spec=at_once).is_over


@pytest.mark.parametrize(
    ("every", "num_steps", "expected"),
    [(50, 200, (50, 100, 150, 200)), (50, 120, (50, 100, 120)), (50, 20, (20,)), (1, 2, (1, 2))],
)
def test_there_is_always_a_look_after_the_last_step(every: int, num_steps: int, expected: tuple[int, ...]) -> None:
    assert looks(every, num_steps) == expected


def test_curves_begin_before_training_and_leave_out_what_is_unknown() -> None:
    found = curves(course(point(8, 0.6, norm=1.2, diversity=None)))
    assert found["velocity_norm_ratio"] == [(0, 1.0), (8, pytest.approx(1.2))]
    assert found["diversity"] == [(0, 0.4)]
    assert [step for step, _ in found["judge"]] == [0, 8]


def test_notes_tell_what_happened() -> None:
    stopped = course(point(7, measurer=0.6), point(14, motion=0.1), point(21, motion=0.1))
    assert notes(stopped, 100) == (
        "watch: training stopped after step 21 of 100: motion fell by 95 % (2 to 0.1)",
        "watch: the result is the checkpoint after step 7, not the last one: it is the best",
    )
    assert notes(course(point(7, measurer=0.6)), 7) == ()
    assert notes(course(point(7, measurer=0.5)), 7) == (
        "watch: no checkpoint measures better than the untouched model on the watch prompts",
    )
    assert notes(course(point(7, measurer=0.6, norm=1.5)), 7) == (
        "watch: alarm about the result: the norm of the velocity grew by 50 %",
    )


def test_looks_are_put_together_by_training_and_round() -> None:
    base, first = point(0), [point(7), point(14)]
    later = [each.model_copy(update={"training": "cd" * 32, "round_index": 1}) for each in first]
    other = point(7, spread=(0.0, 0.0)).model_copy(update={"training": "ef" * 32})
    found = courses([*later[::-1], base, other, *first[::-1]], SPEC)
    assert [[(p.round_index, p.step) for p in each.points] for each in found] == [[(0, 7), (0, 14)], [(1, 7), (1, 14)]]
    assert all(each.base == base for each in found)
