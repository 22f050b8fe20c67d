"""Scores clips: each is decoded once and passed to every metric that needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rushes.errors import Stopped, UserError
from rushes.measure.pairs import DIVERSITY
from rushes.records import Outcome, Scored, Unscored
from rushes.roles import Failed, Judge
from rushes_vbench.metrics.anatomy import human_anatomy
from rushes_vbench.metrics.asking import by_questions
from rushes_vbench.metrics.camera_motion import camera_motion
from rushes_vbench.metrics.core import Profile, Unanswered, not_applicable, why_unusable
from rushes_vbench.metrics.counts import expected_counts, right_counts, with_counts
from rushes_vbench.metrics.detectors import DETECTOR_INSTALL
from rushes_vbench.metrics.diversity import diversity
from rushes_vbench.metrics.faces import SFACE_INSTALL, YUNET_INSTALL
from rushes_vbench.metrics.identity import SAME, human_identity
from rushes_vbench.metrics.models import (
    AnomalyClassifier,
    Detector,
    FaceEmbedder,
    FaceFinder,
    FeatureNet,
    Flow,
    Matcher,
    PointTracker,
    TextJudge,
    VideoTeller,
)
from rushes_vbench.metrics.multi_view import multi_view_consistency
from rushes_vbench.metrics.questions import QUESTION_DIMENSIONS
from rushes_vbench.metrics.sampling import NUM_VLM_FRAMES
from rushes_vbench.metrics.stillness import is_still
from rushes_vbench.metrics.telling import TELLING_DIMENSIONS, by_telling
from rushes_vbench.metrics.together import Asking, side_by_side
from rushes_vbench.metrics.twins import Twins
from rushes_vbench.metrics.vgg import GET_IT
from rushes_vbench.metrics.view import ClipView
from rushes_vbench.suite import SuiteEntry

if TYPE_CHECKING:
    from rushes.roles import Video


@dataclass(frozen=True)
class Models:
    """The models that score; None if not given. Any object with the right method will do."""

    judge: Judge | None = None
    """Answers yes/no questions: nine dimensions."""
    negated_twins: Twins = "none"
    """Whether it also gets each question in its negated form."""
    teller: VideoTeller | None = None
    """Describes clips in words: four dimensions."""
    text_judge: TextJudge | None = None
    """Compares texts: the same four."""
    num_told: int = NUM_VLM_FRAMES
    """Largest number of frames that `teller` gets."""
    least_told: int | None = None
    """Fewest frames that it may get where its server allows fewer images; None for no fewer."""
    tracker: PointTracker | None = None
    """Follows points: Camera_Motion, Multi-View_Consistency."""
    flow: Flow | None = None
    """Motion of every pixel: Multi-View_Consistency."""
    matcher: Matcher | None = None
    """Geometry of two views: Multi-View_Consistency."""
    detector: Detector | None = None
    """Finds things by name: Human_Anatomy; Instance_Preservation in `fixed`, if given."""
    anomaly: AnomalyClassifier | None = None
    """Wrong bodies, faces, hands: Human_Anatomy."""
    face_finder: FaceFinder | None = None
    """Finds faces: Human_Identity."""
    face_embedder: FaceEmbedder | None = None
    """Compares faces: Human_Identity."""
    same_face: float = SAME
    """Similarity from which `face_embedder` means the same person."""
    features: FeatureNet | None = None
    """Layers of a network: Diversity."""


NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(QUESTION_DIMENSIONS, ("judge",)),
    **dict.fromkeys(TELLING_DIMENSIONS, ("teller", "text_judge")),
    "Camera_Motion": ("tracker",),
    "Multi-View_Consistency": ("tracker", "flow", "matcher"),
    "Human_Anatomy": ("detector", "anomaly"),
    "Human_Identity": ("face_finder", "face_embedder"),
    DIVERSITY: ("features",),
}
"""Fields of `Models` that each dimension requires."""

_WHERE_FROM: Final[Mapping[str, str]] = {
    "judge": "name a vision-language model, judge={kind: vlm, model: ...}",
    "teller": "name a vision-language model, teller={kind: vlm, model: ...}",
    "text_judge": "name a language model, text_judge={kind: llm, model: ...}",
    "detector": f"{DETECTOR_INSTALL}, detector=owlv2",
    "anomaly": "anomaly=judge asks the judge, or name a folder of classifiers",
    "face_finder": f"{YUNET_INSTALL}, face_finder=face_detection_yunet_2023mar.onnx",
    "face_embedder": f"{SFACE_INSTALL}, face_embedder=face_recognition_sface_2021dec.onnx",
    "features": GET_IT,
}
"""How to get what is missing by default; for the reasons of unscored clips."""

_NEEDS_FPS: Final = QUESTION_DIMENSIONS | TELLING_DIMENSIONS | {"Multi-View_Consistency"}
_NEEDS_FPS_FIXED: Final = _NEEDS_FPS | {"Camera_Motion"}


def missing(dimensions: Iterable[str], models: Models) -> dict[str, tuple[str, ...]]:
    """What each dimension lacks; dimensions that lack nothing are absent.

    Raises:
        UserError: a dimension is not one of the eighteen.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in dimensions:
        if name not in NEEDS:
            raise UserError("there is no such dimension", expected=f"one of {', '.join(sorted(NEEDS))}", got=name)
        absent = tuple(need for need in NEEDS[name] if getattr(models, need) is None)
        if absent:
            found[name] = absent
    return found


