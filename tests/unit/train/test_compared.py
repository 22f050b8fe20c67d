"""What training compares with: the round's start, the base, and the moving old policy; each asked once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rushes.errors import Stopped
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.plugins import num_compared
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.objectives import NftSpec
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.records import BlobRef
from rushes.train.assignment import Assignment
from rushes.train.data import TrainingSet, step_batch
from rushes.train.handover import Material
from rushes.train.hooks import Hooks
from rushes.train.job import ready
from rushes.train.loop import optimise
from rushes.train.network import Network, make_network
from rushes.train.objective import norm_excess
from tests.support.tiny_wan import make_tiny_wan
from tests.support.training import Taught, assignment_of, columns_of_takes, teach_alone

PLAIN = {"num_steps": 4, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 0, "precision": "float32"}
TUNED: Any = pytest.mark.parametrize("lora", [None, LoraSpec(rank=2, alpha=2)], ids=["full", "lora"])
EMA = NftSpec(old="ema", old_rate=0.1, old_cap=0.25, old_every=2)


def spec_of(**settings: Any) -> TrainSpec:
    return TrainSpec.model_validate({**PLAIN, **settings})


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Family:
    torch.set_num_threads(1)
    return load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=8))


@pytest.fixture(scope="module")
def data(wan: Family) -> TrainingSet:
    return TrainingSet(
        z_0_NCThw=torch.randn((10, 4, 2, 4, 4), generator=torch.Generator().manual_seed(0)),
        text=wan.encode_text([f"a red circle moves {way}" for way in ("left", "right", "up", "down", "in")] * 2),
        empty=wan.encode_text([""]),
        weight_N=torch.ones(10),
        preference_N=torch.linspace(0, 1, 10),
        is_real_N=torch.tensor([False] * 6 + [True] * 4),
        **columns_of_takes(),
    )


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all rounds, with their weights in it."""
    return tmp_path_factory.mktemp("rounds")


@pytest.fixture(scope="module")
def first(wan: Family, data: TrainingSet, rounds: Path) -> Taught:
    """A first round."""
    return teach_alone(assignment_of(wan, rounds / "first", spec_of(learning_rate=3e-3)), wan, Material(data))


def later(wan: Family, first: Taught, folder: Path, spec: TrainSpec) -> Assignment:
    assert isinstance(first.record.weights, BlobRef)
    return assignment_of(wan, folder, spec, start=first.record.weights)


# ---------------------------------------------------------------------------------------------- the anchor's model


def velocities(network: Network, data: TrainingSet, spec: TrainSpec, seed: int) -> np.ndarray:
    """Of the first step's batch, in float64."""
    batch = step_batch(data, spec, 0, seed).batch
    z_t = network.family.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
    with torch.no_grad():
        return network.velocity(z_t, batch.sigma_B, batch.text).double().numpy()


@TUNED
@pytest.mark.parametrize("objective", [{"kind": "flow"}, {"kind": "dpo"}], ids=["flow", "dpo"])
@pytest.mark.parametrize("anchor_to", ["base", "start"])
def test_a_later_round_is_held_to_the_base_or_to_its_start(
    anchor_to: str,
    objective: dict[str, Any],
    lora: LoraSpec | None,
    wan: Family,
    data: TrainingSet,
    first: Taught,
    rounds: Path,
) -> None:
    spec = spec_of(lora=lora, anchor=0.3, norm_guard=0.2, anchor_to=anchor_to, objective=objective)
    assignment = later(wan, first, rounds / f"{anchor_to}-{objective['kind']}-{lora is None}", spec)
    found = teach_alone(assignment, wan, Material(data))
    step_1 = {name: points[0][1] for name, points in found.curves.items() if points[0][0] == 1}
    v, v_base = (
        velocities(make_network(wan, None, weights, autocast=False), data, spec, assignment.seed)
        for weights in (first.weights, None)
    )
    away = float(np.mean((v - v_base) ** 2))
    excess = np.sqrt(np.mean(v**2, axis=(1, 2, 3, 4))) - np.sqrt(np.mean(v_base**2, axis=(1, 2, 3, 4)))
    is_base = anchor_to == "base"
    assert away > 1e-6
    assert step_1["anchor"] == pytest.approx(away if is_base else 0.0, rel=1e-4)
    assert step_1["norm_guard"] == pytest.approx(np.mean(np.maximum(excess, 0) ** 2) if is_base else 0.0, rel=1e-3)
    assert ("distance_to_base" in step_1) == is_base
    assert step_1.get("distance_to_start", 0.0) < 1e-12  # of own rows alone, which changes the last bits
    assert ("distance_to_start" in step_1) == (not is_base or objective["kind"] == "dpo")


