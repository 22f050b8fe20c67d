"""Errors by noise level and on held-out clips: against sums by hand, and nothing moves because of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from rushes.families.attention import attention_for
from rushes.families.path import STRAIGHT, Path
from rushes.families.texts import TextStates
from rushes.train.watch import HeldOut, error_by_sigma, fixed_noise, held_out_errors, sigma_bins

CPU = torch.device("cpu")


def test_bins_cover_zero_to_one() -> None:
    sigma = torch.tensor([0.0, 0.0999, 0.1, 0.55, 0.9, 1.0])
    assert sigma_bins(sigma).tolist() == [0, 0, 1, 5, 9, 9]


def test_error_by_sigma_is_the_mean_of_each_part() -> None:
    sigma = torch.rand(200, generator=torch.Generator().manual_seed(0))
    error = torch.rand(200, generator=torch.Generator().manual_seed(1))
    found = error_by_sigma(error, sigma)
    counts, _ = np.histogram(sigma.numpy(), bins=10, range=(0, 1))
    sums, _ = np.histogram(sigma.numpy(), bins=10, range=(0, 1), weights=error.numpy())
    assert list(found) == [f"error_at_sigma_{i / 10:.1f}" for i in range(10)]
    np.testing.assert_allclose(list(found.values()), sums / counts, rtol=1e-5)


def test_parts_without_items_are_missing_not_zero() -> None:
    assert error_by_sigma(torch.tensor([2.0, 4.0]), torch.tensor([0.31, 0.39])) == {"error_at_sigma_0.3": 3.0}


def test_fixed_noise_is_always_the_same_and_covers_all_levels_evenly() -> None:
    (epsilon, sigma), (again, sigma_again) = fixed_noise((8, 2, 1, 2, 2)), fixed_noise((8, 2, 1, 2, 2))
    assert torch.equal(epsilon, again) and torch.equal(sigma, sigma_again)
    torch.testing.assert_close(sigma.sort().values, (torch.arange(8) + 0.5) / 8)


@dataclass
class _Family:
    path: Path = STRAIGHT
    levels: tuple[float, float] = (0.0, 1.0)


@dataclass
class _Guess:
    """A network that always predicts the same number."""

    number: float
    family: _Family
    device: torch.device = CPU

    def velocity(self, z_t: torch.Tensor, sigma_B: torch.Tensor, text: TextStates) -> torch.Tensor:
        assert len(text) == len(z_t)
        return torch.full_like(z_t, self.number)


@pytest.mark.parametrize("at_once", [1, 3, 8])
def test_held_out_error_by_hand_whatever_the_batch(at_once: int) -> None:
    z_0 = torch.randn((5, 2, 1, 3, 3), generator=torch.Generator().manual_seed(3))
    guess: Any = _Guess(0.25, _Family())
    held_out = HeldOut("real", z_0, TextStates(torch.zeros(5, 2, 4)))
    state = torch.get_rng_state()
    found = held_out_errors(guess, [held_out], at_once, attention_for)
    assert torch.equal(state, torch.get_rng_state()), "training's own randomness must not move"
    epsilon, _ = fixed_noise(z_0.shape)
    by_hand = float(((0.25 - (epsilon - z_0).numpy()) ** 2).mean())
    assert found == {"held_out_real": pytest.approx(by_hand, rel=1e-5)}
