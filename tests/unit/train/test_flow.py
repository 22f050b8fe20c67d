"""The mathematics of training against independent computations."""

import numpy as np
import pytest
import torch

from rushes.families import path
from rushes.train import flow, realism


def _latents(seed: int, items: int = 3) -> torch.Tensor:
    return torch.randn((items, 4, 2, 3, 5), generator=torch.Generator().manual_seed(seed))


def test_path_and_velocity_are_consistent() -> None:
    z_0, epsilon, sigma = _latents(0), _latents(1), torch.tensor([0.0, 0.4, 1.0])
    z_t = path.interpolate(z_0, epsilon, sigma)
    assert torch.equal(z_t[0], z_0[0])
    assert torch.equal(z_t[2], epsilon[2])
    step = 1e-3
    finite = (path.interpolate(z_0, epsilon, sigma + step) - z_t) / step
    torch.testing.assert_close(finite, path.velocity_target(z_0, epsilon), atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(path.predicted_clean(z_t, epsilon - z_0, sigma), z_0, atol=1e-5, rtol=1e-5)


def test_weighted_flow_is_the_papers_formula() -> None:
    velocity, target, w = _latents(2), _latents(3), torch.tensor([0.5, 0.0, 2.0])
    by_hand = np.mean(
        [w_i * np.mean((v - t) ** 2) for w_i, v, t in zip(w, velocity.numpy(), target.numpy(), strict=True)]
    )
    assert float(flow.weighted_flow(velocity, target, w)) == pytest.approx(by_hand, rel=1e-6)


def test_weight_zero_gives_no_gradient_and_weight_one_the_plain_loss() -> None:
    velocity, target = _latents(4).requires_grad_(), _latents(5)
    flow.weighted_flow(velocity, target, torch.zeros(3)).backward()
    assert velocity.grad is not None and float(velocity.grad.abs().max()) == 0.0
    plain = torch.nn.functional.mse_loss(velocity, target)
    torch.testing.assert_close(flow.weighted_flow(velocity, target, torch.ones(3)), plain)


@pytest.mark.parametrize("density", ["uniform", "logit_normal", "mixed"])
def test_sigma_stays_in_range_and_shift_moves_it_to_noise(density: str) -> None:
    draw = lambda shift: flow.draw_sigma(4000, density, shift, torch.Generator().manual_seed(0))  # noqa: E731
    plain, shifted = draw(1.0), draw(3.0)
    assert 0 <= float(plain.min()) and float(plain.max()) <= 1
    assert float(plain.mean()) == pytest.approx(0.5, abs=0.03)
    torch.testing.assert_close(shifted, 3 * plain / (1 + 2 * plain))


def test_negative_aware_prefers_good_and_leaves_bad() -> None:
    """With r = 1 the gradient points to the target, with r = 0 away from it, and at the base r = 1/2 gives none."""
    reference, target = _latents(6), _latents(7)

    def gradient(r: float) -> torch.Tensor:
        velocity = reference.clone().requires_grad_()
        flow.negative_aware(velocity, reference, target, torch.full((3,), r), beta=1.0).backward()
        assert velocity.grad is not None
        return velocity.grad

    towards = reference - target
    assert torch.all(gradient(1.0) * towards >= 0)
    torch.testing.assert_close(gradient(0.0), -gradient(1.0))
    torch.testing.assert_close(gradient(0.5), torch.zeros_like(target), atol=1e-7, rtol=0)


def test_moments_match_numpy_and_vanish_on_the_same_distribution() -> None:
    z, w = _latents(8, items=6), torch.tensor([1.0, 0.0, 2.0, 1.0, 0.0, 1.0])
    mean, std = realism.weighted_moments(z, w)
    rows = np.repeat(z.numpy(), w.numpy().astype(int), axis=0)
    np.testing.assert_allclose(mean, rows.mean(axis=(0, 3, 4)), atol=1e-5)
    np.testing.assert_allclose(std, rows.std(axis=(0, 3, 4)), atol=1e-4)
    sigma = torch.zeros(6)
    mean, std = realism.weighted_moments(z, torch.ones(6))
    assert float(realism.moment_distance(z, sigma, mean, std)) == pytest.approx(0, abs=1e-10)
    assert float(realism.moment_distance(1.5 * z, sigma, mean, std)) > 0.1
    assert float(realism.moment_distance(z[:0], sigma[:0], mean, std)) == 0.0
