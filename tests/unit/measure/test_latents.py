"""Latent distances: against numpy on the whole data, against scipy's matrix root, and on shifts that are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.linalg import sqrtm

from rushes.measure.latents import (
    LatentMoments,
    LatentStats,
    frechet_squared,
    latent_moments,
    mean_distance,
    pooled,
    pooled_frechet,
    std_distance,
)

RNG = np.random.default_rng(12)


def stats_of(clips: Sequence[NDArray[np.float32]]) -> LatentStats | None:
    return pooled([latent_moments(each) for each in clips])


def clips(num: int, shift: float = 0.0, between: float = 1.0, channels: int = 3) -> list[LatentMoments]:
    """Clips whose means are normal with deviation `between`, around `shift`."""
    means = RNG.normal(shift, between, (num, channels))
    return [
        latent_moments((mean[:, None, None, None] + RNG.normal(0, 0.1, (channels, 2, 4, 4))).astype(np.float32))
        for mean in means
    ]


def test_latent_statistics_are_numpys_over_all_clips() -> None:
    clips = [RNG.normal(2.0, 3.0, (4, 2, 5, 6)).astype(np.float32), RNG.normal(0, 1, (4, 3, 5, 5)).astype(np.float32)]
    both = np.concatenate([each.reshape(4, -1) for each in clips], axis=1)
    found = stats_of(clips)
    assert found is not None
    np.testing.assert_allclose(found.mean_C, both.mean(1), rtol=1e-4)
    np.testing.assert_allclose(found.std_C, both.std(1), rtol=1e-4)
    assert stats_of([]) is None


def test_distances_of_position_statistics() -> None:
    real = [RNG.normal(0, 2, (3, 2, 20, 20)).astype(np.float32)]
    at_real, at_shifted, at_wider = (stats_of(each) for each in (real, [real[0] + 1.0], [real[0] * 1.5]))
    assert at_real is not None and at_shifted is not None and at_wider is not None
    assert mean_distance(at_shifted, at_real) == pytest.approx(0.5, rel=0.1)
    assert std_distance(at_shifted, at_real) == pytest.approx(0.0, abs=1e-4)
    assert std_distance(at_wider, at_real) == pytest.approx(np.log(1.5), rel=1e-4)


@pytest.mark.parametrize("size", [1, 4, 16])
def test_frechet_is_the_formula_with_scipys_matrix_root(size: int) -> None:
    a, b = (RNG.normal(0, scale, (40, size)) @ RNG.normal(0, 1, (size, size)) for scale in (1.0, 2.0))
    mean_a, mean_b = a.mean(0), b.mean(0)
    cov_a, cov_b = np.cov(a.T).reshape(size, size), np.cov(b.T).reshape(size, size)
    # FID's usual form takes the root of the product, which is not symmetric; ours takes that of a symmetric one.
    expected = np.square(mean_a - mean_b).sum() + np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b)))
    assert frechet_squared(mean_a, cov_a, mean_b, cov_b) == pytest.approx(float(expected), rel=1e-6)
    assert frechet_squared(mean_a, cov_a, mean_a, cov_a) == pytest.approx(0.0, abs=1e-9)


def test_frechet_in_one_dimension_is_the_textbooks() -> None:
    one = frechet_squared(np.array([1.0]), np.array([[9.0]]), np.array([3.0]), np.array([[4.0]]))
    assert one == pytest.approx((1 - 3) ** 2 + (3 - 2) ** 2)


def test_pooled_frechet_sees_a_shift_and_a_model_whose_clips_are_all_alike() -> None:
    real = clips(400)
    same, shifted, alike = clips(400), clips(400, shift=0.5), clips(400, between=0.1)
    near, far, collapsed = (pooled_frechet(each, real) for each in (same, shifted, alike))
    assert near is not None and far is not None and collapsed is not None
    assert near < 0.2
    assert far == pytest.approx(0.5, abs=0.12)
    assert collapsed == pytest.approx(0.9, abs=0.12)  # of a deviation of 1, 0.1 is left


def test_pooled_frechet_does_not_depend_on_the_channels_units() -> None:
    real, other = clips(60), clips(60, shift=0.3)

    def scaled(sides: list[LatentMoments]) -> list[LatentMoments]:
        factor = (1.0, 100.0, 0.01)
        return [
            LatentMoments(
                num_positions=each.num_positions,
                sum_C=tuple(f * s for f, s in zip(factor, each.sum_C, strict=True)),
                square_C=tuple(f * f * s for f, s in zip(factor, each.square_C, strict=True)),
            )
            for each in sides
        ]

    plain, in_units = pooled_frechet(other, real), pooled_frechet(scaled(other), scaled(real))
    assert plain is not None
    assert in_units == pytest.approx(plain)


@pytest.mark.parametrize(("num_a", "num_b"), [(0, 0), (0, 9), (3, 9), (9, 3)])
def test_too_few_clips_have_no_distance(num_a: int, num_b: int) -> None:
    assert pooled_frechet(clips(num_a), clips(num_b)) is None


def test_constant_channels_do_not_divide_by_zero() -> None:
    flat = [latent_moments(np.ones((2, 1, 2, 2), np.float32)) for _ in range(5)]
    found = pooled_frechet(flat, flat)
    assert found == 0.0


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValidationError):
        latent_moments(np.full((2, 1, 2, 2), math.nan, np.float32))
    with pytest.raises(ValidationError, match="two sums per channel"):
        LatentMoments(num_positions=1, sum_C=(1.0,), square_C=())