@pytest.mark.parametrize(
    ("settings", "num", "num_later"),
    [
        ({}, 0, 0),
        ({"anchor": 0.1}, 1, 1),
        ({"norm_guard": 0.1}, 1, 1),
        ({"objective": {"kind": "dpo"}}, 1, 1),
        ({"objective": {"kind": "dpo"}, "anchor": 0.1}, 1, 2),
        ({"objective": {"kind": "dpo"}, "anchor": 0.1, "anchor_to": "start"}, 1, 1),
        ({"objective": {"kind": "nft", "old": "ema"}}, 1, 1),
        ({"objective": {"kind": "nft", "old": "ema"}, "norm_guard": 0.1}, 2, 2),
    ],
)
def test_no_model_is_asked_that_is_not_compared_with_and_none_twice(
    settings: dict[str, Any],
    num: int,
    num_later: int,
    wan: Family,
    data: TrainingSet,
    first: Taught,
    rounds: Path,
    tmp_path: Path,
) -> None:
    """As many passes as `rushes plan` counts."""
    spec = spec_of(**settings, num_steps=1)
    assert (num_compared(spec), num_compared(spec, is_later=True)) == (num, num_later)
    for assignment, expected in (
        (assignment_of(wan, tmp_path / "one", spec), num),
        (later(wan, first, rounds / tmp_path.name, spec), num_later),
    ):
        with ready(assignment, wan, Material(data)) as job:
            step = step_batch(data, spec, 0, assignment.seed)
            passes: list[bool] = []
            for model in job.network.models:
                model.register_forward_hook(lambda *_, seen=passes: seen.append(torch.is_grad_enabled()))
            job.objective.terms(job.network.velocity, step)
        assert sorted(passes) == [False] * expected + [True]


# ---------------------------------------------------------------------------------------------- the norm guard


def test_only_norms_that_exceed_the_frozen_ones_count_and_those_by_their_excess() -> None:
    rng = np.random.default_rng(0)
    v, v_ref = rng.normal(size=(2, 6, 3, 2, 4, 5))
    v[:3] *= 1.5
    leaf = torch.tensor(v, requires_grad=True)
    found = norm_excess(leaf, torch.tensor(v_ref))
    rms, rms_ref = (np.sqrt(np.mean(x**2, axis=(1, 2, 3, 4))) for x in (v, v_ref))
    excess = np.maximum(rms - rms_ref, 0)
    np.testing.assert_allclose(found.detach(), excess**2, rtol=1e-12)
    found.sum().backward()
    assert leaf.grad is not None
    slope = (2 * excess / rms / v[0].size).reshape(-1, 1, 1, 1, 1) * v
    np.testing.assert_allclose(leaf.grad, slope, rtol=1e-12, atol=1e-18)
    assert bool(excess[:3].all()) and not excess[3:].all()


def test_a_velocity_of_zero_has_no_slope() -> None:
    leaf = torch.zeros((2, 1, 1, 2, 2), dtype=torch.float64, requires_grad=True)
    norm_excess(leaf, torch.ones_like(leaf)).sum().backward()
    assert leaf.grad is not None and not leaf.grad.any()


# ---------------------------------------------------------------------------------------------- the old policy


def averaged(weights: list[Mapping[str, np.ndarray]], spec: NftSpec) -> dict[str, np.ndarray]:
    """theta_old after all steps, from the trained parameters before step 1 and after each, in float64."""
    old = dict(weights[0])
    for step, theta in enumerate(weights[1:], start=1):
        if step % spec.old_every == 0:
            eta = min(spec.old_rate * step, spec.old_cap)
            old = {name: eta * value + (1 - eta) * theta[name] for name, value in old.items()}
    return old


