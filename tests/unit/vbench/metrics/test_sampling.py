"""Which frames are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from rushes.roles import Video
from rushes_vbench.metrics.sampling import pick, spread, spread_once, windows


def test_spread_cuts_to_integers_and_repeats() -> None:
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(3, 5) == [0, 0, 1, 1, 2]
    assert spread_once(3, 5) == [0, 1, 2]
    assert len(spread(81, 64)) == 64 and spread(81, 64)[-1] == 80
    with pytest.raises(ValueError, match="at least one"):
        spread(0, 4)


def test_pick_keeps_the_time_it_stands_for() -> None:
    video = Video(np.zeros((80, 16, 16, 3), np.uint8), 16.0)
    half = pick(video, list(range(0, 40, 2)), share=0.5)
    assert len(half.frames_THWC) == 20
    assert len(half.frames_THWC) / half.fps == pytest.approx(2.5)


@pytest.mark.parametrize(("num_frames", "expected"), [(80, [0, 16, 32, 48]), (40, [0]), (31, []), (16, [])])
def test_official_windows(num_frames: int, expected: list[int]) -> None:
    found = windows(num_frames, 16.0, length_s=2.0, stride_s=1.0, whole=False)
    assert [each.start for each in found] == expected
    assert all(len(each) == 32 for each in found)


@pytest.mark.parametrize("num_frames", [1, 16, 31, 32, 40, 81, 129])
@pytest.mark.parametrize("fps", [7.5, 16.0, 24.0])
def test_whole_windows_leave_no_frame_out(num_frames: int, fps: float) -> None:
    found = windows(num_frames, fps, length_s=2.0, stride_s=1.0, whole=True)
    assert sorted({i for each in found for i in each}) == list(range(num_frames))
    assert len({len(each) for each in found}) == 1
