"""A judge of Camera_Motion by tracked points: does the camera move as the prompt says?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from rushes.errors import UserError
from rushes.execute.machine import check_device
from rushes.feedback import SHARE, Gives, Scale, ScaleValue, ScoreRequest
from rushes.findings import Finding
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Unscored
from rushes.roles import Failed, Runtime, Spec
from rushes_vbench.judges.asked_camera import asked_motion
from rushes_vbench.judges.motion_score import motion_score
from rushes_vbench.metrics.build import build_tracker
from rushes_vbench.metrics.camera_motion import WHY, labels_of
from rushes_vbench.metrics.camera_path import CameraPath
from rushes_vbench.metrics.core import why_unusable
from rushes_vbench.metrics.models import PointTracker, TrackerName
from rushes_vbench.metrics.trackers import WEIGHTS
from rushes_vbench.metrics.view import ClipView

DIMENSION = "Camera_Motion"
Grading = Literal["graded", "label"]
"""`graded`: how much the asked motion stands out; `label`: 1 if the benchmark's rule finds it, else 0, as in the
paper."""


class CameraJudgeSpec(Spec):
    """A judge of Camera_Motion by a point tracker: `use: vbench2-camera`."""

    spec_name: ClassVar[str] = "vbench2.camera_judge"
    gives: ClassVar[Gives] = "scores"
    scales: ClassVar[tuple[Scale, ...]] = (Scale(name=DIMENSION, unit=SHARE, repeat_error=0.0),)
    loads_when_built: ClassVar[bool] = True

    tracker: TrackerName = "dense_flow"
    """Point tracker: another one than the measurer's. The last two need `cotracker_folder`."""
    cotracker_folder: str = ""
    """A clone of github.com/facebookresearch/co-tracker (CC-BY-NC 4.0) with the weights in its folder checkpoints."""
    score: Grading = "graded"
    """`graded`: how much the asked motion stands out, 0 to 1; `label`: 1 if the benchmark's rule finds it, else 0."""

    def version(self) -> str | None:
        """Increased whenever scores change, so that old ratings are not mixed with new ones."""
        return "2"

    def sees_with(self, dimension: str) -> frozenset[str]:
        """See `rushes.feedback.Sees`."""
        return frozenset({self.tracker})

    def unmeasured(self, dimensions: Sequence[str]) -> dict[str, str]:
        """See `rushes.findings.Covers`: it judges one dimension."""
        return {name: f"it judges {DIMENSION} alone" for name in dimensions if name != DIMENSION}

    def findings(self, runtime: Runtime) -> list[Finding]:
        """See `rushes.findings.Checkable`: whether a tracker with weights has them; they are not loaded."""
        _, weights = WEIGHTS.get(self.tracker, ("", ""))
        if not weights or (self.cotracker_folder and (Path(self.cotracker_folder) / "checkpoints" / weights).is_file()):
            return []
        try:
            self._tracker(runtime)
        except UserError as error:
            return [Finding.of("tracker", error)]
        return []

    def build(self, runtime: Runtime) -> CameraJudge:
        """The judge, with its tracker.

        Raises:
            UserError: what the tracker needs is missing.
        """
        return CameraJudge(self._tracker(runtime), self.score)

    def _tracker(self, runtime: Runtime) -> PointTracker:
        device = runtime.device if isinstance(runtime, RuntimeSpec) else "cpu"
        if self.tracker.startswith("cotracker"):
            check_device(device)
        return build_tracker(self.tracker, self.cotracker_folder, device, f"judge.by_dimension.{DIMENSION}.options")


class CameraJudge:
    """A `ScoreJudge` of Camera_Motion.

    Args:
        tracker: follows points.
        grading: how the camera's path becomes a score.
    """

    def __init__(self, tracker: PointTracker, grading: Grading = "graded") -> None:
        self._tracker, self._grading = tracker, grading

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[tuple[ScaleValue, ...] | Failed]:
        """See `rushes.feedback.ScoreJudge`."""
        for request in requests:
            found = self._score(request)
            given = (None, found.reason) if isinstance(found, Unscored) else (found, None)
            yield (ScaleValue(DIMENSION, *given),)

    def _score(self, request: ScoreRequest) -> float | Unscored:
        if request.dimension != DIMENSION:
            return Unscored(reason=f"this judge judges {DIMENSION} alone, not {request.dimension}")
        label = asked_motion(request.text)
        if isinstance(label, Unscored):
            return label
        problem = why_unusable(request.video, needs_fps=True)
        if problem is not None:
            return Unscored(reason=problem)
        view = ClipView(request.video, self._tracker)
        if self._grading == "label":
            found = labels_of(view, "fixed")
            return found if isinstance(found, Unscored) else float(label in found)
        path = view.path
        return motion_score(path, label) if isinstance(path, CameraPath) else Unscored(reason=WHY[path])
