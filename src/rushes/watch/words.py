"""The looks of a training as curves and in words: for trackers, the event log, the report and the scorecard's notes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rushes.recipe.watch import WatchSpec
from rushes.records import WatchPoint
from rushes.watch.rules import Course

Curve = list[tuple[int, float]]
"""(step, value), ascending."""

CURVES: Final = ("judge", "measurer", "diversity", "motion", "saturation", "velocity_norm_ratio")
"""Names of the curves."""


def values(point: WatchPoint, base: WatchPoint) -> dict[str, float | None]:
    """What a look found, by curve; None where it is unknown. The last is the norm of the velocity over the base's."""
    known = point.velocity_norm is not None and bool(base.velocity_norm)
    ratio = (point.velocity_norm or 0.0) / (base.velocity_norm or 1.0) if known else None
    found = (point.judge, point.measurer, point.diversity, point.motion, point.saturation, ratio)
    return dict(zip(CURVES, found, strict=True))


def curves(course: Course) -> dict[str, Curve]:
    """Every curve from before training to the last look, without unknown values; empty ones are left out."""
    found: dict[str, Curve] = {}
    for point in (course.base, *course.points):
        for name, value in values(point, course.base).items():
            if value is not None:
                found.setdefault(name, []).append((point.step, value))
    return found


def notes(course: Course, num_steps: int | None) -> tuple[str, ...]:
    """What a reader of the result must know: an early stop, another checkpoint than the last, alarms about the result.

    Args:
        course: the looks of one round, at least one.
        num_steps: optimiser steps that the recipe asks for; None if it counts in epochs.
    """
    best, last = course.best, course.points[-1]
    found = []
    if last.step < num_steps if num_steps is not None else course.is_over:
        of_all = "" if num_steps is None else f" of {num_steps}"
        reasons = "; ".join(each.text for each in course.alarms(len(course.points) - 1))
        found.append(f"watch: training stopped after step {last.step}{of_all}: {reasons}")
    if best.step < last.step:
        found.append(f"watch: the result is the checkpoint after step {best.step}, not the last one: it is the best")
    found += [f"watch: alarm about the result: {each.text}" for each in course.alarms(course.points.index(best))]
    if best.measurer is not None and course.base.measurer is not None and best.measurer <= course.base.measurer:
        found.append("watch: no checkpoint measures better than the untouched model on the watch prompts")
    return tuple(found)


def courses(points: Iterable[WatchPoint], spec: WatchSpec) -> tuple[Course, ...]:
    """The looks of a run, by training, in the order of its rounds.

    Args:
        points: all looks of a run.
        spec: the rules.
    """
    known = sorted(points, key=lambda each: (each.round_index, each.training or "", each.step))
    bases = {_asked(each): each for each in known if each.training is None}
    found: dict[tuple[str, tuple[str, ...]], list[WatchPoint]] = {}
    for each in known:
        if each.training is not None and _asked(each) in bases:
            found.setdefault((each.training, _asked(each)), []).append(each)
    return tuple(Course(spec, bases[asked], tuple(own)) for (_, asked), own in found.items())


def _asked(point: WatchPoint) -> tuple[str, ...]:
    """What was asked of whom: a recipe that was changed has other looks, maybe at the same weights."""
    return (point.asked or "", *(each.prompt_key for each in point.prompts))
