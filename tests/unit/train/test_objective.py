"""How a loss is put together: sign, coefficient and mean of every term, and which captions are dropped; by numpy.

Legend: B batch, N samples, C latent channels, T latent frames, h rows, w columns.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from rushes.families.path import STRAIGHT
from rushes.families.texts import TextStates
from rushes.recipe.objectives import NftSpec
from rushes.recipe.train import RealismSpec, TrainSpec
from rushes.train.batch import FlowBatch, LossTerms
from rushes.train.data import Step, TrainingSet, step_batch
from rushes.train.job import objective_for
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective

SHAPE = (4, 2, 3, 5)
"""C, T, h, w."""
RNG = np.random.default_rng(0)
Z_0, EPSILON, V, BASE = RNG.normal(size=(4, 6, *SHAPE))
"""Clean latents, noise, and what the tuned network and its base predict, of six items each."""
SIGMA = np.array([0.1, 0.9, 0.5, 0.3, 0.7, 0.2])
REAL = np.array([False, True, False, False, True, False])
OWN = ~REAL
WEIGHT = np.array([0.5, 1.5, 2.0, 0.0, 0.7, 1.0])
PREFERENCE = np.array([0.9, 1.0, 0.1, 0.5, 1.0, 0.0])
TARGET, Z_T = EPSILON - Z_0, (1 - SIGMA).reshape(-1, 1, 1, 1, 1) * Z_0 + SIGMA.reshape(-1, 1, 1, 1, 1) * EPSILON
MEAN, STD = RNG.normal(size=SHAPE[:2]), RNG.uniform(0.5, 2, size=SHAPE[:2])
"""Moments of real latents, (C, T)."""
TEXT = TextStates(torch.arange(6.0).view(6, 1, 1))


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool if values.dtype == bool else torch.float32)


def predicting(values: np.ndarray) -> Callable[..., torch.Tensor]:
    """A network that answers so, and checks what it is asked."""

    def velocity(z_t: torch.Tensor, sigma_B: torch.Tensor, text: TextStates) -> torch.Tensor:
        np.testing.assert_allclose(z_t, Z_T, atol=1e-5)
        np.testing.assert_allclose(sigma_B, SIGMA, atol=1e-6)
        assert text is TEXT
        return tensor(values).requires_grad_()

    return velocity


def base_of(is_real: np.ndarray) -> Callable[..., torch.Tensor]:
    """The base, which checks that it is asked about all items or about own ones."""

    def velocity(z_t: torch.Tensor, sigma_B: torch.Tensor, text: TextStates) -> torch.Tensor:
        rows = np.full(6, True) if len(z_t) == 6 else ~is_real
        np.testing.assert_allclose(z_t, Z_T[rows], atol=1e-5)
        np.testing.assert_allclose(sigma_B, SIGMA[rows], atol=1e-6)
        assert torch.equal(text.states_BLD, TEXT.states_BLD[tensor(rows)])
        return tensor(BASE[rows])

    return velocity


def terms_of(spec: TrainSpec, is_real: np.ndarray = REAL) -> LossTerms:
    batch = FlowBatch(tensor(Z_0), tensor(EPSILON), tensor(SIGMA), TEXT, tensor(WEIGHT), tensor(is_real))
    objective = TrainingLoss(spec, build_objective(spec), base_of(is_real), tensor(MEAN), tensor(STD))
    return objective.terms(predicting(V), Step(batch, {"preference": tensor(PREFERENCE)}))


def errors(velocity: np.ndarray, target: np.ndarray = TARGET) -> np.ndarray:
    """Mean squared error of each item."""
    return np.array([np.mean((v - t) ** 2) for v, t in zip(velocity, target, strict=True)])


def flow(where: np.ndarray) -> float:
    """The paper's objective on some of the items."""
    return float(sum(w * e for w, e in zip(WEIGHT[where], errors(V)[where], strict=True)) / where.sum())


def pulled_and_pushed(beta: float) -> float:
    """The negative-aware term on the own items."""
    good, bad = errors((1 - beta) * BASE + beta * V), errors((1 + beta) * BASE - beta * V)
    return float(np.mean((PREFERENCE * good + (1 - PREFERENCE) * bad)[OWN]))


