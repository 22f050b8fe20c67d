"""A reward model that gives scores: how dark and how calm a clip is, on scales of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rushes.feedback import Gives, Scale, ScaleValue, ScoreJudge, ScoreRequest
from rushes.roles import Failed, Runtime, Spec


class NightRewardSpec(Spec):
    """What the recipe can set."""

    spec_name: ClassVar[str] = "night_shoot.reward"
    gives: ClassVar[Gives] = "scores"
    """The kind of feedback."""
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(name="darkness", unit="points from -3 to 5", repeat_error=0.0),
        Scale(name="calm", unit="levels of 255 per frame, negative", repeat_error=0.0),
    )
    """What it rates: names, units, and by how much it contradicts itself."""

    def build(self, runtime: Runtime) -> ScoreJudge:
        """The reward model; a heavy one would load its network here, where the work runs."""
        return NightReward()


@dataclass(frozen=True)
class NightReward:
    """A value on each scale, from the pixels alone; any finite number, higher is better."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[ScaleValue, ...] | Failed]:
        """One tuple per request, in order, with one value for each scale."""
        return [self._one(request) for request in requests]

    def _one(self, request: ScoreRequest) -> tuple[ScaleValue, ...]:
        frames = request.video.frames_THWC.astype(np.float64)
        darkness = ScaleValue("darkness", 5.0 - 8.0 * float(frames.mean()) / 255)
        if len(frames) < 2:
            return darkness, ScaleValue("calm", None, "a single frame does not move")
        return darkness, ScaleValue("calm", -float(np.abs(np.diff(frames, axis=0)).mean()))
