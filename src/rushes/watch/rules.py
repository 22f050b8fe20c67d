"""The rules of the watch: alarms, the best checkpoint, when to stop. Pure; docs/hacking.md has them in words.

Every point has the same prompts and seeds, so that two points are compared prompt by prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Final, Literal

from rushes.judge.votes import WINS
from rushes.recipe.watch import WatchSpec
from rushes.records import WatchedPrompt, WatchPoint
from rushes.statistics.bootstrap import mean_interval
from rushes.statistics.comparison import compare_gains, decide
from rushes.statistics.resampling import Estimate

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
    """The judge rises clearly, by clearly more than the measurer, which does not clearly rise: since `_proven`."""
    before = _proven(earlier)
    rises = _Rises.between(before, point, earlier[0])
    measured = _changes(before.prompts, point.prompts, _of_measurer)
    more = rises.above(measured)
    if len(more) < 2 or not rises.is_clear(spec.judge_rise) or _interval(measured).low > 0:
        return None
    found = _interval(more)
    if found.low <= 0:
        return None
    since = f"since step {before.step}" if before.step else "since the start"
    size, digits, unit = (100.0, 1, "") if rises.are_shares else (1.0, 2, " standard deviations")
    return Alarm(
        "judge_only",
        f"{since}, the judge's score rose by {rises.text} and the measurer's changed by "
        f"{100 * fmean(measured.values()):+.1f}: the judge's rose by {size * found.value:.{digits}f} more "
        f"({size * found.low:.{digits}f} to {size * found.high:.{digits}f}{unit})",
    )


def _proven(looks: Sequence[WatchPoint]) -> WatchPoint:
    """The last look at which the measurer had clearly risen since the one that was proven before it; else the first.

    Not the look that it liked best: the best of several looks is the luckiest too, and the next one then seems to fall.
    """
    known = [each for each in looks if each.measurer is not None] or [*looks]
    found = known[0]
    for each in known[1:]:
        changes = _changes(found.prompts, each.prompts, _of_measurer)
        if len(changes) >= 2 and _interval(changes).low > 0:
            found = each
    return found


def _changes(
    before: Sequence[WatchedPrompt], after: Sequence[WatchedPrompt], score: Callable[[WatchedPrompt], float | None]
) -> dict[str, float]:
    """The change of a score on each prompt that has one at both looks."""
    both = ((each.prompt_key, score(each), score(other)) for each, other in zip(before, after, strict=True))
    return {key: b - a for key, a, b in both if a is not None and b is not None}


def _of_judge(prompt: WatchedPrompt) -> float | None:
    return prompt.judge


def _of_measurer(prompt: WatchedPrompt) -> float | None:
    return prompt.measurer


def _interval(changes: Mapping[str, float]) -> Estimate:
    """The mean change with its 95 % interval; that of a difference of two changes of shares lies within -2 and 2."""
    largest = max(2.0, *map(abs, changes.values()))
    return mean_interval({"change": changes}, bounds=(-largest, largest))


@dataclass(frozen=True)
class _Rises:
    """By how much the judge's scores of the same prompts rose between two looks."""

    raw: Mapping[str, float]
    """By prompt, in the units of the scores."""
    scaled: Mapping[str, float]
    """The same; those on other scales than shares in standard deviations over the prompts before all training."""
    units: frozenset[str | None]
    measurer_spread: float
    """What changes of the measurer are divided by to be compared with `scaled`."""

    @classmethod
    def between(cls, before: WatchPoint, after: WatchPoint, base: WatchPoint) -> _Rises:
        """The rises of the prompts that have a score at both looks."""
        raw = _changes(before.prompts, after.prompts, _of_judge)
        units = {each.prompt_key: each.unit for each in after.prompts if each.prompt_key in raw}
        spreads = {unit: _spread(base, unit) for unit in units.values()}
        scaled = {key: rise / spreads[units[key]] for key, rise in raw.items()}
        known = [each.measurer for each in base.prompts if each.measurer is not None]
        are_shares = frozenset(spreads) <= _SHARES
        return cls(raw, scaled, frozenset(spreads), 1.0 if are_shares or not known else pstdev(known) or 1.0)

    @property
    def are_shares(self) -> bool:
        """True for scores from 0 to 1."""
        return self.units <= _SHARES

    def above(self, measured: Mapping[str, float]) -> dict[str, float]:
        """By how much each prompt's rise is above the measurer's: in shares, or both in standard deviations."""
        both = self.scaled.keys() & measured.keys()
        return {key: self.scaled[key] - measured[key] / self.measurer_spread for key in sorted(both)}

    def is_clear(self, judge_rise: float) -> bool:
        """By the rule of every scorecard, as one comparison that was fixed in advance."""
        least = judge_rise if self.are_shares else SPREAD_RISE
        if len(self.scaled) < 2 or fmean(self.scaled.values()) < least:
            return False
        largest = max(1.0, *map(abs, self.scaled.values()))
        rise = compare_gains({"judge": {prompt: value / largest for prompt, value in self.scaled.items()}})
        return decide({"judge": rise})["judge"].verdict == "better"

    @property
    def text(self) -> str:
        """The mean rise with its unit."""
        if self.units == {None}:
            return f"{100 * fmean(self.raw.values()):.1f} points"
        if len(self.units) == 1:
            return f"{fmean(self.raw.values()):.3g} {next(iter(self.units))}"
        return f"{fmean(self.scaled.values()):.2f} standard deviations"


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
