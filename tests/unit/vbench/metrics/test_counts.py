"""Counting things by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from rushes.errors import InputError
from rushes.records import Scored, Unscored
from rushes_vbench.metrics.counts import count_share, expected_counts, right_counts, with_counts
from rushes_vbench.metrics.models import Box


def things(**counts: int) -> list[Box]:
    return [Box(0, 0, 1, 1, 0.9, name) for name, number in counts.items() for _ in range(number)]


def test_expected_counts() -> None:
    assert expected_counts("1.red ball and 2.blue ball") == {"red ball": 1, "blue ball": 2}
    assert expected_counts("1.droplet of water") == {"droplet of water": 1}
    for wrong in ("", "a red ball", "1.red ball and blue ball"):
        with pytest.raises(InputError, match="counts"):
            expected_counts(wrong)


def test_share_of_terms_then_frames() -> None:
    expected = {"cat": 1, "dog": 2}
    frames = [things(cat=1, dog=2), things(cat=1, dog=1), things(cat=3), things()]
    assert count_share(frames, expected) == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    unsure = [Box(0, 0, 1, 1, 0.28, "cat"), *things(cat=1, dog=2)]
    assert count_share([unsure], expected) == 1.0


class Brightness:
    """As many cats as the picture is bright."""

    def detect(self, frame_HWC: npt.NDArray[np.uint8], labels: Sequence[str]) -> list[Box]:
        assert list(labels) == ["cat"]
        return things(cat=int(frame_HWC[0, 0, 0]))


def test_frames_are_spread() -> None:
    frames = np.repeat(np.array([2, 3], np.uint8), 40)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8)
    assert right_counts(frames, {"cat": 2}, Brightness()) == 0.5


def test_a_second_factor() -> None:
    both = with_counts(Scored(value=0.8), 0.5)
    assert isinstance(both, Scored) and both.value == pytest.approx(0.4) and both.parts[-1].value == 0.5
    assert with_counts(Unscored(reason="no answer"), 0.5) == Unscored(reason="no answer")
