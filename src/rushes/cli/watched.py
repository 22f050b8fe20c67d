"""What `rushes status` shows of a watched training: one line for each look, with its alarms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.cli.show import Column, say, show_table

if TYPE_CHECKING:
    from rushes.watch.rules import Course


TITLES: Final = {
    "judge": "judge",
    "measurer": "measurer",
    "diversity": "Diversity",
    "motion": "motion, levels",
    "saturation": "saturation",
    "velocity_norm_ratio": "norm, times the base's",
}
"""Each curve's name in tables; those in `_POINTS` are shown in points of 100."""
_POINTS: Final = ("judge", "measurer", "diversity", "saturation")


def title_of(curve: str, judge_unit: str | None) -> str:
    """A curve's name in tables, with the unit of a judge that does not score from 0 to 1."""
    return f"judge, {judge_unit}" if curve == "judge" and judge_unit is not None else TITLES[curve]


def number_text(curve: str, value: float | None, *, sign: str = "", judge_unit: str | None = None) -> str:
    """A value of a curve, or a difference of two; "-" where it is unknown.

    Args:
        curve: its name, of `TITLES`.
        value: in the unit of the record.
        sign: "+" for a difference.
        judge_unit: unit of the judge's scores; None for shares of 1.
    """
    if value is None:
        return "-"
    if curve == "judge" and judge_unit is not None:
        return f"{value:{sign}.3g}"
    return f"{100 * value:{sign}.1f}" if curve in _POINTS else f"{value:{sign}.2f}"


def read_watch(home: Path) -> tuple[Course, ...]:
    """The looks of a run, by round; empty if its recipe has no watch.

    Raises:
        StoreError: not a run folder, or damaged.
    """
    from rushes.errors import RecipeError
    from rushes.store.recipe_copy import recipe_of
    from rushes.store.run import Run
    from rushes.watch.look import current
    from rushes.watch.words import courses

    try:
        spec = recipe_of(home).watch
    except RecipeError:  # of a version with other settings
        return ()
    if spec is None:
        return ()
    with Run.view(home) as run:
        return courses(current(run), spec)


def watch_json(courses: tuple[Course, ...]) -> list[dict[str, object]]:
    """Every look after the first, as JSON values."""
    from rushes.watch.words import values

    return [
        {
            "round": point.round_index + 1,
            "step": point.step,
            **values(point, course.base),
            "judge_unit": point.judge_unit,
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
        unit = next((each.judge_unit for each in (course.base, *course.points) if each.judge_unit), None)
        titles = (Column(title_of(name, unit), "right") for name in CURVES)
        columns = [Column("watch: step"), *titles, Column("alarms")]
        rows = [
            (
                f"{point.step}{' *' if point == course.best else ''}",
                *(number_text(name, value, judge_unit=unit) for name, value in values(point, course.base).items()),
                "; ".join(alarm.text for alarm in course.alarms(index)) if index >= 0 else "",
            )
            for index, point in enumerate((course.base, *course.points), start=-1)
        ]
        show_table(columns, rows)
    if courses:
        say("* the best checkpoint so far; the rules are in docs/hacking.md")
