"""VBench-2.0's own scoring in the role of a `Measurer`, and the Spec that a recipe names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from rushes.errors import UserError
from rushes.findings import Finding, Shown, model_name
from rushes.measure.pairs import DIVERSITY
from rushes.plan.chat_models import ChatUse
from rushes.recipe.models import ServerModelSpec, VlmJudgeSpec
from rushes.records import Outcome, Unscored
from rushes.roles import Failed, Runtime, Spec, Subject
from rushes_vbench.metrics.chat_specs import JudgeNamed, TellerNamed, TextJudgeNamed, VlmTellerSpec
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.models import TrackerName
from rushes_vbench.metrics.sampling import NUM_VLM_FRAMES
from rushes_vbench.metrics.scorer import NEEDS, Models, score_clips, score_takes, why_missing
from rushes_vbench.metrics.told import FEWEST_TOLD
from rushes_vbench.metrics.twins import Twins
from rushes_vbench.metrics.uses import chat_uses, images_shown
from rushes_vbench.suite import INSTALLED, Suite, read_suite

if TYPE_CHECKING:
    from rushes.roles import Video
    from rushes_vbench.suite import SuiteEntry


SHARP_SIDE_PX: Final = 832
"""Longest side of a frame in `fixed` for a vision-language model, unless the recipe sets another: clips of 832 x 480
keep their full size. The official judge gets 384 x 384, in which small things are lost."""


VIEWS: Final = "Multi-View_Consistency"
FEW_ORBITS: Final = (
    "without a tracker with weights it finds few of the orbits that it needs, so most clips have no score "
    "(docs/vbench_metrics.md; tracker and cotracker_folder name one)"
)


class VBenchMeasurer:
    """A `Measurer` for clips of the suite's prompts.

    Args:
        suite: prompts and their questions; looked up by the text of a subject.
        profile: whose rules.
        models: do the scoring.
    """

    def __init__(self, suite: Suite, profile: Profile, models: Models) -> None:
        self._suite, self._profile, self._models = suite, profile, models

    def measure(self, subjects: Sequence[Subject]) -> list[Outcome | Failed]:
        """See `rushes.roles.Measurer`; `Unscored` for texts that are not in the suite.

        Chat models are asked about all clips at once.
        """
        found: dict[int, Outcome | Failed] = {}
        single: dict[int, tuple[Video, list[SuiteEntry]]] = {}
        for number, subject in enumerate(subjects):
            entry = self._suite.find(subject.text, subject.dimension)
            if entry is None:
                said = f"the suite has no prompt of {subject.dimension} with this text: {subject.text[:80]!r}"
                found[number] = Unscored(reason=said)
            elif subject.dimension == DIVERSITY:
                found[number] = score_takes(subject.clips, self._profile, self._models)
            elif len(subject.clips) != 1:
                said = f"{subject.dimension} is measured on one clip at a time, got {len(subject.clips)}"
                found[number] = Unscored(reason=said)
            else:
                single[number] = subject.clips[0], [entry]
        scored = score_clips(list(single.values()), self._profile, self._models)
        found |= {number: next(iter(each.values())) for number, each in zip(single, scored, strict=True)}
        return [found[number] for number in range(len(subjects))]


class VBenchMeasurerSpec(Spec):
    """Own scoring by VBench-2.0's rules: `use: rushes_vbench.metrics.measurer:VBenchMeasurerSpec` in a recipe.

    Without further settings it measures Camera_Motion, and the few clips of Multi-View_Consistency in which it finds an
    orbit. Every other dimension is unscored, with the reason, until its models are named.
    """

    spec_name: ClassVar[str] = "vbench2.measurer"
    loads_when_built: ClassVar[bool] = True
    added_later: ClassVar[frozenset[str]] = frozenset({"least_told", "crops_together"})

    suite: str = INSTALLED
    """The user's copy of the suite: a VBench checkout, a vbench2 wheel, VBench2_full_info.json, or "installed"."""
    profile: Literal["compat", "fixed"] = "fixed"
    """`compat`: the official behaviour, quirks included; `fixed`: its known defects corrected."""
    judge: JudgeNamed = None
    """Answers yes/no questions: `{kind: vlm, model: ...}` as in `judge.judge`, or a plug-in that builds a Judge;
    none by default. In `fixed` its `max_side_px` defaults to 832."""
    negated_twins: Twins = "none"
    """Also ask `judge` each question in its negated form, where that is safe; `fixed` only, twice the questions.
    `probe` stores the answers as parts, which show its yes-bias; `average` also uses both answers for the value."""
    teller: TellerNamed = None
    """Describes clips in words: `{kind: vlm, model: ...}`, or a plug-in that builds a VideoTeller. In `fixed` its
    `max_side_px` defaults to 832."""
    text_judge: TextJudgeNamed = None
    """Compares texts: `{kind: llm, model: ...}`, or a plug-in that builds a TextJudge."""
    num_told: Annotated[int, Field(ge=FEWEST_TOLD)] = NUM_VLM_FRAMES
    """Largest number of frames that `teller` gets; 64 officially."""
    least_told: Annotated[int, Field(ge=FEWEST_TOLD)] | None = None
    """Fewest frames that `teller` may get where its server allows fewer images than `num_told`; `fixed` only. Scores
    from fewer say so. Null: such a server is an error."""
    tracker: TrackerName = "lucas_kanade"
    """Point tracker; the last two need `cotracker_folder`."""
    cotracker_folder: str = ""
    """A clone of github.com/facebookresearch/co-tracker (CC-BY-NC 4.0) with the weights in its folder checkpoints."""
    flow: Literal["dis", "raft"] = "dis"
    """Optical flow; `raft` needs torchvision, which this project's own constraints.txt leaves out."""
    detector: str = ""
    """Folder or name of a zero-shot detector for transformers (OWLv2, Grounding DINO); empty for none."""
    anomaly: str = ""
    """Folder with image classifiers human, face and hand for transformers; "judge" asks the judge; empty for none."""
    crops_together: Annotated[int, Field(ge=1, le=64)] = 8
    """How many crops of bodies, faces and hands `anomaly: judge` shows a server in one request; a clip has hundreds. 1
    asks about each alone, with the probability of yes instead of the word."""
    face_finder: str = ""
    """YuNet file of the OpenCV zoo (.onnx), or "insightface"; empty for none."""
    face_embedder: str = ""
    """SFace file of the OpenCV zoo (.onnx), or "insightface"; empty for none."""
    vgg19: str = ""
    """VGG19 weights (safetensors, torchvision's names); empty for none."""

    @field_validator("judge", "teller")
    @classmethod
    def _sharp(cls, named: Spec | None, info: ValidationInfo) -> Spec | None:
        """Small things must reach the judging model; written into the spec, so that it enters work keys."""
        if info.data.get("profile") != "fixed" or not isinstance(named, VlmJudgeSpec | VlmTellerSpec):
            return named
        if "max_side_px" in named.model_fields_set:
            return named
        return named.model_copy(update={"max_side_px": SHARP_SIDE_PX})

    @model_validator(mode="after")
    def _official_is_fixed(self) -> Self:
        if self.profile == "compat" and self.negated_twins != "none":
            raise ValueError("profile compat asks what the official code asks: set profile: fixed for negated_twins")
        if self.profile == "compat" and self.least_told is not None:
            raise ValueError("profile compat shows what the official code shows: set profile: fixed for least_told")
        return self

    def version(self) -> str | None:
        """Increased whenever the scoring changes its answers, so that old measurements are not mixed with new ones."""
        return "5, crops together" if self.asks_crops_together else "5"

    @property
    def asks_crops_together(self) -> bool:
        """Whether a server is asked about several crops in one request."""
        is_served = isinstance(self.judge, VlmJudgeSpec) and isinstance(self.judge.model, ServerModelSpec)
        return self.anomaly == "judge" and is_served and self.crops_together > 1

    def chat_models(self, dimensions: Sequence[str]) -> tuple[ChatUse, ...]:
        """See `rushes.plan.chat_models.CallsChatModels`."""
        return chat_uses(self, dimensions)

    def images_shown(self, dimensions: Sequence[str], num_frames: int) -> tuple[Shown, ...]:
        """See `rushes.findings.ShowsImages`: what the teller is shown."""
        return images_shown(self, dimensions, num_frames)

    @property
    def suite_setting(self) -> str:
        """See `rushes.findings.OfSuite`."""
        return f"{{use: vbench2, options: {{path: {json.dumps(self.suite)}}}}}"

    def unmeasured(self, dimensions: Sequence[str]) -> dict[str, str]:
        """See `rushes.findings.Covers`."""
        named = {"judge": self.judge, "teller": self.teller, "text_judge": self.text_judge, "features": self.vgg19}
        named |= {name: getattr(self, name) for name in ("detector", "anomaly", "face_finder", "face_embedder")}
        lost = {name: [need for need in NEEDS.get(name, ()) if not named.get(need, True)] for name in dimensions}
        unknown = {name: f"VBench-2.0 has no dimension {name}" for name in dimensions if name not in NEEDS}
        rare = {VIEWS: FEW_ORBITS} if VIEWS in dimensions and self.tracker == "lucas_kanade" else {}
        return {name: why_missing(name, absent) for name, absent in lost.items() if absent} | unknown | rare

    def sees_with(self, dimension: str) -> frozenset[str]:
        """See `rushes.feedback.Sees`: what besides chat models decides a dimension's numbers."""
        fields = {
            "Camera_Motion": (self.tracker,),
            "Multi-View_Consistency": (self.tracker, self.flow),
            "Instance_Preservation": (self.detector,),
            "Human_Anatomy": (self.detector, self.anomaly),
            "Human_Identity": (self.face_finder, self.face_embedder),
        }
        return frozenset(model_name(each) for each in fields.get(dimension, ()) if each)

    def findings(self, runtime: Runtime) -> list[Finding]:
        """See `rushes.roles.Checkable`: whether the suite can be read."""
        try:
            read_suite(self.suite)
        except UserError as error:
            return [Finding.of("suite", error)]
        return []

    def build(self, runtime: Runtime) -> VBenchMeasurer:
        """The measurer, with all named models loaded.

        Raises:
            UserError: the suite or a named model cannot be used.
        """
        from rushes_vbench.metrics.build import build_models

        return VBenchMeasurer(read_suite(self.suite), self.profile, build_models(self, runtime))