def moments() -> float:
    """Squared distance of the moments of the clean latents that are predicted on own items, which count (1-sigma)^2."""
    clean = (Z_T - SIGMA.reshape(-1, 1, 1, 1, 1) * V)[OWN]
    w = (1 - SIGMA[OWN]) ** 2 / np.sum((1 - SIGMA[OWN]) ** 2)
    mean = np.einsum("b,bcthw->ct", w, clean) / 15
    variance = np.einsum("b,bcthw->ct", w, (clean - mean[None, :, :, None, None]) ** 2) / 15
    return float(np.mean((mean - MEAN) ** 2 + (np.sqrt(variance + 1e-6) - STD) ** 2))


SHARE = OWN.sum() / 6
REFERENCE = float(np.mean(errors(V, BASE)))
NORM, BASE_NORM = (np.sqrt(np.mean(x**2, axis=(1, 2, 3, 4))) for x in (V, BASE))
EXCESS = float(np.mean(np.maximum(NORM - BASE_NORM, 0) ** 2))
assert 0 < sum(NORM > BASE_NORM) < 6

CASES: dict[str, tuple[dict[str, Any], dict[str, tuple[float, float]]]] = {
    "flow": ({"realism": {"kind": "none"}}, {"weighted_flow": (SHARE, flow(OWN))}),
    "real_flow": (
        {"realism": {"kind": "real_flow", "coefficient": 0.3}},
        {"weighted_flow": (SHARE, flow(OWN)), "real_flow": (0.3 * (1 - SHARE), flow(REAL))},
    ),
    "anchor": (
        {"realism": {"kind": "none"}, "anchor": 0.7},
        {"weighted_flow": (SHARE, flow(OWN)), "anchor": (0.7, REFERENCE)},
    ),
    "norm guard": (
        {"realism": {"kind": "none"}, "norm_guard": 0.4},
        {"weighted_flow": (SHARE, flow(OWN)), "norm_guard": (0.4, EXCESS)},
    ),
    "negative": (
        {"realism": {"kind": "none"}, "objective": {"kind": "nft", "beta": 0.4, "strength": 0.2}},
        {"nft": (0.5 * SHARE, pulled_and_pushed(0.4))},
    ),
    "moments": (
        {"realism": {"kind": "moments", "coefficient": 0.2}},
        {"weighted_flow": (SHARE, flow(OWN)), "real_flow": (0.0, flow(REAL)), "moments": (0.2, moments())},
    ),
    "all": (
        {"realism": {"kind": "real_flow", "coefficient": 2.0}, "anchor": 0.1, "norm_guard": 3.0, "negative": 1.0},
        {
            "nft": (SHARE, pulled_and_pushed(1.0)),
            "real_flow": (2.0 * (1 - SHARE), flow(REAL)),
            "anchor": (0.1, REFERENCE),
            "norm_guard": (3.0, EXCESS),
        },
    ),
}
"""What a recipe says of training, and the terms that makes: (coefficient, value) by name."""


@pytest.mark.parametrize("name", CASES)
def test_every_term_has_its_value_coefficient_and_sign(name: str) -> None:
    settings, expected = CASES[name]
    found = terms_of(TrainSpec.model_validate(settings))
    assert set(found.terms) == set(found.coefficients) == set(expected)
    for term, (coefficient, value) in expected.items():
        assert float(found.terms[term].detach()) == pytest.approx(value, rel=1e-5), term
        assert found.coefficients[term] == pytest.approx(coefficient, rel=1e-6), term
    total = sum(coefficient * value for coefficient, value in expected.values())
    assert float(found.total().detach()) == pytest.approx(total, rel=1e-5)


def test_without_real_clips_own_ones_count_whole_and_without_own_ones_real_ones() -> None:
    spec = TrainSpec(realism=RealismSpec(kind="real_flow", coefficient=0.3))
    own = terms_of(spec, np.zeros(6, dtype=bool))
    assert dict(own.coefficients) == {"weighted_flow": 1.0}
    assert float(own.total().detach()) == pytest.approx(flow(np.ones(6, dtype=bool)), rel=1e-5)
    real = terms_of(spec, np.ones(6, dtype=bool))
    assert dict(real.coefficients) == {"real_flow": pytest.approx(0.3)}


