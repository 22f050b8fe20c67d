"""Face models: YuNet's and SFace's places in OpenCV's own code with tiny networks; insightface by its interface.

The stand-in of insightface has the calls and the outputs of its version 2.1: a detector that gives rows x0, y0, x1, y1,
score with five points each, in pictures of blue, green, red; a recogniser that writes into a face and gives it back.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from rushes.errors import InputError, UserError
from rushes_vbench.metrics.faces import SFACE_INSTALL, YUNET_INSTALL, InsightFace, SFace, YuNet
from rushes_vbench.metrics.models import Box, Face
from tests.support.tiny_onnx import bright_face_finder, mean_colour

POINTS = ((80.0, 85.0), (120.0, 85.0), (100.0, 105.0), (85.0, 125.0), (115.0, 125.0))
FACE = Face(Box(60.0, 60.0, 140.0, 140.0, 0.9, "face"), POINTS)


def painted(*cells: tuple[int, int, tuple[int, int, int]]) -> np.typing.NDArray[np.uint8]:
    """A black picture, 70 high and 100 wide, with cells of 8 x 8 in some colours."""
    frame = np.zeros((70, 100, 3), np.uint8)
    for row, column, colour in cells:
        frame[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = colour
    return frame


def test_yunet_reads_boxes_and_landmarks_in_true_colours(tmp_path: Path) -> None:
    finder = YuNet(bright_face_finder(tmp_path / "yunet.onnx"))
    assert finder.find(painted()) == []
    (face,) = finder.find(painted((2, 5, (255, 0, 0)), (6, 1, (0, 0, 255))))
    box = face.box
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((36.0, 8.0, 52.0, 32.0), abs=1e-4)
    assert box.score == pytest.approx(1.0) and box.label == "face"
    # Right eye, left eye, nose, right and left corner of the mouth.
    assert np.allclose(face.landmarks, [(42, 18), (46, 18), (44, 20), (42, 22), (46, 22)], atol=1e-4)


def test_yunet_leaves_out_unsure_faces_and_looks_at_any_size(tmp_path: Path) -> None:
    finder = YuNet(bright_face_finder(tmp_path / "yunet.onnx"))
    assert len(finder.find(painted((2, 5, (255, 0, 0)), (4, 10, (190, 0, 0))))) == 2
    assert len(finder.find(painted((2, 5, (255, 0, 0)), (4, 10, (170, 0, 0))))) == 1, "170 / 255 is below 0.7"
    wide = np.zeros((32, 240, 3), np.uint8)
    wide[:8, 200:208] = (255, 0, 0)
    (face,) = finder.find(wide)
    assert face.box.x0 == pytest.approx(196.0, abs=1e-4)


def test_sface_aligns_and_sees_true_colours(tmp_path: Path) -> None:
    embedder = SFace(mean_colour(tmp_path / "sface.onnx"))
    frame = np.empty((200, 200, 3), np.uint8)
    frame[:] = (200, 10, 50)
    vector = embedder.embed(frame, FACE)
    assert vector.shape == (3,) and vector == pytest.approx([200.0, 10.0, 50.0], abs=0.5)
    frame[:, :20] = 0
    assert embedder.embed(frame, FACE) == pytest.approx(vector), "only the face is looked at"
    frame[:, :100] = 0
    assert embedder.embed(frame, FACE)[0] == pytest.approx(100.0, abs=3.0), "half of it is black"
    with pytest.raises(ValueError, match="five landmarks"):
        embedder.embed(frame, Face(FACE.box))


@pytest.mark.parametrize(
    ("load", "line", "name"),
    [
        (YuNet, YUNET_INSTALL, "face_detection_yunet_2023mar.onnx"),
        (SFace, SFACE_INSTALL, "face_recognition_sface_2021dec.onnx"),
    ],
)
def test_how_to_get_a_model_can_be_typed(load: Callable[[Path], Any], line: str, name: str, tmp_path: Path) -> None:
    program, options, url = shlex.split(line)
    assert (program, options) == ("curl", "-fLO") and url.startswith("https://github.com/opencv/opencv_zoo/raw/")
    file = tmp_path / url.rsplit("/", 1)[1]
    assert file.name == name
    with pytest.raises(InputError, match="no face model at this path") as caught:
        load(file)
    assert line in caught.value.next_step
    file.write_text("version https://git-lfs.github.com/spec/v1", encoding="utf-8")
    with pytest.raises(InputError, match="no model that OpenCV can use") as caught:
        load(file)
    assert line in caught.value.next_step
    page = Path(__file__).parents[4] / "docs" / "vbench_metrics.md"
    assert f"`{line}`" in page.read_text(encoding="utf-8")


class Detection:
    """SCRFD's place."""

    def detect(
        self,
        img: np.typing.NDArray[np.uint8],
        input_size: object = None,
        max_num: int = 0,
        metric: str = "default",
        det_thresh: float | None = None,
    ) -> tuple[Any, Any]:
        assert img.flags.c_contiguous and max_num == 0
        if not img[..., 2].any():  # red comes last
            return np.empty((0, 5), np.float32), np.empty((0, 5, 2), np.float32)
        row = [60.0, 60.0, 140.0, 140.0, 0.875]
        return np.array([row], np.float32), np.array([POINTS], np.float32)


