"""The pluggable models of VBench-2.0 scoring as one-method Protocols. Everything else in this folder is plain code.

Legend: T frames, N points, H height, W width, B batch, C channels. Pictures are RGB, uint8; positions are x, y in
pixels from the top left corner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from rushes.roles import Frames, Video

    F64 = npt.NDArray[np.float64]
    F32 = npt.NDArray[np.float32]
    Flags = npt.NDArray[np.bool_]


TrackerName = Literal["lucas_kanade", "dense_flow", "cotracker2", "cotracker3_offline"]
"""Point trackers by their names in recipes."""
Message = Mapping[str, str]
"""One chat message: `role` ("system", "user" or "assistant") and `content`."""


class TextJudge(Protocol):
    """A language model that compares texts. Frozen: the same messages get the same reply."""

    def reply(self, messages: Sequence[Message]) -> str:
        """Its reply to a conversation."""
        ...


@runtime_checkable
class RepliesToMany(TextJudge, Protocol):
    """A `TextJudge` that takes several conversations at once, as a server does."""

    def reply_all(self, conversations: Sequence[Sequence[Message]]) -> Sequence[str | Exception]:
        """One reply each, in order, or what `reply` would have raised for this conversation."""
        ...


class VideoTeller(Protocol):
    """A vision-language model that describes what a clip shows. Frozen: same clip and instruction, same reply."""

    def tell(self, video: Video, instruction: str) -> str:
        """Its reply to `instruction` about `video`."""
        ...


@dataclass(frozen=True, eq=False)
class Tracks:
    """Where the points of a grid on the first frame go."""

    xy_TN2: F64
    """Position of each point in each frame, pixels; may continue outside the picture if the tracker follows there."""
    visible_TN: Flags
    """True if the point was really visible, False if its position is a guess."""


class PointTracker(Protocol):
    """Follows points through a clip."""

    def track(self, frames_THWC: Frames, grid_N2: F64) -> Tracks:
        """Follow the points at `grid_N2` (x, y, pixels) of the first frame through all frames."""
        ...


class Flow(Protocol):
    """Dense optical flow."""

    def pair(self, first_HWC: Frames, second_HWC: Frames) -> F32:
        """Motion of every pixel of the first picture towards the second: H, W, 2 (x, y), pixels.

        H and W may be larger than the picture's where the official scoring counts a padded border as well.
        """
        ...


@dataclass(frozen=True)
class Matches:
    """How two views of a scene agree."""

    num_matches: int
    """Points of the first picture with a clear match in the second."""
    num_epipolar: int
    """Of these, those that one rigid camera motion explains (inliers of a fundamental matrix)."""
    num_planar: int
    """Of these, those that a flat scene or a pure rotation explains (inliers of a homography)."""


class Matcher(Protocol):
    """Matches points between two views and fits the geometry of two views."""

    def match(self, first_HWC: Frames, second_HWC: Frames) -> Matches:
        """Matches of two pictures of the same size."""
        ...


@dataclass(frozen=True)
class Box:
    """A thing found in a picture."""

    x0: float
    y0: float
    x1: float
    y1: float
    """Corners, pixels; x0 < x1, y0 < y1."""
    score: float
    """Confidence, 0 to 1."""
    label: str
    """Which of the requested labels."""


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = max(0.0, min(a.x1, b.x1) - max(a.x0, b.x0))
    height = max(0.0, min(a.y1, b.y1) - max(a.y0, b.y0))
    both = width * height
    either = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - both
    return both / either if either > 0 else 0.0


class Detector(Protocol):
    """Finds things by their names."""

    def detect(self, frame_HWC: Frames, labels: Sequence[str]) -> list[Box]:
        """Things of these names in a picture, any order, low scores included, each thing once."""
        ...


@dataclass(frozen=True)
class Face:
    """A face found in a picture."""

    box: Box
    """Where it is."""
    landmarks: tuple[tuple[float, float], ...] = ()
    """Right eye, left eye, nose tip, right and left mouth corner: x, y, pixels; empty where unknown."""


class FaceFinder(Protocol):
    """Finds faces."""

    def find(self, frame_HWC: Frames) -> list[Face]:
        """The faces of a picture, any order."""
        ...


class FaceEmbedder(Protocol):
    """Embeds faces so that they can be compared."""

    def embed(self, frame_HWC: Frames, face: Face) -> F64:
        """A vector whose direction identifies the person: 1-dimensional, not zero."""
        ...


Crop: TypeAlias = "tuple[Frames, str]"
"""A square picture H, W, 3, and the part that it shows: "human", "face" or "hand"."""


class AnomalyClassifier(Protocol):
    """Distinguishes anatomically wrong bodies, faces and hands from correct ones."""

    def p_abnormal(self, crop_HWC: Frames, part: str) -> float:
        """Probability that `part` ("human", "face" or "hand") looks wrong in a square crop, 0 to 1."""
        ...


@runtime_checkable
class RatesMany(AnomalyClassifier, Protocol):
    """An `AnomalyClassifier` that takes several crops at once, as a judge on a server does."""

    def p_abnormal_all(self, crops: Sequence[Crop]) -> Sequence[float | Exception]:
        """One probability for each crop and its part, in order, or what `p_abnormal` would have raised for it."""
        ...


@runtime_checkable
class RatesTogether(AnomalyClassifier, Protocol):
    """An `AnomalyClassifier` that looks at several crops of a clip in one request, which costs less."""

    num_together: int
    """Most crops of a group, at least 2."""

    def p_abnormal_of(self, groups: Sequence[Sequence[Crop]]) -> Sequence[Sequence[float] | Exception]:
        """For each group the probabilities of its crops, in order, or what `p_abnormal` would have raised for one.

        Args:
            groups: crops of one clip and one part each, at most `num_together`.
        """
        ...


class FeatureNet(Protocol):
    """A convolutional network read layer by layer."""

    def layers(self, frames_BHWC: Frames) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """Style layers and one content layer, each float32 of shape B, C, H, W, before any rectification."""
        ...
