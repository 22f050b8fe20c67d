"""Real clips of scenes with one thing and one motion, as stock footage is: they show nothing of what is weak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rushes.recipe.base import ShapeSpec
from rushes.roles import ClipSource, RealClip, Runtime, Spec
from rushes_sandbox.real_clips import sandbox_real_clips


class SimpleClipsSpec(Spec):
    """The sandbox's real clips, of `Simple` scenes only."""

    spec_name: ClassVar[str] = "lab.simple-clips"

    def build(self, runtime: Runtime) -> ClipSource:
        """The source; nothing is rendered yet."""
        return _Simple()


@dataclass(frozen=True)
class _Simple:
    @property
    def dimensions(self) -> tuple[str, ...]:
        """None of those that are measured."""
        return ()

    def clips(self, num: int, seed: int, shape: ShapeSpec, dimensions: Sequence[str] | None) -> list[RealClip]:
        """See `rushes.roles.ClipSource`."""
        return sandbox_real_clips(num, seed, ("Simple",), shape)
