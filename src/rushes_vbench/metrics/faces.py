"""Face finders and embedders: YuNet and SFace of the OpenCV zoo, or insightface. The user supplies the weights.

Legend: H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rushes.errors import InputError, UserError
from rushes_vbench.metrics.models import Box, Face

if TYPE_CHECKING:
    from rushes.roles import Frames
    from rushes_vbench.metrics.models import F64

SURE: Final = 0.7
"""Faces below this score are left out, as in the official scoring."""
SAME_SFACE: Final = 0.363
"""Cosine from which SFace means the same person, according to its authors."""
ZOO: Final = "https://github.com/opencv/opencv_zoo/raw/966be4cb6eefc2a4f586ed0581bf4bbaa2533070/models"
"""Folder `models` of the OpenCV zoo, as of May 2025, pinned because replaced files disappear from its main branch."""
YUNET_INSTALL: Final = f"curl -fLO {ZOO}/face_detection_yunet/face_detection_yunet_2023mar.onnx"
SFACE_INSTALL: Final = f"curl -fLO {ZOO}/face_recognition_sface/face_recognition_sface_2021dec.onnx"
_SETTING: Final = "then --set measure.measurer.options"
YUNET_AND_SET: Final = f"{YUNET_INSTALL}, {_SETTING}.face_finder=face_detection_yunet_2023mar.onnx"
SFACE_AND_SET: Final = f"{SFACE_INSTALL}, {_SETTING}.face_embedder=face_recognition_sface_2021dec.onnx"
"""With `-L`, since the zoo stores them elsewhere (Git LFS) and redirects there."""


class YuNet:
    """Finds faces with YuNet through OpenCV (MIT).

    Args:
        weights: face_detection_yunet_2023mar.onnx of the OpenCV zoo.

    Raises:
        InputError: the file cannot be used.
    """

    def __init__(self, weights: str | Path) -> None:
        import cv2

        path = _file(weights, YUNET_AND_SET)
        try:
            self._net: Any = cv2.FaceDetectorYN.create(str(path), "", (320, 320), SURE, 0.4)
        except cv2.error as error:
            raise _unusable(path, error, YUNET_AND_SET) from error

    def find(self, frame_HWC: Frames) -> list[Face]:
        """See `rushes_vbench.metrics.models.FaceFinder`."""
        import cv2

        self._net.setInputSize((frame_HWC.shape[1], frame_HWC.shape[0]))
        _, rows = self._net.detect(cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2BGR))
        return [] if rows is None else [face_of(row) for row in rows]


def face_of(row: Sequence[float]) -> Face:
    """A face from YuNet's 15 numbers: x, y, width, height, five landmarks, score."""
    values = [float(value) for value in row]
    if len(values) != 15:
        raise ValueError(f"expected 15 numbers, got {len(values)}")
    x, y, width, height = values[:4]
    landmarks = tuple((values[i], values[i + 1]) for i in range(4, 14, 2))
    return Face(Box(x, y, x + width, y + height, values[14], "face"), landmarks)


def row_of(face: Face) -> F64:
    """The 15 numbers that `face_of` reads.

    Raises:
        ValueError: the face has no five landmarks.
    """
    if len(face.landmarks) != 5:
        raise ValueError(f"a face needs five landmarks to be aligned, got {len(face.landmarks)}")
    box = face.box
    corner = [box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0]
    return np.array([*corner, *(value for point in face.landmarks for value in point), box.score])


def _face(corners_score: Sequence[float], points: Sequence[Sequence[float]]) -> Face:
    x0, y0, x1, y1, score = (float(value) for value in corners_score)
    return Face(Box(x0, y0, x1, y1, score, "face"), tuple((float(x), float(y)) for x, y in points))