class Recognition:
    """ArcFace's place: mean colour of the five points, in the picture's own order of colours."""

    def get(self, img: np.typing.NDArray[np.uint8], face: Any) -> np.typing.NDArray[np.float32]:
        x, y = np.asarray(face.kps).astype(int).T
        vector: np.typing.NDArray[np.float32] = img[y, x].mean(axis=0).astype(np.float32)
        face.embedding = vector
        assert np.allclose(face.bbox, [60, 60, 140, 140])
        return vector


class FaceAnalysis:
    """insightface.app.FaceAnalysis."""

    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, name: str, root: str = "~", allowed_modules: list[str] | None = None, **kwargs: Any) -> None:
        if name != "buffalo_l":
            raise RuntimeError("no such pack")
        self.models = {"detection": Detection(), "recognition": Recognition()}
        FaceAnalysis.made.append({"modules": allowed_modules, **kwargs})

    def prepare(self, ctx_id: int = 0, det_thresh: float = 0.5, det_size: tuple[int, int] | None = None) -> None:
        FaceAnalysis.made[-1].update(ctx_id=ctx_id, det_thresh=det_thresh, det_size=det_size)


class Found(dict[str, Any]):
    """insightface.app.common.Face: a dictionary whose entries are attributes."""

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


@pytest.fixture
def _insightface(monkeypatch: pytest.MonkeyPatch) -> None:
    package, app, common = (ModuleType(f"insightface{rest}") for rest in ("", ".app", ".app.common"))
    app.FaceAnalysis, common.Face = FaceAnalysis, Found  # type: ignore[attr-defined]
    for module in (package, app, common):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    FaceAnalysis.made.clear()


@pytest.mark.usefixtures("_insightface")
def test_insightface_by_its_interface() -> None:
    both = InsightFace(device="cpu")
    assert FaceAnalysis.made == [
        {"modules": ["detection", "recognition"], "ctx_id": -1, "det_thresh": 0.7, "det_size": (640, 640)}
    ]
    frame = np.zeros((200, 200, 3), np.uint8)
    assert both.find(frame) == []
    frame[:] = (200, 10, 50)
    (face,) = both.find(frame)
    assert (face.box.x0, face.box.y1, face.box.score) == (60.0, 140.0, 0.875) and face.landmarks == POINTS
    assert both.embed(frame, face) == pytest.approx([50.0, 10.0, 200.0])


@pytest.mark.usefixtures("_insightface")
def test_a_pack_that_cannot_be_had_says_how_to_get_it() -> None:
    with pytest.raises(UserError, match=r"RuntimeError: no such pack") as caught:
        InsightFace("another")
    assert "insightface-cli model.download another" in str(caught.value)
