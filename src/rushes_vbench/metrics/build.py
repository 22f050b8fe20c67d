"""Builds the models that a recipe names. The only module that imports them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from rushes.errors import RecipeError
from rushes.execute.machine import check_device
from rushes.judge.vlm import build_vlm_judge
from rushes.plugins import ANY, plugin
from rushes.recipe.models import VlmJudgeSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Judge, Plugin, Runtime, Spec
from rushes_vbench.metrics.identity import SAME
from rushes_vbench.metrics.models import AnomalyClassifier, Flow, PointTracker, TextJudge, VideoTeller
from rushes_vbench.metrics.motion_models import DenseInverseSearch, Raft, SiftRansac
from rushes_vbench.metrics.scorer import Models
from rushes_vbench.metrics.trackers import CoTracker, FlowFollower, LucasKanade

if TYPE_CHECKING:
    from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
    from rushes_vbench.metrics.models import Detector, FaceEmbedder, FaceFinder, FeatureNet


MEASURER_OPTIONS: Final = "measure.measurer.options"
"""Place of the measurer's options in a recipe, for errors."""


def build_models(spec: VBenchMeasurerSpec, runtime: Runtime) -> Models:
    """All models that a Spec names, loaded.

    Args:
        spec: names the models; empty fields stay None.
        runtime: its device is used if it has one.

    Raises:
        UserError: a named model is missing or cannot be used.
    """
    device = runtime.device if isinstance(runtime, RuntimeSpec) else "cpu"
    check_device(device)
    judge = cast("Judge | None", _built(spec.judge, runtime, "answer"))
    finder, embedder, same = _faces(spec, device)
    return Models(
        judge=judge,
        negated_twins=spec.negated_twins,
        teller=cast("VideoTeller | None", _built(spec.teller, runtime, "tell")),
        text_judge=cast("TextJudge | None", _built(spec.text_judge, runtime, "reply")),
        num_told=spec.num_told,
        least_told=spec.least_told,
        tracker=build_tracker(spec.tracker, spec.cotracker_folder, device, MEASURER_OPTIONS),
        flow=_flow(spec, device),
        matcher=SiftRansac(),
        detector=_detector(spec, device),
        anomaly=_anomaly(spec, judge, device),
        face_finder=finder,
        face_embedder=embedder,
        same_face=same,
        features=_features(spec, device),
    )


def _built(spec: Spec | None, runtime: Runtime, method: str) -> object | None:
    if spec is None:
        return None
    built = _build(spec, runtime)
    if not callable(getattr(built, method, None)):
        raise RecipeError(
            f"the plug-in {getattr(spec, 'use', type(spec).__name__)} does not fit its place in VBench-2.0 scoring",
            expected=f"an object with the method {method}()",
            got=type(built).__name__,
            next_step="docs/vbench_metrics.md shows the methods that are needed",
        )
    return built


def _build(spec: Spec, runtime: Runtime) -> object:
    if isinstance(spec, PluginSpec):
        spec = plugin(spec, ANY)
    elif not isinstance(runtime, RuntimeSpec):
        runtime = RuntimeSpec()
    if isinstance(spec, VlmJudgeSpec):
        return build_vlm_judge(spec, cast("RuntimeSpec", runtime), "measure.measurer.options.judge")
    return cast("Plugin", spec).build(runtime)


def build_tracker(name: str, folder: str, device: str, options: str) -> PointTracker:
    """A point tracker by its name in recipes.

    Args:
        name: `lucas_kanade`, `dense_flow`, `cotracker2` or `cotracker3_offline`.
        folder: a clone of co-tracker with its weights, for those two.
        device: where they run.
        options: place in the recipe of the options that name it, for errors.

    Raises:
        UserError: what it needs is missing.
    """
    if name == "lucas_kanade":
        return LucasKanade()
    if name == "dense_flow":
        return FlowFollower(DenseInverseSearch())
    if not folder:
        raise RecipeError(
            f"the tracker {name} needs cotracker_folder",
            next_step="git clone https://github.com/facebookresearch/co-tracker, put the weights into its folder "
            f"checkpoints, then --set {options}.cotracker_folder=co-tracker",
        )
    return CoTracker(folder, name, device, options)


def _flow(spec: VBenchMeasurerSpec, device: str) -> Flow:
    return Raft(device, keep_border=spec.profile == "compat") if spec.flow == "raft" else DenseInverseSearch()


def _detector(spec: VBenchMeasurerSpec, device: str) -> Detector | None:
    if not spec.detector:
        return None
    from rushes_vbench.metrics.detectors import ZeroShotDetector

    return ZeroShotDetector(spec.detector, device)


def _anomaly(spec: VBenchMeasurerSpec, judge: Judge | None, device: str) -> AnomalyClassifier | None:
    if not spec.anomaly:
        return None
    from rushes_vbench.metrics.detectors import ImageClassifiers, JudgedAnomaly

    if spec.anomaly != "judge":
        return ImageClassifiers(spec.anomaly, device)
    if judge is None:
        raise RecipeError(
            "anomaly=judge needs a judge",
            next_step="name measure.measurer.options.judge, or a folder of classifiers in "
            "measure.measurer.options.anomaly",
        )
    if not spec.asks_crops_together:
        return JudgedAnomaly(judge)
    from rushes.judge.vlm import ServerVlmJudge
    from rushes_vbench.metrics.crops import JudgedTogether

    assert isinstance(judge, ServerVlmJudge)
    return JudgedTogether(JudgedAnomaly(judge), judge.model, spec.crops_together, judge.spec.max_side_px)


def _faces(spec: VBenchMeasurerSpec, device: str) -> tuple[FaceFinder | None, FaceEmbedder | None, float]:
    from rushes_vbench.metrics.faces import SAME_SFACE, InsightFace, SFace, YuNet

    whole = InsightFace(device=device) if "insightface" in (spec.face_finder, spec.face_embedder) else None
    finder: FaceFinder | None = whole if spec.face_finder == "insightface" else None
    embedder: FaceEmbedder | None = whole if spec.face_embedder == "insightface" else None
    if finder is None and spec.face_finder:
        finder = YuNet(spec.face_finder)
    if embedder is None and spec.face_embedder:
        return finder, SFace(spec.face_embedder), SAME_SFACE
    return finder, embedder, SAME


def _features(spec: VBenchMeasurerSpec, device: str) -> FeatureNet | None:
    if not spec.vgg19:
        return None
    from rushes_vbench.metrics.vgg import Vgg19

    return Vgg19(spec.vgg19, device)
