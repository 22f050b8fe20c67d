"""The rules of the watch: alarms, the best checkpoint, when to stop. Pure; docs/hacking.md has them in words.

Every point has the same prompts and seeds, so that two points are compared prompt by prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Final, Literal

from rushes.judge.votes import WINS
from rushes.recipe.watch import WatchSpec
from rushes.records import WatchPoint
from rushes.statistics.comparison import compare_gains, decide

Kind = Literal["judge_only", "diversity", "motion", "norm"]
"""What an alarm is about."""
SPREAD_RISE: Final = 0.2
"""`watch.judge_rise` for scores on other scales than 0 to 1: standard deviations over the prompts before training."""
_SHARES: Final = frozenset({None, WINS})


@dataclass(frozen=True)
class Alarm:
    """Something that training should not do.

    Example: `Alarm("motion", "motion fell by 31 % (2.40 to 1.66 levels/frame)")`.
    """

    kind: Kind
    """Which rule."""
    text: str
    """What was found, in words and numbers."""


@dataclass(frozen=True)
class Course:
    """The looks of one round of training, in order, and the rules for them."""

    spec: WatchSpec
    """The thresholds."""
    base: WatchPoint
    """The model before all training."""
    points: tuple[WatchPoint, ...] = ()
    """After some steps, ascending."""

    def alarms(self, index: int) -> tuple[Alarm, ...]:
        """The alarms at point `index`; only earlier points matter."""
        point = self.points[index]
        found = (_judge_only(point, (self.base, *self.points[:index]), self.spec), *_drifts(point, self))
        return tuple(each for each in found if each is not None)

    @property
    def ranked(self) -> tuple[WatchPoint, ...]:
        """All points, the best first: without an alarm about Diversity, motion or norm; then the highest measurement;
        then the earliest. The order of two points does not depend on others, so that a checkpoint that is not among the
        best can be dropped while training goes on."""
        return tuple(sorted(self.points, key=self._rank))

    @property
    def best(self) -> WatchPoint:
        """The point whose checkpoint is the result; there must be one."""
        return self.ranked[0]

    @property
    def is_over(self) -> bool:
        """True if the last looks, as many as `stop_after` says, all had an alarm."""
        num = self.spec.stop_after
        if num is None or len(self.points) < num:
            return False
        return all(self.alarms(index) for index in range(len(self.points) - num, len(self.points)))

    def _rank(self, point: WatchPoint) -> tuple[bool, float, int]:
        has_drifted = any(each is not None for each in _drifts(point, self))
        measured = point.measurer
        return has_drifted, math.inf if measured is None else -measured, point.step


def looks(every: int, num_steps: int) -> tuple[int, ...]:
    """The steps after which there is a look: every so many, and the last."""
    return (*range(every, num_steps, every), num_steps)


def _judge_only(point: WatchPoint, earlier: Sequence[WatchPoint], spec: WatchSpec) -> Alarm | None:
    """The judge rises and the measurer does not, since the best earlier point by the measurer."""
    known = [each for each in earlier if each.measurer is not None]
    if not known:
        return None
    best = max(known, key=lambda each: (each.measurer, -each.step))
    rises = _Rises.between(best, point, earlier[0])
    measured = [
        b.measurer - a.measurer
        for a, b in zip(best.prompts, point.prompts, strict=True)
        if a.measurer is not None and b.measurer is not None
    ]
    if not measured or fmean(measured) > 0 or not rises.is_clear(spec.judge_rise):
        return None
    since = f"since step {best.step}" if best.step else "since the start"
    return Alarm(
        "judge_only",
        f"{since}, the judge's score rose by {rises.text} and the measurer's changed by {100 * fmean(measured):+.1f}",
    )


@dataclass(frozen=True)
class _Rises:
    """By how much the judge's scores of the same prompts rose between two looks."""

    raw: tuple[float, ...]
    """In the units of the scores."""
    scaled: tuple[float, ...]
    """The same; those on other scales than shares in standard deviations over the prompts before all training."""
    units: frozenset[str | None]

    @classmethod
    def between(cls, before: WatchPoint, after: WatchPoint, base: WatchPoint) -> _Rises:
        """The rises of the prompts that have a score at both looks."""
        both = [
            (b.judge - a.judge, b.unit)
            for a, b in zip(before.prompts, after.prompts, strict=True)
            if a.judge is not None and b.judge is not None
        ]
        spreads = {unit: _spread(base, unit) for _, unit in both}
        scaled = tuple(rise / spreads[unit] for rise, unit in both)
        return cls(tuple(rise for rise, _ in both), scaled, frozenset(spreads))

    @property
    def are_shares(self) -> bool:
        """True for scores from 0 to 1."""
        return self.units <= _SHARES

    def is_clear(self, judge_rise: float) -> bool:
        """By the rule of every scorecard, as one comparison that was fixed in advance."""
        least = judge_rise if self.are_shares else SPREAD_RISE
        if len(self.scaled) < 2 or fmean(self.scaled) < least:
            return False
        largest = max(1.0, *map(abs, self.scaled))
        rise = compare_gains({"judge": {str(prompt): value / largest for prompt, value in enumerate(self.scaled)}})
        return decide({"judge": rise})["judge"].verdict == "better"

    @property
    def text(self) -> str:
        """The mean rise with its unit."""
        if self.units == {None}:
            return f"{100 * fmean(self.raw):.1f} points"
        if len(self.units) == 1:
            return f"{fmean(self.raw):.3g} {next(iter(self.units))}"
        return f"{fmean(self.scaled):.2f} standard deviations"


def _spread(base: WatchPoint, unit: str | None) -> float:
    """What rises in a unit are divided by: 1 for shares, else the standard deviation over the base's prompts."""
    values = [each.judge for each in base.prompts if each.judge is not None and each.unit == unit]
    return 1.0 if unit in _SHARES or not values else pstdev(values) or 1.0


def _drifts(point: WatchPoint, course: Course) -> tuple[Alarm | None, ...]:
    """Diversity, motion and norm against the model before training; no alarm where either value is unknown."""
    base, spec = course.base, course.spec
    return (
        _fallen("diversity", "Diversity", base.diversity, point.diversity, spec.max_diversity_loss),
        _fallen("motion", "motion", base.motion, point.motion, spec.max_motion_loss),
        _grown(base.velocity_norm, point.velocity_norm, spec.max_norm_rise),
    )


def _fallen(kind: Kind, name: str, before: float | None, after: float | None, most: float) -> Alarm | None:
    if not before or after is None or after >= before * (1 - most):
        return None
    return Alarm(kind, f"{name} fell by {100 * (1 - after / before):.0f} % ({before:.3g} to {after:.3g})")


def _grown(before: float | None, after: float | None, most: float) -> Alarm | None:
    if not before or after is None or after <= before * (1 + most):
        return None
    return Alarm("norm", f"the norm of the velocity grew by {100 * (after / before - 1):.0f} %")
