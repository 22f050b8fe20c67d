"""What the report shows of a watched training: curves, alarms, and which checkpoint became the result."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.recipe.recipe import Recipe
from rushes.records import Checkpoint
from rushes.report.data import LossCurve, WatchAlarm, WatchedRound, WatchPanel
from rushes.store.run import Run
from rushes.watch.look import current, points_of
from rushes.watch.rules import Course, Kind
from rushes.watch.words import courses, curves, notes


def watched_rounds(recipe: Recipe, run: Run, rounds: Sequence[Checkpoint]) -> tuple[WatchedRound, ...]:
    """The watched rounds behind a result, first to last; empty if the recipe has no watch.

    Args:
        recipe, run: the recipe and its run.
        rounds: the checkpoint that is the result of each round.
    """
    return tuple(watched_round(number, course) for number, course in _behind(recipe, run, rounds))


def watch_notes(recipe: Recipe, run: Run, rounds: Sequence[Checkpoint]) -> tuple[str, ...]:
    """Notes for the scorecard: an early stop, another checkpoint than the last, alarms about the result."""
    found = _behind(recipe, run, rounds)
    lead = "round {}: " if len(rounds) > 1 else ""
    num_steps = recipe.train.steps if recipe.train.num_epochs is None else None
    return tuple(lead.format(number) + note for number, course in found for note in notes(course, num_steps))


def training_keys(run: Run) -> dict[str, str]:
    """Key of each watched checkpoint -> key of its training, after which the folder of its previews is named."""
    return {point.model: point.training for point in points_of(run).all() if point.training is not None}


def _behind(recipe: Recipe, run: Run, rounds: Sequence[Checkpoint]) -> list[tuple[int, Course]]:
    """Number of the round, from 1, and its looks."""
    if recipe.watch is None:
        return []
    known = courses(current(run), recipe.watch)
    return [
        (number, course)
        for number, checkpoint in enumerate(rounds, start=1)
        for course in known
        if any(point.model == checkpoint.key for point in course.points)
    ]


def watched_round(number: int, course: Course) -> WatchedRound:
    """The looks of a round as they are drawn and told.

    Args:
        number: of the round, from 1.
        course: its looks.
    """
    return WatchedRound(
        round_number=number,
        panels=_panels(course),
        alarms=tuple(
            WatchAlarm(point.step, alarm.text)
            for index, point in enumerate(course.points)
            for alarm in course.alarms(index)
        ),
        best_step=course.best.step,
        last_step=course.points[-1].step,
    )


def _panels(course: Course) -> tuple[WatchPanel, ...]:
    """Judge and measurer on one axis, since their parting is what to look for; the others on their own."""
    base, spec = course.base, course.spec
    unit = next((each.judge_unit for each in (base, *course.points) if each.judge_unit), None)
    both: tuple[tuple[str, tuple[str, ...], Kind | None, float | None], ...] = (
        ("Judge and measurer, points", ("judge", "measurer"), "judge_only", None),
    )
    if unit is not None:
        both = (("Measurer, points", ("measurer",), None, None), (f"Judge, {unit}", ("judge",), "judge_only", None))
    drawn: tuple[tuple[str, tuple[str, ...], Kind | None, float | None], ...] = (
        *both,
        ("Diversity, points", ("diversity",), "diversity", _times(base.diversity, 1 - spec.max_diversity_loss)),
        ("Motion, levels of 255 per frame", ("motion",), "motion", _times(base.motion, 1 - spec.max_motion_loss)),
        ("Saturation, points", ("saturation",), None, None),
        ("Norm of the velocity over the untouched model's", ("velocity_norm_ratio",), "norm", 1 + spec.max_norm_rise),
    )
    known = curves(course)
    panels = []
    for title, names, kind, limit in drawn:
        scale = 100.0 if title.endswith(", points") and not (unit and names == ("judge",)) else 1.0
        found = [
            LossCurve(name, [step for step, _ in known[name]], [scale * value for _, value in known[name]])
            for name in names
            if name in known
        ]
        if found:
            panels.append(WatchPanel(title, found, _times(limit, scale), _rang(course, kind)))
    return tuple(panels)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _rang(course: Course, kind: Kind | None) -> tuple[int, ...]:
    return tuple(
        point.step
        for index, point in enumerate(course.points)
        if any(alarm.kind == kind for alarm in course.alarms(index))
    )
