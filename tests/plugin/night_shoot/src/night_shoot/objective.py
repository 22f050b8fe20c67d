"""An objective on pairs: the better take's error must fall below the worse one's by a margin, and then rests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rushes.roles import Objective, ObjectiveNeeds, Runtime, Spec
from rushes.train.batch import LossTerms, OwnClips
from rushes.train.flow import squared_error


class HingeSpec(Spec):
    """What the recipe can set."""

    spec_name: ClassVar[str] = "night_shoot.objective"

    margin: float = 0.1
    """How far the better take's error must lie below the worse one's."""

    def needs(self) -> ObjectiveNeeds:
        """Pairs under the same noise; no frozen model."""
        return ObjectiveNeeds(unit="pair", unit_size=2, is_tied=True, columns=("score",))

    def build(self, runtime: Runtime) -> Objective:
        """The objective."""
        return Hinge(self.margin)


@dataclass(frozen=True)
class Hinge:
    """max(0, margin + error of the better take - error of the worse one), the mean over pairs."""

    margin: float
    names: ClassVar[tuple[str, ...]] = ("hinge", "hinge_rests")

    def terms(self, own: OwnClips) -> LossTerms:
        """The hinge of whole pairs, and the share of pairs that are wide enough apart."""
        better, worse = squared_error(own.velocity_BCTHW, own.target_BCTHW).view(-1, 2).unbind(dim=1)
        left = (self.margin + better - worse).clamp_min(0)
        return LossTerms({"hinge": left.mean()}, {"hinge": 1.0}, {"hinge_rests": (left == 0).float().mean()})
