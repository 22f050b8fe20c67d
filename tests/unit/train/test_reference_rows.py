"""The base is asked about the items that a term compares with it, and no gradient differs from asking about all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from rushes.families.load import load_family
from rushes.families.texts import TextStates
from rushes.recipe.train import TrainSpec
from rushes.train.batch import FlowBatch
from rushes.train.data import Step
from rushes.train.network import Network, make_network
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective
from tests.support.tiny_families import TINY

IS_REAL = torch.tensor([False, True, False, False, True, True])
NONE = torch.empty(0)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A tiny Wan, moved away from its base."""
    base = TINY["wan-2.1"].base(TINY["wan-2.1"].save(tmp_path_factory.mktemp("wan")))
    found = make_network(load_family(base), None, None, autocast=False)
    with torch.no_grad():
        for value in found.parameters().values():
            value += 0.02 * torch.randn(value.shape, generator=torch.Generator().manual_seed(value.numel()))
    return found


def step_of(network: Network, is_real: torch.Tensor) -> Step:
    generator = torch.Generator().manual_seed(0)
    size = (6, *network.family.latent_shape(TINY["wan-2.1"].shape))
    z_0, epsilon = (torch.randn(size, generator=generator) for _ in range(2))
    text = network.family.encode_text(["a red circle", "a blue square"] * 3)
    batch = FlowBatch(z_0, epsilon, torch.linspace(0.1, 0.9, 6), text, torch.ones(6), is_real)
    return Step(batch, {"preference": torch.linspace(0, 1, 6)})


def one_by_one(network: Network, z_t: torch.Tensor, sigma_B: torch.Tensor, text: TextStates) -> torch.Tensor:
    """The base's velocity; the last bits of a batch's products would depend on how many items are in it."""
    rows = [slice(i, i + 1) for i in range(len(sigma_B))]
    return torch.cat([network.reference(z_t[row], sigma_B[row], text[row]) for row in rows])


def gradients(network: Network, reference: Callable[..., torch.Tensor], step: Step, spec: TrainSpec) -> torch.Tensor:
    parameters = list(network.parameters().values())
    loss = TrainingLoss(spec, build_objective(spec), reference, NONE, NONE).terms(network.velocity, step).total()
    return torch.cat(
        [each.flatten() for each in torch.autograd.grad(loss, parameters, allow_unused=True) if each is not None]
    )


@pytest.mark.parametrize(("anchor", "num_asked"), [(0.0, 3), (0.2, 6)])
def test_every_gradient_is_the_same(network: Network, anchor: float, num_asked: int) -> None:
    step, spec = step_of(network, IS_REAL), TrainSpec(negative=0.3, anchor=anchor)
    asked: list[int] = []
    z_t = network.family.path.noisy(step.batch.z_0_BCTHW, step.batch.epsilon_BCTHW, step.batch.sigma_B)
    with torch.no_grad():
        whole = one_by_one(network, z_t, step.batch.sigma_B, step.batch.text)

    def of_some(z_t: torch.Tensor, sigma_B: torch.Tensor, text: TextStates) -> torch.Tensor:
        asked.append(len(sigma_B))
        return one_by_one(network, z_t, sigma_B, text)

    def of_all(z_t: torch.Tensor, sigma_B: torch.Tensor, text: TextStates) -> torch.Tensor:
        return whole if len(sigma_B) == 6 else whole[~IS_REAL]

    found = gradients(network, of_some, step, spec)
    assert asked == [num_asked] and float(found.abs().max()) > 0
    assert float((found - gradients(network, of_all, step, spec)).abs().max()) == 0.0


@pytest.mark.parametrize("real", [True, False])
def test_a_batch_of_one_kind_asks_about_all(network: Network, real: bool) -> None:
    """Also without own items: processes that share the base's weights wait for each other in its forward pass."""
    asked: list[int] = []

    def of_some(z_t: torch.Tensor, sigma_B: torch.Tensor, text: TextStates) -> torch.Tensor:
        asked.append(len(sigma_B))
        return network.reference(z_t, sigma_B, text)

    gradients(network, of_some, step_of(network, torch.full((6,), real)), TrainSpec(negative=0.3))
    assert asked == [6]
