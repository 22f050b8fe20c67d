"""What the report shows of a watched training: curves, alarms, and which checkpoint became the result."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.recipe.recipe import Recipe
from rushes.records import Checkpoint
from rushes.report.data import LossCurve, WatchAlarm, WatchedRound
from rushes.store.run import Run
from rushes.watch.look import points_of
from rushes.watch.rules import Course
from rushes.watch.words import courses, curves, notes


def watched_rounds(recipe: Recipe, run: Run, rounds: Sequence[Checkpoint]) -> tuple[WatchedRound, ...]:
    """The watched rounds behind a result, first to last; empty if the recipe has no watch.

    Args:
        recipe, run: the recipe and its run.
        rounds: the checkpoint that is the result of each round.
    """
    return tuple(_round(number, course) for number, course in _behind(recipe, run, rounds))


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
    known = courses(points_of(run).all(), recipe.watch)
    return [
        (number, course)
        for number, checkpoint in enumerate(rounds, start=1)
        for course in known
        if any(point.model == checkpoint.key for point in course.points)
    ]


def _round(number: int, course: Course) -> WatchedRound:
    return WatchedRound(
        round_number=number,
        curves=tuple(
            LossCurve(name, [step for step, _ in curve], [value for _, value in curve])
            for name, curve in curves(course).items()
        ),
        alarms=tuple(
            WatchAlarm(point.step, alarm.text)
            for index, point in enumerate(course.points)
            for alarm in course.alarms(index)
        ),
        best_step=course.best.step,
        last_step=course.points[-1].step,
    )