def score_clip(
    video: Video, entries: Sequence[SuiteEntry], profile: Profile, models: Models
) -> dict[str, Outcome | Failed]:
    """All outcomes of one clip, by dimension; see `score_clips`.

    Args:
        video: the clip, decoded once for all.
        entries: the suite's entries for it, one per dimension; Diversity needs all clips of a prompt
            (`score_takes`).
        profile: whose rules.
        models: do the scoring.
    """
    return score_clips([(video, entries)], profile, models)[0]


def score_clips(
    clips: Sequence[tuple[Video, Sequence[SuiteEntry]]], profile: Profile, models: Models
) -> list[dict[str, Outcome | Failed]]:
    """All outcomes of several clips, by dimension; chat models are asked about all of them at once.

    What fails is `Unscored` with its reason; nothing is raised for a clip. `Failed` means that a chat model could not
    be asked now, or that memory was short: score the clip again later.

    Args:
        clips: each with the suite's entries for it, one per dimension.
        profile: whose rules.
        models: do the scoring.
    """
    views = [ClipView(video, models.tracker) for video, _ in clips]
    found = iter(
        side_by_side(
            [
                _guarded(view, entry, profile, models)
                for view, (_, entries) in zip(views, clips, strict=True)
                for entry in entries
            ]
        )
    )
    return [{entry.dimension: next(found) for entry in entries} for _, entries in clips]


def score_takes(clips: Sequence[Video], profile: Profile, models: Models) -> Outcome | Failed:
    """The Diversity of all clips of one prompt; `Unscored` if one of them cannot be used.

    Args:
        clips: all clips of the prompt.
        profile: whose rules.
        models: needs `features`.
    """
    for number, clip in enumerate(clips):
        problem = why_unusable(clip, needs_fps=False)
        if problem is not None:
            return Unscored(reason=f"clip {number}: {problem}")
    if models.features is None:
        return _lacking(DIVERSITY, models)
    try:
        return diversity(clips, profile, models.features)
    except Exception as error:
        return _instead(error)


def _guarded(view: ClipView, entry: SuiteEntry, profile: Profile, models: Models) -> Asking[Outcome | Failed]:
    name = entry.dimension
    needs_fps = name in (_NEEDS_FPS if profile == "compat" else _NEEDS_FPS_FIXED)
    problem = why_unusable(view.video, needs_fps=needs_fps)
    if problem is not None:
        return Unscored(reason=problem)
    if name == DIVERSITY:
        return Unscored(reason="Diversity compares all clips of a prompt; one clip has none")
    if missing([name], models):
        return _lacking(name, models)
    return (yield from _tried(_measured(view, entry, profile, models)))


def _lacking(name: str, models: Models) -> Unscored:
    return Unscored(reason=why_missing(name, missing([name], models)[name]))


def why_missing(name: str, absent: Sequence[str]) -> str:
    """Why a dimension is not measured without these fields of `Models`, and how to get them."""
    how = "; ".join(_WHERE_FROM[need] for need in absent if need in _WHERE_FROM)
    return f"{name} needs {' and '.join(absent)}, not given" + (f" ({how})" if how else "")


def _tried(metric: Asking[Outcome]) -> Asking[Outcome | Failed]:
    try:
        return (yield from metric)
    except Exception as error:
        return _instead(error)


def _instead(error: Exception) -> Outcome | Failed:
    """What stands for the score of a clip that broke a model: it must not lose the others.

    Raises:
        UserError, Stopped: what the user can put right, or wanted.
    """
    if isinstance(error, (UserError, Stopped)):
        raise error
    if isinstance(error, Unanswered):
        return error.failed
    failed = Failed.of(error)
    if isinstance(error, (MemoryError, OSError)) or failed.error_type == "OutOfMemoryError":
        return failed  # it says nothing about the clip
    return Unscored(reason=f"the scoring failed: {failed.error_type}: {failed.message}"[:500])


def _measured(view: ClipView, entry: SuiteEntry, profile: Profile, models: Models) -> Asking[Outcome]:
    """One metric on one usable clip; `missing` has ensured that the models are there."""
    name, frames = entry.dimension, view.frames
    if name in TELLING_DIMENSIONS:
        assert models.teller is not None and models.text_judge is not None
        num_told, fewest = models.num_told, models.least_told
        return (yield from by_telling(view.video, entry, profile, models.teller, models.text_judge, num_told, fewest))
    if name in QUESTION_DIMENSIONS:
        assert models.judge is not None
        if name == "Instance_Preservation" and profile == "fixed":
            return (yield from _preserved(view, entry, models, models.judge))
        return (yield from by_questions(view.video, entry, profile, models.judge, models.negated_twins))
    if name == "Camera_Motion":
        return camera_motion(view, entry.reference[0], profile)
    if name == "Multi-View_Consistency":
        assert models.flow is not None and models.matcher is not None
        return multi_view_consistency(view, profile, models.flow, models.matcher)
    if name == "Human_Anatomy":
        assert models.detector is not None and models.anomaly is not None
        return (yield from human_anatomy(frames, profile, models.detector, models.anomaly))
    assert models.face_finder is not None and models.face_embedder is not None
    return human_identity(frames, profile, models.face_finder, models.face_embedder, models.same_face)


def _preserved(view: ClipView, entry: SuiteEntry, models: Models, judge: Judge) -> Asking[Outcome]:
    """Instance_Preservation in `fixed`. All its prompts ask for something that moves: a still picture does not show it,
    and would preserve its things without merit."""
    if is_still(view.frames):
        return not_applicable("hardly anything in the picture changes from the first frame to the last")
    asked = yield from by_questions(view.video, entry, "fixed", judge, models.negated_twins)
    if models.detector is None or not isinstance(asked, Scored):
        return asked
    return with_counts(asked, right_counts(view.frames, expected_counts(entry.reference[0]), models.detector))
