"""Low-rank factors against numpy's decomposition in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rushes.export.lowrank import extract, factorise, rank_for_energy


def change(num_outputs: int, num_inputs: int, decay: float = 0.8) -> Tensor:
    """A matrix whose singular values fall by a factor each."""
    generator = torch.Generator().manual_seed(1)
    size = min(num_outputs, num_inputs)
    U = torch.linalg.qr(torch.randn(num_outputs, size, generator=generator))[0]
    V = torch.linalg.qr(torch.randn(num_inputs, size, generator=generator))[0]
    return U @ torch.diag(decay ** torch.arange(size)) @ V.T


def best(delta: Tensor, rank: int) -> np.ndarray:
    """The closest matrix of that rank, by numpy."""
    U, S, Vh = np.linalg.svd(delta.double().numpy(), full_matrices=False)
    return (U[:, :rank] * S[:rank]) @ Vh[:rank]


@pytest.mark.parametrize(("shape", "rank"), [((12, 20), 3), ((20, 12), 5), ((200, 120), 4), ((16, 16), 16)])
def test_factors_are_the_closest_of_their_rank(shape: tuple[int, int], rank: int) -> None:
    """The third takes the randomised method."""
    delta = change(*shape)
    factors = factorise(delta, rank)
    assert factors.A_rI.shape == (rank, shape[1]) and factors.B_Or.shape == (shape[0], rank)
    found = (factors.B_Or.double() @ factors.A_rI.double()).numpy()
    assert np.linalg.norm(found - best(delta, rank)) < 1e-3 * np.linalg.norm(delta.numpy())
    lost = np.linalg.norm(delta.numpy() - found)
    assert lost == pytest.approx(np.linalg.norm(delta.numpy() - best(delta, rank)), rel=2e-3, abs=1e-5)


def test_a_change_of_low_rank_is_recovered_to_rounding() -> None:
    generator = torch.Generator().manual_seed(2)
    delta = torch.randn(300, 4, generator=generator) @ torch.randn(4, 200, generator=generator)
    factors = factorise(delta, 4)
    assert (factors.B_Or @ factors.A_rI - delta).norm() < 1e-5 * delta.norm()


def test_the_same_factors_whatever_was_drawn_before() -> None:
    delta = change(200, 120)
    first = factorise(delta, 4)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    second = factorise(delta, 4)
    assert torch.equal(first.A_rI, second.A_rI) and torch.equal(first.B_Or, second.B_Or)
    assert torch.equal(torch.get_rng_state(), before)


def test_rank_for_energy_by_hand() -> None:
    values = torch.tensor([3.0, 2.0, 1.0])  # squares 9, 4, 1 of 14
    assert [rank_for_energy(values, share) for share in (0.1, 9 / 14, 0.65, 13 / 14, 0.95, 1.0)] == [1, 1, 2, 2, 3, 3]


def test_energy_and_rank_together_take_the_smaller() -> None:
    delta = change(12, 12)
    assert factorise(delta, 2, energy=0.999).rank == 2
    assert factorise(delta, 12, energy=0.3).rank < 12


def test_fit_counts_every_weight_once() -> None:
    before = {"a.weight": torch.zeros(6, 5), "b.weight": torch.zeros(4, 4), "norm.weight": torch.zeros(5)}
    after = {"a.weight": change(6, 5), "b.weight": torch.zeros(4, 4), "norm.weight": torch.full((5,), 0.1)}
    adapter, fit = extract(before, after, ["a", "b"], rank=2)
    assert list(adapter) == ["a"], "a layer that did not change has no factors"
    assert fit.left_out == {"norm.weight": pytest.approx(0.05)}
    whole = float(change(6, 5).square().sum()) + 0.05
    lost = float(np.square(change(6, 5).numpy() - best(change(6, 5), 2)).sum()) + 0.05
    assert fit.energy == pytest.approx(whole, rel=1e-5)
    assert fit.relative_error == pytest.approx((lost / whole) ** 0.5, rel=1e-4)


def test_nothing_changed() -> None:
    weights = {"a.weight": torch.ones(3, 3)}
    adapter, fit = extract(weights, weights, ["a"], rank=1)
    assert not adapter and fit.relative_error == 0.0 and fit.max_rank == 0
