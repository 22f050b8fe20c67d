"""Reward models as measurers, each in a process of its own: their values as numbers from 0 to 1, by a stated rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from rushes.feedback import ScaleValue, ScoreRequest
from rushes.findings import Finding, model_name
from rushes.judge.check import checked_values
from rushes.judge.reward_server import RewardServer, reward_server
from rushes.judge.served import Name, check_stop, server_findings
from rushes.measure.pairs import DIVERSITY
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Outcome, Part, Record, Scored, Unscored
from rushes.roles import Failed, Spec, Subject


class Share(Record):
    """How a value on a scale becomes a number from 0 to 1.

    Example:
        Share(lowest=1.0, highest=5.0)
    """

    lowest: float | None = None
    """For a scale with ends: its lower end, which becomes 0. A value outside the ends is unscored."""
    highest: float | None = None
    """Its upper end, which becomes 1."""
    middle: float | None = None
    """For a scale without ends: the value that becomes 1/2, by the logistic curve 1 / (1 + exp(-(v - middle)/spread)).
    For example the mean of the reward model on real clips."""
    spread: Annotated[float, Field(gt=0)] | None = None
    """How far a value lies above the middle that becomes 0.73."""

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        ends, curve = (self.lowest, self.highest), (self.middle, self.spread)
        if sorted([ends.count(None), curve.count(None)]) != [0, 2]:
            raise ValueError("set either lowest and highest, for a scale with ends, or middle and spread")
        if self.lowest is not None and self.highest is not None and not self.lowest < self.highest:
            raise ValueError("lowest must be below highest")
        return self

    def of(self, value: float) -> float | None:
        """The number from 0 to 1; None for a value outside the ends."""
        if self.lowest is not None and self.highest is not None:
            share = (value - self.lowest) / (self.highest - self.lowest)
            return share if 0.0 <= share <= 1.0 else None
        assert self.middle is not None and self.spread is not None
        return 0.5 * (1.0 + math.tanh((value - self.middle) / self.spread / 2))


class ServedMeasurerSpec(Spec):
    """A reward model that measures every dimension by the mean of its scales: `use: served`."""

    spec_name: ClassVar[str] = "measurer.served"

    server: Name
    """Which entry of `runtime.rewards`. If the server moves, keep this name and no work is lost."""
    model: Name
    """What the server's greeting calls its model, with the revision of the weights: another one is refused."""
    scales: Annotated[dict[str, Share], Field(min_length=1)]
    """Its scales, and how each value becomes a number from 0 to 1: `{alignment: {lowest: 1, highest: 5}}`."""

    @property
    def shown_name(self) -> str:
        """See `rushes.plugins.name_of`."""
        return self.model

    def sees_with(self, dimension: str) -> frozenset[str]:
        """See `rushes.feedback.Sees`."""
        return frozenset({model_name(self.model)})

    def unmeasured(self, dimensions: Sequence[str]) -> dict[str, str]:
        """See `rushes.findings.Covers`."""
        return {name: "a reward model sees one clip at a time" for name in dimensions if name == DIVERSITY}

    def findings(self, runtime: RuntimeSpec) -> list[Finding]:
        """See `rushes.findings.Checkable`."""
        return server_findings(self.server, runtime)

    def build(self, runtime: RuntimeSpec) -> ServedMeasurer:
        """The measurer; its server is started at the first clip.

        Raises:
            RecipeError: the recipe defines no such server.
        """
        server = RewardServer(self.server, reward_server(self.server, runtime), self.model, list(self.scales))
        return ServedMeasurer(server, self.scales)


class ServedMeasurer:
    """A `Measurer` over a reward server, one clip after the other."""

    def __init__(self, server: RewardServer, scales: Mapping[str, Share]) -> None:
        self._server, self._scales = server, scales

    def measure(self, subjects: Sequence[Subject]) -> Iterator[Outcome | Failed]:
        """See `rushes.roles.Measurer`; what was given before an error is kept.

        Raises:
            RewardServerError: the server cannot be used.
        """
        for subject in subjects:
            if len(subject.clips) != 1:
                yield Unscored(reason=f"a reward model sees one clip at a time, got {len(subject.clips)} clips")
                continue
            check_stop()
            given = self._server.scored(ScoreRequest(subject.clips[0], subject.text, subject.dimension))
            yield given if isinstance(given, Failed) else share_of(given, self._scales)


def share_of(given: Sequence[ScaleValue], scales: Mapping[str, Share]) -> Outcome:
    """The mean of a clip's values as numbers from 0 to 1; `Unscored` if one of them is missing or outside its ends.

    Args:
        given: what the reward model gave.
        scales: the scales that count, and the rule of each.
    """
    parts: list[Part] = []
    for name, value in checked_values(tuple(given), list(scales)).items():
        share = None if value.value is None else scales[name].of(value.value)
        if share is None:
            why = value.unscored_reason or f"{value.value!r} is outside {scales[name].lowest} to {scales[name].highest}"
            return Unscored(reason=f"no value on {name}: {why}")
        parts.append(Part(name=name, value=share))
    return Scored(value=fmean(part.value for part in parts), parts=tuple(parts))
