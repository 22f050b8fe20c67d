"""Whose clips a model with guidance would predict by itself: in one dimension, with Gaussians, by formulas.

With its text a clip is N(1, 0.5^2), without N(0, 1). A guidance-distilled model at scale g has the velocity of both
combined; its clips are sampled from it. What flow matching on clips leads to is the velocity of their own distribution.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

REAL, NO_TEXT = (1.0, 0.5), (0.0, 1.0)
"""Mean and standard deviation."""
RNG = np.random.default_rng(0)


def velocity(z: np.ndarray, sigma: float, mean: float, std: float) -> np.ndarray:
    """E[epsilon - z_0 | z_t] for z_0 of N(mean, std^2)."""
    variance = (1 - sigma) ** 2 * std**2 + sigma**2
    k = (z - (1 - sigma) * mean) / variance
    return sigma * k - (mean + (1 - sigma) * std**2 * k)


def guided(z: np.ndarray, sigma: float, scale: float) -> np.ndarray:
    without = velocity(z, sigma, *NO_TEXT)
    return without + scale * (velocity(z, sigma, *REAL) - without)


def own_clips(scale: float) -> tuple[float, float]:
    """Mean and standard deviation of what the model generates."""
    z, grid = RNG.normal(size=10_000), np.linspace(1, 0, 501)
    for at, after in pairwise(grid):
        z = z + (after - at) * guided(z, at, scale)
    return float(z.mean()), float(z.std())


def share_off(scale: float, clips: tuple[float, float]) -> float:
    """Mean square of how far flow matching on clips leads away from the model at that scale, by its own mean square."""
    off, size = 0.0, 0.0
    for sigma in (0.1, 0.3, 0.5, 0.7, 0.9):
        z = (1 - sigma) * RNG.normal(*clips, size=10_000) + sigma * RNG.normal(size=10_000)
        model = guided(z, sigma, scale)
        off += float(np.mean((velocity(z, sigma, *clips) - model) ** 2))
        size += float(np.mean(model**2))
    return off / size


def test_without_guidance_a_models_own_clips_are_what_it_predicts_already() -> None:
    assert share_off(1.0, own_clips(1.0)) < 1e-3


@pytest.mark.parametrize(("scale", "least"), [(3.0, 0.15), (6.0, 0.4)])
def test_with_guidance_they_are_not_at_the_scale_they_were_generated_with(scale: float, least: float) -> None:
    clips = own_clips(scale)
    assert clips[1] < REAL[1] / 2, "guidance draws clips together"
    assert share_off(scale, clips) > least


@pytest.mark.parametrize("scale", [3.0, 6.0])
def test_real_clips_are_what_a_distilled_model_predicts_at_scale_1_alone(scale: float) -> None:
    assert share_off(1.0, REAL) < 1e-12
    assert share_off(scale, REAL) > 0.1
