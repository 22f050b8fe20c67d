"""`rushes compare`: two looks of the watch, take by take."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

from rushes.cli.show import Column, say, show_json, show_table
from rushes.cli.watched import TITLES, number_text, title_of
from rushes.errors import command, resume_command

if TYPE_CHECKING:
    from rushes.watch.compare import Looks, Row
    from rushes.watch.find import Found


def show_comparison(before: str, after: str, *, as_json: bool) -> None:
    """Print the difference of two looks, of one run or of two.

    Args:
        before, after: RUN, RUN@STEP or RUN@ROUND:STEP each.
        as_json: for programs.

    Raises:
        StoreError: not a run folder, damaged, or not watched.
        InputError: there is no such look, or the two cannot be paired.
    """
    from rushes.store.run import Run
    from rushes.watch.compare import compare_looks
    from rushes.watch.find import find, place

    places = [place(before), place(after)]
    with ExitStack() as stack:
        one, other = (find(stack.enter_context(Run.view(each.home)), each) for each in places)
        looks = compare_looks(one, other)
        if as_json:
            show_json(asdict(looks))
            return
        _show(looks)
        for each in dict.fromkeys((one.run.home, other.run.home)):
            found = other if other.run.home == each else one
            say(_held_out(found))


def _show(looks: Looks) -> None:
    say(f"{looks.after} less {looks.before}, on the same prompts and seeds")
    titles = ("before", "after", "difference", "95 % interval")
    columns = [Column(""), *(Column(title, "right") for title in titles), Column(""), Column("prompts", "right")]
    show_table(columns, [_cells(row) for row in looks.rows])
    tested = [row for row in looks.rows if row.change is not None]
    if tested:
        say(
            f"Intervals are 95 % for each alone; higher and lower are corrected for {len(tested)} together (Holm, 5 %)."
        )
    for name, reason in looks.left_out.items():
        say(f"not compared: {TITLES[name].partition(',')[0]}: {reason}")


def _cells(row: Row) -> tuple[str, ...]:
    has_interval = row.low is not None and row.high is not None
    low, high = (number_text(row.name, end, sign="+", judge_unit=row.unit) for end in (row.low, row.high))
    return (
        title_of(row.name, row.unit),
        number_text(row.name, row.before, judge_unit=row.unit),
        number_text(row.name, row.after, judge_unit=row.unit),
        number_text(row.name, row.difference, sign="+", judge_unit=row.unit),
        f"{low} to {high}" if has_interval else "",
        row.change if row.change in ("higher", "lower") else "",
        "" if row.num_prompts is None else str(row.num_prompts),
    )


def _held_out(found: Found) -> str:
    """Which command shows held-out prompts: they are measured for the result alone."""
    home, result = found.run.home, found.course.best.step
    if not found.run.is_done:
        return f"held-out prompts are measured at the end of the run: {resume_command(home)}"
    kept = [point for point in found.course.points if found.run.checkpoints.get_many([point.model])]
    others = ", ".join(
        f"step {point.step}: {command('export', 'pipeline', home, '--checkpoint', point.model[:12])}"
        for point in kept
        if point.step != result
    )
    more = f"; weights that are kept besides: {others}" if others else ""
    return f"held-out prompts, base against step {result}: {command('report', home)}{more}"