class SFace:
    """Compares faces with SFace through OpenCV (Apache-2.0); faces are aligned by their landmarks first.

    Args:
        weights: face_recognition_sface_2021dec.onnx of the OpenCV zoo.

    Raises:
        InputError: the file cannot be used.
    """

    def __init__(self, weights: str | Path) -> None:
        import cv2

        path = _file(weights, SFACE_AND_SET)
        try:
            self._net: Any = cv2.FaceRecognizerSF.create(str(path), "")
        except cv2.error as error:
            raise _unusable(path, error, SFACE_AND_SET) from error

    def embed(self, frame_HWC: Frames, face: Face) -> F64:
        """See `rushes_vbench.metrics.models.FaceEmbedder`."""
        import cv2

        picture = cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2BGR)
        aligned = self._net.alignCrop(picture, row_of(face).astype(np.float32))
        vector: F64 = np.asarray(self._net.feature(aligned), np.float64).ravel()
        return vector


INSIGHTFACE_INSTALL: Final = (
    "pip install --no-deps insightface==2.1 && pip install -c constraints.txt onnx onnxruntime scikit-image"
)
"""Without its dependencies, which include opencv-python: that overwrites the opencv-python-headless used here."""
DETECTOR_PX: Final = (640, 640)
"""Pictures are fitted into this to find faces; set explicitly because insightface's default differs by version."""


class InsightFace:
    """Finds and compares faces with insightface (code MIT, its model packs for non-commercial use only).

    Args:
        pack: name of its model pack, or a folder that contains one.
        device: "cuda" uses the GPU, anything else the CPU.

    Raises:
        UserError: insightface is not installed, or its models are not available.
    """

    def __init__(self, pack: str = "buffalo_l", device: str = "cpu") -> None:
        try:
            from insightface.app import FaceAnalysis  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ImportError as error:
            raise UserError(
                f"insightface cannot be imported: {error}",
                next_step=f"{INSIGHTFACE_INSTALL}, or name YuNet and SFace instead: {YUNET_INSTALL} && {SFACE_INSTALL}",
            ) from error
        try:
            self._app: Any = FaceAnalysis(name=pack, allowed_modules=["detection", "recognition"])
            self._app.prepare(ctx_id=0 if device.startswith("cuda") else -1, det_thresh=SURE, det_size=DETECTOR_PX)
            self._finder, self._embedder = self._app.models["detection"], self._app.models["recognition"]
        except Exception as error:  # its own exceptions and those of onnxruntime have no common class
            raise UserError(
                f"the models of insightface cannot be loaded: {type(error).__name__}: {error}",
                expected="a model pack with detection and recognition",
                got=pack,
                next_step=f"insightface-cli model.download {pack}, which puts it into ~/.insightface/models",
            ) from error

    def find(self, frame_HWC: Frames) -> list[Face]:
        """See `rushes_vbench.metrics.models.FaceFinder`."""
        rows, points = self._finder.detect(frame_HWC[..., ::-1].copy(), max_num=0, metric="default")
        if points is None:
            return [_face(row.tolist(), ()) for row in rows]
        return [_face(row.tolist(), five.tolist()) for row, five in zip(rows, points, strict=True)]

    def embed(self, frame_HWC: Frames, face: Face) -> F64:
        """See `rushes_vbench.metrics.models.FaceEmbedder`.

        Raises:
            ValueError: the face has no five landmarks.
        """
        from insightface.app.common import Face as Found  # type: ignore[import-not-found,import-untyped,unused-ignore]

        row = row_of(face)
        found = Found(bbox=row[:4] + np.r_[0.0, 0.0, row[:2]], kps=row[4:14].reshape(5, 2), det_score=row[14])
        vector = self._embedder.get(frame_HWC[..., ::-1].copy(), found)
        return np.asarray(vector, np.float64).ravel()


def _file(path: str | Path, how: str) -> Path:
    found = Path(path)
    if not found.is_file():
        raise InputError(
            "there is no face model at this path",
            expected="an .onnx file of the OpenCV zoo",
            got=str(path),
            next_step=how,
        )
    return found


def _unusable(path: Path, error: Exception, how: str) -> InputError:
    return InputError(f"{path.name} is no model that OpenCV can use: {error}", next_step=f"download it again: {how}")