def test_the_base_is_asked_only_where_it_is_needed_and_gets_no_gradient() -> None:
    asked: list[torch.Tensor] = []
    weight = torch.nn.Parameter(torch.ones(()))

    def base(z_t: torch.Tensor, sigma_B: torch.Tensor, text: TextStates) -> torch.Tensor:
        asked.append(weight * z_t)
        return asked[-1]

    batch = FlowBatch(tensor(Z_0), tensor(EPSILON), tensor(SIGMA), TEXT, tensor(WEIGHT), tensor(REAL))
    network: Any = SimpleNamespace(
        device=torch.device("cpu"), base=None, reference=base, family=SimpleNamespace(path=STRAIGHT, levels=(0.0, 1.0))
    )
    for anchor in (0.0, 0.5):
        objective = objective_for(network, training_set(caption_drop_texts()), TrainSpec(anchor=anchor))
        objective.terms(predicting(V), Step(batch)).total().backward()
        assert len(asked) == (anchor > 0)
    assert weight.grad is None and not asked[0].requires_grad


@pytest.mark.parametrize("kind", ["real_flow", "moments"])
def test_moments_are_those_of_the_real_clips_that_are_trained_on(kind: str) -> None:
    spec = TrainSpec.model_validate({"realism": {"kind": kind}})
    network: Any = SimpleNamespace(
        device=torch.device("cpu"), base=None, reference=None, family=SimpleNamespace(path=STRAIGHT, levels=(0.0, 1.0))
    )
    objective = objective_for(network, training_set(caption_drop_texts()), spec)
    if kind == "real_flow":
        assert objective.real_mean_CT.numel() == 0, "nothing is computed that nobody reads"
        return
    np.testing.assert_allclose(objective.real_mean_CT, Z_0[REAL].mean(axis=(0, 3, 4)), atol=1e-5)
    np.testing.assert_allclose(objective.real_std_CT, Z_0[REAL].std(axis=(0, 3, 4)), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "needed"), [({}, False), ({"anchor": 0.1}, True), ({"objective": {"kind": "nft"}}, True)]
)
def test_an_objective_that_compares_with_the_base_is_given_it(settings: dict[str, Any], needed: bool) -> None:
    network: Any = SimpleNamespace(
        device=torch.device("cpu"), base=None, reference="the base", family=SimpleNamespace(path="way")
    )
    data = training_set(caption_drop_texts())
    objective: Any = objective_for(network, data, TrainSpec.model_validate(settings))
    assert objective.reference == ("the base" if needed else None)
    assert objective.path == "way"


# ---------------------------------------------------------------------------------------------- parts of a batch


def gradient(settings: dict[str, Any], num_parts: int, order: list[int]) -> torch.Tensor:
    """Gradient of a batch of eight, the mean over equal parts of it, in float64.

    Micro-batches are such parts, and so are the shares of several processes, whose gradients are averaged.
    """
    rng = torch.Generator().manual_seed(0)
    z_0, epsilon = torch.randn(2, 8, *SHAPE, generator=rng, dtype=torch.float64)
    sigma, weight, preference = torch.rand(3, 8, generator=rng, dtype=torch.float64)
    has_real = settings["realism"]["kind"] != "none"  # no batch holds real clips otherwise
    is_real = torch.tensor([False] * 5 + [has_real] * 3)
    factor = torch.full((SHAPE[0], 1, 1, 1), 0.3, dtype=torch.float64, requires_grad=True)
    spec = TrainSpec.model_validate(settings)
    moments = torch.tensor(MEAN), torch.tensor(STD)
    objective = TrainingLoss(spec, build_objective(spec), lambda z_t, sigma_B, text: 0.5 * z_t, *moments)
    for rows in torch.tensor(order).chunk(num_parts):
        text = TextStates(torch.zeros(len(rows), 1, 1))
        batch = FlowBatch(z_0[rows], epsilon[rows], sigma[rows], text, weight[rows], is_real[rows])
        terms = objective.terms(lambda z_t, sigma_B, text: factor * z_t, Step(batch, {"preference": preference[rows]}))
        (terms.total() / num_parts).backward()
    assert factor.grad is not None
    return factor.grad


