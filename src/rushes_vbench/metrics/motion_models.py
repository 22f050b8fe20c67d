"""Flow and matching: DIS and SIFT through OpenCV (no weights), RAFT through torchvision where it is installed.

Legend: H height, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rushes.errors import UserError
from rushes_vbench.metrics.models import Matches

if TYPE_CHECKING:
    from rushes.roles import Frames
    from rushes_vbench.metrics.models import F32

MAX_FEATURES: Final = 40_000
"""Most SIFT points in a picture, as in the official scoring."""
CLEAR_MATCH: Final = 0.85
"""A match counts if its distance is below this fraction of the second best."""
RANSAC_PX: Final = 3.0
"""Largest distance from the fitted geometry, pixels."""


class DenseInverseSearch:
    """Optical flow by dense inverse search (Kroeger et al. 2016) in OpenCV; weight-free."""

    def pair(self, first_HWC: Frames, second_HWC: Frames) -> F32:
        """See `rushes_vbench.metrics.models.Flow`."""
        import cv2

        # cv2's own stubs omit a few of its functions.
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # type: ignore[attr-defined,unused-ignore]
        first, second = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first_HWC, second_HWC))
        flow: F32 = dis.calc(first, second, None)
        return flow


RAFT_INSTALL: Final = "pip install torch==2.13.0 torchvision==0.28.0"
"""Both from one index: a torchvision built for another torch cannot be imported."""


class Raft:
    """RAFT through torchvision with the weights trained on Chairs and Things, 20 updates, as in the official scoring.

    Args:
        device: "cuda", "cpu", ...
        keep_border: whether the flow keeps the border with which the picture is padded, as the official scoring counts
            it: at 854 x 480 a column on either side. Then the flow is larger than the picture.

    Raises:
        UserError: torchvision is not installed, does not fit torch, or the weights are not available.
    """

    def __init__(self, device: str = "cuda", *, keep_border: bool = False) -> None:
        try:
            from torchvision.models.optical_flow import (  # type: ignore[import-not-found,unused-ignore]
                Raft_Large_Weights,
                raft_large,
            )
        except (ImportError, RuntimeError) as error:  # a build for another torch raises RuntimeError
            raise UserError(
                f"RAFT needs torchvision, which cannot be imported: {error}",
                expected="torchvision in the build that matches your torch; this project's constraints.txt leaves "
                "it out on purpose, because a build for another torch also stops transformers from importing",
                next_step=f"{RAFT_INSTALL}, in your own environment and without -c constraints.txt; "
                "or do without weights: --set measure.measurer.options.flow=dis",
            ) from error
        weights = Raft_Large_Weights.C_T_V1
        try:
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"the weights of RAFT are not available: {error}",
                expected=f"{weights.url.rsplit('/', 1)[-1]} in the folder checkpoints of torch's hub folder",
                next_step=f"download {weights.url} and put it there; or --set measure.measurer.options.flow=dis",
            ) from error
        net = raft_large(weights=None)
        net.load_state_dict(state)
        self._model = net.to(device).eval()
        self._device = device
        self._keep_border = keep_border

    def pair(self, first_HWC: Frames, second_HWC: Frames) -> F32:
        """See `rushes_vbench.metrics.models.Flow`."""
        import torch

        height, width = first_HWC.shape[:2]
        below, right = -height % 8, -width % 8
        # The picture stays in the middle, as in the official padding.
        top, left = below // 2, right // 2
        with torch.no_grad():
            first, second = (
                torch.nn.functional.pad(
                    torch.from_numpy(frame).to(self._device).permute(2, 0, 1)[None].float() / 127.5 - 1.0,
                    (left, right - left, top, below - top),
                    mode="replicate",
                )
                for frame in (first_HWC, second_HWC)
            )
            flow = self._model(first, second, num_flow_updates=20)[-1][0]
        if not self._keep_border:
            flow = flow[:, top : top + height, left : left + width]
        found: F32 = flow.permute(1, 2, 0).float().cpu().numpy()
        return found


class SiftRansac:
    """SIFT points, nearest neighbours with the ratio test, fundamental matrix and homography by RANSAC; weight-free.

    Args:
        max_features: most points in a picture; fewer are faster, but not comparable with the official figures.
    """

    def __init__(self, max_features: int = MAX_FEATURES) -> None:
        self._max_features = max_features

    def match(self, first_HWC: Frames, second_HWC: Frames) -> Matches:
        """See `rushes_vbench.metrics.models.Matcher`."""
        import cv2

        sift = cv2.SIFT_create(self._max_features)  # type: ignore[attr-defined,unused-ignore]
        (points_a, words_a), (points_b, words_b) = (
            sift.detectAndCompute(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), None) for frame in (first_HWC, second_HWC)
        )
        if words_a is None or words_b is None or len(words_a) < 2 or len(words_b) < 2:
            return Matches(0, 0, 0)
        cv2.setRNGSeed(0)
        finder = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 5}, {"checks": 50})
        pairs = [pair for pair in finder.knnMatch(words_a, words_b, k=2) if len(pair) == 2]
        kept = [best for best, second in pairs if best.distance < CLEAR_MATCH * second.distance]
        if len(kept) < 8:
            return Matches(len(kept), 0, 0)
        a = np.array([points_a[m.queryIdx].pt for m in kept], np.float32)
        b = np.array([points_b[m.trainIdx].pt for m in kept], np.float32)
        return Matches(len(kept), _fitting(a, b, planar=False), _fitting(a, b, planar=True))


def _fitting(a_N2: F32, b_N2: F32, *, planar: bool) -> int:
    import cv2

    cv2.setRNGSeed(0)
    if planar:
        _, mask = cv2.findHomography(a_N2, b_N2, cv2.RANSAC, RANSAC_PX)
    else:
        _, mask = cv2.findFundamentalMat(a_N2, b_N2, cv2.FM_RANSAC, RANSAC_PX, 0.99)
    return 0 if mask is None else int(mask.sum())
