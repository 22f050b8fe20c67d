"""A judge of Instance_Preservation by a detector: are there as many things as the prompt says, in every frame?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import StringConstraints

from rushes.execute.machine import check_device
from rushes.feedback import SHARE, Gives, Scale, ScaleValue, ScoreRequest
from rushes.findings import Finding, model_name
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Unscored
from rushes.roles import Failed, Runtime, Spec
from rushes_vbench.judges.asked_counts import asked_counts
from rushes_vbench.metrics.core import why_unusable
from rushes_vbench.metrics.counts import right_counts
from rushes_vbench.metrics.detectors import DETECTOR_INSTALL, ZeroShotDetector
from rushes_vbench.metrics.models import Detector
from rushes_vbench.metrics.stillness import is_still

DIMENSION = "Instance_Preservation"
_OPTIONS = f"judge.by_dimension.{DIMENSION}.options"


class InstanceJudgeSpec(Spec):
    """A judge of Instance_Preservation by a zero-shot detector of transformers: `use: vbench2-instances`."""

    spec_name: ClassVar[str] = "vbench2.instance_judge"
    gives: ClassVar[Gives] = "scores"
    scales: ClassVar[tuple[Scale, ...]] = (Scale(name=DIMENSION, unit=SHARE, repeat_error=0.0),)
    loads_when_built: ClassVar[bool] = True

    detector: Annotated[str, StringConstraints(min_length=1)]
    """Folder or name of a zero-shot detector for transformers (OWLv2, Grounding DINO): another than the measurer's."""

    def version(self) -> str | None:
        """Increased whenever scores change, so that old ratings are not mixed with new ones."""
        return "1"

    def sees_with(self, dimension: str) -> frozenset[str]:
        """See `rushes.feedback.Sees`."""
        return frozenset({model_name(self.detector)})

    def unmeasured(self, dimensions: Sequence[str]) -> dict[str, str]:
        """See `rushes.findings.Covers`: it judges one dimension."""
        return {name: f"it judges {DIMENSION} alone" for name in dimensions if name != DIMENSION}

    def findings(self, runtime: Runtime) -> list[Finding]:
        """See `rushes.findings.Checkable`: whether a detector that is named by a folder is there."""
        is_folder = Path(self.detector).is_dir()
        if is_folder or ("/" in self.detector and not self.detector.startswith((".", "/", "~"))):
            return []
        return [
            Finding(
                "detector",
                "there is no such detector",
                expected="a folder with a zero-shot detector of transformers, or its name on the Hub",
                got=repr(self.detector),
                next_step=f"{DETECTOR_INSTALL}, then --set {_OPTIONS}.detector=owlv2",
            )
        ]

    def build(self, runtime: Runtime) -> InstanceJudge:
        """The judge, with the detector loaded.

        Raises:
            InputError: there is no such detector.
        """
        device = runtime.device if isinstance(runtime, RuntimeSpec) else "cpu"
        check_device(device)
        return InstanceJudge(ZeroShotDetector(self.detector, device, _OPTIONS))


class InstanceJudge:
    """A `ScoreJudge` of Instance_Preservation.

    Args:
        detector: finds things by name.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[tuple[ScaleValue, ...] | Failed]:
        """See `rushes.feedback.ScoreJudge`."""
        for request in requests:
            found = self._score(request)
            given = (None, found.reason) if isinstance(found, Unscored) else (found, None)
            yield (ScaleValue(DIMENSION, *given),)

    def _score(self, request: ScoreRequest) -> float | Unscored:
        if request.dimension != DIMENSION:
            return Unscored(reason=f"this judge judges {DIMENSION} alone, not {request.dimension}")
        counts = asked_counts(request.text)
        if isinstance(counts, Unscored):
            return counts
        problem = why_unusable(request.video, needs_fps=False)
        if problem is not None:
            return Unscored(reason=problem)
        if is_still(request.video.frames_THWC):
            return Unscored(reason="hardly anything in the picture changes, so its things are preserved without merit")
        return right_counts(request.video.frames_THWC, counts, self._detector)