@pytest.mark.parametrize("name", CASES)
def test_a_batch_in_parts_has_the_gradient_of_the_whole_unless_it_is_refused(name: str) -> None:
    """Of every term alone and of all: parts of 4, 2 and 1 items, of one kind only or of both, for whatever process."""
    settings = CASES[name][0]
    orders = (list(range(8)), [7, 0, 6, 1, 5, 2, 3, 4])
    whole = gradient(settings, 1, orders[0])
    found = [gradient(settings, num, order) for num in (2, 4, 8) for order in orders]
    if name == "moments":
        assert not any(torch.allclose(each, whole, rtol=1e-3) for each in found)
        with pytest.raises(ValidationError, match="moments compares a whole batch"):
            TrainSpec.model_validate({**settings, "batch_size": 8, "num_accumulation": 2})
        return
    assert all(torch.allclose(each, whole, rtol=1e-12, atol=1e-14) for each in found)


def test_a_batch_that_does_not_divide_into_micro_batches_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be a multiple"):
        TrainSpec(batch_size=8, num_accumulation=3)


# ---------------------------------------------------------------------------------------------- dropped captions

EMPTY = TextStates(torch.full((1, 2, 3), -1.0), mask_BL=torch.tensor([[True, False]]), pooled_BP=torch.zeros(1, 1))


def caption_drop_texts() -> TextStates:
    """Texts whose every state is the number of their sample, plus one."""
    number = torch.arange(1.0, 7.0)
    return TextStates(number.view(6, 1, 1).expand(6, 2, 3), torch.ones(6, 2, dtype=torch.bool), number.view(6, 1))


def training_set(text: TextStates) -> TrainingSet:
    return TrainingSet(
        z_0_NCThw=tensor(Z_0),
        text=text,
        empty=EMPTY,
        weight_N=torch.ones(6),
        preference_N=tensor(PREFERENCE),
        is_real_N=tensor(REAL),
    )


def dropped(share: float, num_steps: int = 300) -> np.ndarray:
    """Of the items of many steps, (steps, B): whether the caption is the empty one. Else it must be the item's own."""
    data, spec = training_set(caption_drop_texts()), TrainSpec(caption_drop=share, batch_size=8)
    found = []
    for number in range(num_steps):
        batch = step_batch(data, spec, number, seed=5).batch
        rows = [int((data.z_0_NCThw == z).flatten(1).all(dim=1).nonzero()[0]) for z in batch.z_0_BCTHW]
        empty = batch.text.states_BLD[:, 0, 0] == -1
        for where, row, text in zip(empty, rows, (batch.text[[i]] for i in range(8)), strict=True):
            expected = EMPTY if where else data.text[[row]]
            assert all(torch.equal(value, text.tensors()[name]) for name, value in expected.tensors().items())
        found.append(empty.numpy())
    return np.array(found)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_and_all_captions_are_dropped(share: float) -> None:
    assert np.all(dropped(share, num_steps=20) == bool(share))


def test_so_large_a_share_of_captions_is_dropped_wherever_they_stand_in_the_batch() -> None:
    """Own clips come first in a batch and real ones last: each position has its share, independently of the others."""
    found = dropped(0.2)
    assert found.mean() == pytest.approx(0.2, abs=0.025)  # three standard errors
    assert np.all(np.abs(found.mean(axis=0) - 0.2) < 0.08)
    pairs = np.mean([found[:, i] & found[:, j] for i in range(8) for j in range(i)])
    assert pairs == pytest.approx(0.04, abs=0.015)


def test_dropping_captions_changes_nothing_else_of_a_batch() -> None:
    data = training_set(caption_drop_texts())
    plain, bare = (
        step_batch(data, TrainSpec(caption_drop=share, batch_size=8, objective=NftSpec()), 3, 5) for share in (0.0, 1.0)
    )
    for name in ("z_0_BCTHW", "epsilon_BCTHW", "sigma_B", "weight_B", "is_real_B"):
        assert torch.equal(getattr(plain.batch, name), getattr(bare.batch, name)), name
    assert torch.equal(plain.columns["preference"], bare.columns["preference"])
