"""A judge that gives preferences: which of two takes is the darker one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rushes.feedback import GivenPreference, Gives, PreferenceJudge, PreferenceRequest
from rushes.roles import Failed, Runtime, Spec


class DuelSpec(Spec):
    """What the recipe can set."""

    spec_name: ClassVar[str] = "night_shoot.duel"
    gives: ClassVar[Gives] = "preferences"
    """The kind of feedback. Each pair is asked in both orders: this judge likes what it sees first a little better."""

    sharpness: float = 0.5
    """How fast the judge grows sure with the difference in brightness, per level of 255."""
    bias: float = 0.2
    """By how much it favours the first take, in the same logits."""

    def build(self, runtime: Runtime) -> PreferenceJudge:
        """The judge."""
        return Duel(self)


@dataclass(frozen=True)
class Duel:
    """p_first = sigmoid(sharpness (brightness of the second - that of the first) + bias)."""

    spec: DuelSpec

    def prefer(self, requests: Sequence[PreferenceRequest]) -> list[GivenPreference | Failed]:
        """One preference per request, in order."""
        return [self._one(request) for request in requests]

    def _one(self, request: PreferenceRequest) -> GivenPreference:
        darker = float(request.second.frames_THWC.mean()) - float(request.first.frames_THWC.mean())
        return GivenPreference(1 / (1 + math.exp(-(self.spec.sharpness * darker + self.spec.bias))))
