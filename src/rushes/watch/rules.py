"""The rules of the watch: alarms, the best checkpoint, when to stop. Pure; docs/hacking.md has them in words.

Every point has the same prompts and seeds, so that two points are compared prompt by prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from rushes.recipe.watch import WatchSpec
from rushes.records import WatchPoint
from rushes.statistics.comparison import compare_gains, decide

Kind = Literal["judge_only", "diversity", "motion", "norm"]
"""What an alarm is about."""


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
    judged = [
        (a.judge, b.judge)
        for a, b in zip(best.prompts, point.prompts, strict=True)
        if a.judge is not None and b.judge is not None
    ]
    measured = [
        b.measurer - a.measurer
        for a, b in zip(best.prompts, point.prompts, strict=True)
        if a.measurer is not None and b.measurer is not None
    ]
    rises = [b - a for a, b in judged]
    if not measured or fmean(measured) > 0 or not _is_clear_rise(rises, spec.judge_rise):
        return None
    since = f"since step {best.step}" if best.step else "since the start"
    return Alarm(
        "judge_only",
        f"{since}, the judge's score rose by {100 * fmean(rises):.1f} points and the measurer's changed by "
        f"{100 * fmean(measured):+.1f}",
    )


def _is_clear_rise(differences: Sequence[float], least: float) -> bool:
    """By the rule of every scorecard, as one comparison that was fixed in advance."""
    if len(differences) < 2 or fmean(differences) < least:
        return False
    rise = compare_gains({"judge": {str(prompt): value for prompt, value in enumerate(differences)}})
    return decide({"judge": rise})["judge"].verdict == "better"


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
