"""The error by noise level, from the curves of a checkpoint."""

import pytest

from rushes.report.data import LossCurve, NoiseLevel
from rushes.report.made import noise_levels


def test_thirds_by_hand_in_order_of_noise_and_nothing_else() -> None:
    curves = [
        LossCurve("weighted_flow", (1, 2), (9.0, 9.0)),
        LossCurve("error_at_sigma_0.7", (2, 5, 6, 8, 9, 11), (4.0, 2.0, 9.0, 9.0, 1.0, 0.0)),
        LossCurve("error_at_sigma_0.0", (4,), (0.5,)),
    ]
    first, second = noise_levels(curves)
    assert first == NoiseLevel(0.0, 0.1, 0.5, 0.5, 1)
    assert (second.low, second.high) == pytest.approx((0.7, 0.8))
    assert (second.first, second.last, second.num_steps) == (3.0, 0.5, 6)