@TUNED
def test_the_old_policy_is_a_moving_average_and_is_asked_as_such(
    lora: LoraSpec | None, wan: Family, data: TrainingSet, tmp_path: Path
) -> None:
    spec = spec_of(lora=lora, objective=EMA, num_steps=5)
    seen: list[Mapping[str, np.ndarray]] = []

    def note(network: Network, average: Mapping[str, torch.Tensor], step: int) -> None:
        seen.append({name: value.detach().double().numpy() for name, value in network.parameters().items()})

    with ready(assignment_of(wan, tmp_path / "ema", spec), wan, Material(data)) as job:
        trained = optimise(job, tmp_path, Hooks(on_average=note))
        network, old = job.network, job.network.old
        assert old is not None
        by_hand = averaged(seen, EMA)
        for name, value in old.items():
            np.testing.assert_allclose(value, by_hand[name], rtol=1e-5, atol=1e-8)
        assert any((by_hand[name] != seen[-1][name]).any() for name in by_hand)
        batch = step_batch(data, spec, 0, 1).batch
        with torch.no_grad():
            asked = network.of_old(batch.z_0_BCTHW, batch.sigma_B, batch.text)
            assert all((value.double().numpy() == seen[-1][name]).all() for name, value in network.parameters().items())
            for name, value in network.parameters().items():
                value.copy_(torch.tensor(by_hand[name]))
            expected = network.velocity(batch.z_0_BCTHW, batch.sigma_B, batch.text)
    torch.testing.assert_close(asked, expected, atol=1e-5, rtol=1e-4)
    away = [value for _, value in trained.progress.curves["distance_to_old"]]
    assert away[0] < 1e-12 and away[1] > 1e-9, "until its first change it is the start"
    assert away[2] < away[1], "after two steps it is nearly the tuned model"
    assert "distance_to_start" not in trained.progress.curves


@TUNED
def test_an_old_policy_that_never_moves_is_the_start(
    lora: LoraSpec | None, wan: Family, data: TrainingSet, tmp_path: Path
) -> None:
    still = NftSpec(old="ema", old_every=100)
    one, other = (
        teach_alone(assignment_of(wan, tmp_path / str(at), spec_of(lora=lora, objective=each)), wan, Material(data))
        for at, each in enumerate((NftSpec(), still))
    )
    for name, value in one.weights.items():
        torch.testing.assert_close(value, other.weights[name], atol=1e-6, rtol=1e-5)


@TUNED
def test_a_stop_between_its_changes_changes_no_bit(
    lora: LoraSpec | None, wan: Family, data: TrainingSet, tmp_path: Path
) -> None:
    spec = spec_of(lora=lora, objective=EMA, num_steps=6, anchor=0.1)
    straight = teach_alone(assignment_of(wan, tmp_path / "straight", spec), wan, Material(data))
    assignment, steps = assignment_of(wan, tmp_path / "stopped", spec), list[int]()
    with ready(assignment, wan, Material(data)) as job, pytest.raises(Stopped):
        hooks = Hooks(on_step=lambda progress: steps.append(progress.step), should_stop=lambda: len(steps) == 3)
        optimise(job, assignment.scratch, hooks)
    resumed = teach_alone(assignment, wan, Material(data))
    assert straight.curves == resumed.curves
    assert all(torch.equal(value, resumed.weights[name]) for name, value in straight.weights.items())


def test_its_passes_leave_tuned_and_old_parameters_as_they_were(wan: Family, data: TrainingSet, tmp_path: Path) -> None:
    """The trained parameters change places with the old ones, and come back before anything is computed with them."""
    spec = spec_of(objective=EMA, num_accumulation=2)
    with ready(assignment_of(wan, tmp_path / "run", spec), wan, Material(data)) as job:
        tuned, old = job.network.parameters(), job.network.old
        assert old is not None
        with torch.no_grad():
            for value in tuned.values():
                value += 0.01
        before = {name: (value.detach().clone(), old[name].clone()) for name, value in tuned.items()}
        for _ in range(2):
            job.objective.terms(job.network.velocity, step_batch(data, spec, 0, 1)).total().backward()
        for name, (of_tuned, of_old) in before.items():
            assert torch.equal(tuned[name], of_tuned) and torch.equal(old[name], of_old)
            assert not torch.equal(of_tuned, of_old)
