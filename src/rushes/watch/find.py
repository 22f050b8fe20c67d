"""A look that a run has stored, by the name that a person types: RUN, RUN@STEP or RUN@ROUND:STEP. It only reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.errors import InputError, StoreError, command, resume_command
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.watch import WatchSpec
from rushes.records import WatchPoint
from rushes.store.run import Run
from rushes.watch.look import current
from rushes.watch.rules import Course
from rushes.watch.words import courses

_STEP: Final = re.compile(r"(?:(\d+):)?(\d+)")


@dataclass(frozen=True)
class Place:
    """What is asked for. Example: `Place(Path("runs/a"), round_number=None, step=100)` for `runs/a@100`."""

    home: Path
    """The run folder."""
    round_number: int | None = None
    """Round of the training, from 1; None for the only one."""
    step: int | None = None
    """Optimiser steps of it, 0 for the untouched model; None for the run's result."""


@dataclass(frozen=True, eq=False)
class Found:
    """A look, in the run that stored it."""

    run: Run
    """The run, open for looking."""
    recipe: Recipe
    """What it ran."""
    course: Course
    """The looks of the same round."""
    point: WatchPoint
    """The look."""

    @property
    def label(self) -> str:
        """`runs/a@100`, or `runs/a@2:100` in a later round: what to type for it."""
        lead = f"{self.point.round_index + 1}:" if self.point.round_index else ""
        return f"{self.run.home}@{lead}{self.point.step}"

    @property
    def is_result(self) -> bool:
        """True if its checkpoint is the result of its round, or the best so far."""
        return self.point == self.course.best


def place(text: str) -> Place:
    """What `text` asks for; a folder whose own name has an @ is found too.

    Raises:
        InputError: what follows the @ is no step.
    """
    home, sign, at = text.rpartition("@")
    if not sign or Path(text).is_dir():
        return Place(Path(text))
    match = _STEP.fullmatch(at)
    if match is None or match[1] == "0":
        raise InputError(
            f"{text!r} names no look",
            expected="a run folder, then @ and the steps of training: runs/a@100; in a later round runs/a@2:100",
            got=at,
            next_step=f"see the steps: {command('status', home)}",
        )
    return Place(Path(home), int(match[1]) if match[1] else None, int(match[2]))


def find(run: Run, asked: Place) -> Found:
    """The look that is asked for.

    Raises:
        StoreError: the run has no looks.
        InputError: the run has none at that step, or several.
    """
    recipe = load_recipe(run.home / "recipe.yaml")
    known = _behind_the_result(run, courses(current(run), recipe.watch)) if recipe.watch is not None else ()
    if not known:
        raise _no_looks(run.home, recipe.watch)
    if asked.step is None:
        return Found(run, recipe, known[-1], known[-1].best)
    if asked.step == 0 and asked.round_number is None:
        return Found(run, recipe, known[0], known[0].base)
    there = [
        (course, point)
        for course in known
        for point in (course.base, *course.points)
        if point.step == asked.step and asked.round_number in (None, _number(course))
    ]
    if len(there) != 1:
        raise _not_one(run.home, asked, known, len(there))
    ((course, point),) = there
    return Found(run, recipe, course, point)


def _behind_the_result(run: Run, known: Sequence[Course]) -> Sequence[Course]:
    """Of the looks of all recipes that ran in the folder, those on the way to its result; all while there is none."""
    scorecard = run.scorecard()
    parents = {each.key: each.parent for each in run.checkpoints.all()}
    chain, key = set[str](), scorecard.tuned_model if scorecard is not None else None
    while key is not None and key in parents:
        chain.add(key)
        key = parents[key]
    return [course for course in known if any(point.model in chain for point in course.points)] or known


def _number(course: Course) -> int:
    return course.points[0].round_index + 1


def _no_looks(home: Path, spec: WatchSpec | None) -> StoreError:
    if spec is None:
        return StoreError(
            f"{home} was not watched, so it has no looks to compare",
            expected="a run whose recipe has: watch: {every: 50}",
            next_step="run a recipe with --set watch.every=50 in a new run folder",
        )
    return StoreError(
        f"{home} has no look after a step of training yet",
        expected="a run that has trained to its first look",
        next_step=f"see how far it is: {command('status', home)}; then continue it: {resume_command(home)}",
    )


def _not_one(home: Path, asked: Place, known: Sequence[Course], num: int) -> InputError:
    rounds = [f"{_number(each)}:{point.step}" for each in known for point in (each.base, *each.points)]
    if len(set(rounds)) < len(rounds) and num:
        return InputError(
            f"several trainings of {home} have that look, by recipes that ran one after the other in the folder",
            expected="a finished run, whose result says which of them counts",
            next_step=f"continue it: {resume_command(home)}",
        )
    steps = dict.fromkeys(rounds if len(known) > 1 else [each.partition(":")[2] for each in rounds])
    wanted = f"{asked.round_number}:{asked.step}" if asked.round_number is not None else str(asked.step)
    last = list(steps)[-1]
    return InputError(
        f"{home} has {'several looks' if num else 'no look'} at step {wanted}",
        expected=f"one of the looks that it has: {', '.join(f'@{each}' for each in steps)}",
        got=f"@{wanted}",
        next_step=f"name one of them: {command('compare', f'{home}@0', f'{home}@{last}')}",
    )
