"""What `rushes status` shows of a watched training: one line for each look, with its alarms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rushes.cli.show import Column, say, show_table

if TYPE_CHECKING:
    from rushes.watch.rules import Course


def read_watch(home: Path) -> tuple[Course, ...]:
    """The looks of a run, by round; empty if its recipe has no watch.

    Raises:
        StoreError: not a run folder, or damaged.
    """
    from rushes.errors import RecipeError
    from rushes.store.recipe_copy import recipe_of
    from rushes.store.run import Run
    from rushes.watch.look import points_of
    from rushes.watch.words import courses

    try:
        spec = recipe_of(home).watch
    except RecipeError:  # of a version with other settings
        return ()
    if spec is None:
        return ()
    with Run.view(home) as run:
        return courses(points_of(run).all(), spec)


def watch_json(courses: tuple[Course, ...]) -> list[dict[str, object]]:
    """Every look after the first, as JSON values."""
    from rushes.watch.words import values

    return [
        {
            "round": point.round_index + 1,
            "step": point.step,
            **values(point, course.base),
            "alarms": [alarm.text for alarm in course.alarms(index)],
            "is_best": point == course.best,
        }
        for course in courses
        for index, point in enumerate(course.points)
    ]


def show_watch(courses: tuple[Course, ...]) -> None:
    """Print the looks of each round."""
    from rushes.watch.words import CURVES, values

    for course in courses:
        columns = [Column("watch: step"), *(Column(name.replace("_", " "), "right") for name in CURVES), Column("")]
        rows = [
            (
                f"{point.step}{' *' if point == course.best else ''}",
                *("-" if value is None else f"{value:.3g}" for value in values(point, course.base).values()),
                "; ".join(alarm.text for alarm in course.alarms(index)) if index >= 0 else "",
            )
            for index, point in enumerate((course.base, *course.points), start=-1)
        ]
        show_table(columns, rows)
    if courses:
        say("* the best checkpoint so far; the rules are in docs/hacking.md")
