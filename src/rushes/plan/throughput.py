"""How fast the kinds of work go on this machine, and how much room their results take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["drafts", "clip_calls", "answers", "measurements", "train_clips"]
"""Kinds of work with a pace of their own: drafts written; transformer calls for one clip while sampling (guidance needs
two a step); questions answered; clips (or groups) measured; clips in a batch of one optimiser step."""


@dataclass(frozen=True)
class Pace:
    """How fast one kind of work goes."""

    seconds: float
    """Wall-clock for one unit."""
    source: str
    """Where that is known from: a run folder, "calibration"."""


@dataclass(frozen=True)
class Throughput:
    """What is known about speed and size on this machine."""

    paces: Mapping[Kind, Pace] = field(default_factory=dict)
    """Per kind of work; kinds nobody has done yet are absent."""
    clip_bytes: int | None = None
    """Stored bytes of one clip with its latents; None where nobody stored one."""
    checkpoint_bytes: int | None = None
    """Stored bytes of one checkpoint; None where nobody stored one."""

    def or_else(self, other: Throughput) -> Throughput:
        """This, and what only `other` knows."""
        return Throughput(
            paces={**other.paces, **self.paces},
            clip_bytes=other.clip_bytes if self.clip_bytes is None else self.clip_bytes,
            checkpoint_bytes=other.checkpoint_bytes if self.checkpoint_bytes is None else self.checkpoint_bytes,
        )
