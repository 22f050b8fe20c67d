"""Judges of strangers: one gives values on two scales, one prefers the brighter of two takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rushes.feedback import GivenPreference, Gives, PreferenceRequest, Scale, ScaleValue, ScoreRequest
from rushes.roles import Failed, Runtime, Spec
from tests.support.fakes import share


class RaterSpec(Spec):
    """Values from -3 to +5 on `look` and 0 to 10 on `motion`, from the pixels' hash."""

    spec_name: ClassVar[str] = "tests.rater"
    gives: ClassVar[Gives] = "scores"
    repeat_error: float | None = None

    @property
    def scales(self) -> tuple[Scale, ...]:
        look = Scale(name="look", unit="points from -3 to 5", repeat_error=self.repeat_error)
        return look, Scale(name="motion", unit="points of 10")

    def build(self, runtime: Runtime) -> Rater:
        return Rater()


@dataclass(frozen=True)
class Rater:
    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[ScaleValue, ...] | Failed]:
        return [
            (ScaleValue("look", 8 * share(each.video, each.text) - 3), ScaleValue("motion", 10 * share(each.video, "")))
            for each in requests
        ]


class ChooserSpec(Spec):
    """Prefers one of two takes by the pixels' hash; the first place gets `bias` more."""

    spec_name: ClassVar[str] = "tests.chooser"
    gives: ClassVar[Gives] = "preferences"
    bias: float = 0.1

    def build(self, runtime: Runtime) -> Chooser:
        return Chooser(self.bias)


@dataclass(frozen=True)
class Chooser:
    bias: float

    def prefer(self, requests: Sequence[PreferenceRequest]) -> list[GivenPreference | Failed]:
        found: list[GivenPreference | Failed] = []
        for each in requests:
            gap = share(each.first, each.text) - share(each.second, each.text)
            found.append(GivenPreference(min(1.0, max(0.0, 0.5 + gap / 2 + self.bias))))
        return found
