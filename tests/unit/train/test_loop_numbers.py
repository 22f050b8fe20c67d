"""The numbers of the loop: rates, clipping, AdamW and averaging against a few lines of numpy; what it must refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rushes.errors import TrainingError
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.families.path import STRAIGHT
from rushes.families.texts import TextStates
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.records import BlobRef, Checkpoint
from rushes.train.batch import LossTerms
from rushes.train.data import Step, TrainingSet
from rushes.train.handover import Material
from rushes.train.hooks import Hooks
from rushes.train.job import Job, check_changed
from rushes.train.loop import check_untouched, learning_rate, optimise
from rushes.train.network import make_network
from rushes.train.objective import Velocity
from tests.support.tiny_wan import make_tiny_wan
from tests.support.training import assignment_of, teach_alone

SPEC = TrainSpec(
    num_steps=12,
    batch_size=2,
    learning_rate=1e-2,
    warmup_steps=4,
    weight_decay=0.1,
    max_grad_norm=1.0,
    ema_decay=0.9,
    checkpoint_every=100,
    precision="float32",
)
RNG = np.random.default_rng(0)
START = {"a": RNG.normal(size=5), "b": RNG.normal(size=(2, 3))}
SLOPES = [{name: RNG.normal(size=value.shape) * size for name, value in START.items()} for size in 6 * (0.1, 3.0)]
"""The gradient of each step: by turns shorter than `max_grad_norm` and longer."""


def _rate(step: int, spec: TrainSpec) -> float:
    """Step by step: up in equal parts to the peak, then there, or down half a cosine."""
    if step < spec.warmup_steps:
        return float(np.linspace(0, spec.learning_rate, spec.warmup_steps + 1)[step + 1])
    num_left = spec.num_steps - spec.warmup_steps
    angle = np.linspace(0, np.pi, num_left + 1)[step - spec.warmup_steps]
    return spec.learning_rate * (1.0 if spec.schedule == "constant" else float(np.cos(angle / 2) ** 2))


def _by_hand(spec: TrainSpec) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and averages after each step, in float64: AdamW with betas 0.9 and 0.99 on the clipped gradient."""
    w = np.concatenate([value.ravel() for value in START.values()])
    m, v, average, weights, averages = 0 * w, 0 * w, w.copy(), [], []
    for i, slopes in enumerate(SLOPES, start=1):
        g = np.concatenate([value.ravel() for value in slopes.values()])
        g = g * min(1.0, spec.max_grad_norm / np.sqrt((g * g).sum()))
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        rate = _rate(i - 1, spec)
        w = w - rate * spec.weight_decay * w - rate * (m / (1 - 0.9**i)) / (np.sqrt(v / (1 - 0.99**i)) + 1e-8)
        decay = min(spec.ema_decay, i / (i + 1)) if spec.ema_decay else 0.0
        average = decay * average + (1 - decay) * w
        weights.append(w)
        averages.append(average)
    return weights, averages


class _Plain:
    """As much of a network as the loop asks for: the parameters, and a velocity that is always 0."""

    def __init__(self) -> None:
        self._parameters = {name: torch.nn.Parameter(torch.tensor(value).float()) for name, value in START.items()}
        self.device = torch.device("cpu")
        self.family = SimpleNamespace(path=STRAIGHT, levels=(0.0, 1.0))
        self.called = self.old = None
        self.frozen = self

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        return self._parameters

    def velocity(self, z: torch.Tensor, sigma_B: torch.Tensor, text: TextStates) -> torch.Tensor:
        return torch.zeros_like(z)

    reference = velocity


@dataclass
class _Slopes:
    """A loss whose gradient in step i is `SLOPES[i]`."""

    parameters: Mapping[str, torch.Tensor]
    num_calls: int = 0
    names: tuple[str, ...] = ("weighted_flow",)

    def terms(self, velocity: Velocity, step: Step) -> LossTerms:
        velocity(step.batch.z_0_BCTHW, step.batch.sigma_B, step.batch.text)
        slopes = SLOPES[self.num_calls]
        self.num_calls += 1
        parts = [(value * torch.tensor(slopes[name]).float()).sum() for name, value in self.parameters.items()]
        return LossTerms({"weighted_flow": sum(parts[1:], start=parts[0])}, {"weighted_flow": 1.0})


def _data(text: TextStates, num: int = 4) -> TrainingSet:
    generator = torch.Generator().manual_seed(0)
    return TrainingSet(
        z_0_NCThw=torch.randn((num, 4, 2, 4, 4), generator=generator),
        text=text,
        empty=text[:1],
        weight_N=torch.ones(num),
        preference_N=torch.ones(num),
        is_real_N=torch.zeros(num, dtype=torch.bool),
    )


def _flat(tensors: Mapping[str, torch.Tensor]) -> np.ndarray:
    return np.concatenate([tensors[name].detach().numpy().ravel() for name in START])


@pytest.mark.parametrize(
    "changes", [{}, {"schedule": "cosine"}, {"warmup_steps": 0}, {"ema_decay": 0.0}, {"weight_decay": 0.0}], ids=str
)
def test_every_step_is_the_one_computed_by_hand(changes: dict[str, Any], tmp_path: Path) -> None:
    spec = SPEC.model_copy(update=changes)
    network: Any = _Plain()
    weights: list[np.ndarray] = []
    averages: list[np.ndarray] = []
    slopes: Any = _Slopes(network.parameters())
    job = Job(network, _data(TextStates(torch.zeros(4, 1, 1))), slopes, spec, seed=0)
    hooks = Hooks(
        on_step=lambda progress: weights.append(_flat(network.parameters())),
        on_average=lambda network, average, step: averages.append(_flat(average)),
    )
    trained = optimise(job, tmp_path, hooks)
    expected_weights, expected_averages = _by_hand(spec)
    np.testing.assert_allclose(weights, expected_weights, rtol=0, atol=2e-6)
    np.testing.assert_allclose(averages[1:], expected_averages, rtol=0, atol=2e-6)
    assert np.array_equal(_flat(trained.average), averages[-1])
    if spec.ema_decay == 0.0:
        assert np.array_equal(averages[-1], weights[-1])


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warmup_steps", [0, 1, 4, 12, 20])
def test_rates_rise_in_equal_parts_and_then_stay_or_fall_to_nothing(schedule: str, warmup_steps: int) -> None:
    spec = SPEC.model_copy(update={"schedule": schedule, "warmup_steps": warmup_steps})
    rates = [learning_rate(step, spec) for step in range(spec.num_steps)]
    assert rates == pytest.approx([_rate(step, spec) for step in range(spec.num_steps)], rel=1e-12)
    if schedule == "cosine" and warmup_steps < spec.num_steps:
        assert learning_rate(spec.num_steps, spec) == pytest.approx(0, abs=1e-12)


# ---------------------------------------------------------------------------------------------- what it must refuse


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=8))


@pytest.mark.parametrize("lora", [None, LoraSpec(rank=2, alpha=2)], ids=["full", "lora"])
def test_a_network_that_is_not_its_base_before_step_1_is_refused(
    lora: LoraSpec | None, wan: Family, tmp_path: Path
) -> None:
    data = _data(wan.encode_text(["a red circle moves left"] * 4))
    network = make_network(wan, lora, None, autocast=False)
    slopes: Any = _Slopes({})
    job = Job(network, data, slopes, SPEC, seed=0)
    check_untouched(job)
    with torch.no_grad():
        for value in network.parameters().values():
            value.add_(1e-2)
    with pytest.raises(TrainingError, match="differs from its base before the first step"):
        check_untouched(job)
    steps: list[int] = []
    with pytest.raises(TrainingError, match="differs from its base"):
        optimise(job, tmp_path, Hooks(on_step=lambda progress: steps.append(progress.step)))
    assert steps == []


def test_training_that_changed_nothing_is_refused(wan: Family, tmp_path: Path) -> None:
    data = _data(wan.encode_text(["a red circle moves left"] * 4))

    def taught(rate: float, name: str, start: BlobRef | None = None) -> Checkpoint:
        update = {"learning_rate": rate, "num_steps": 2, "warmup_steps": 0, "weight_decay": 0.0}
        assignment = assignment_of(wan, tmp_path / name, SPEC.model_copy(update=update), start=start)
        return teach_alone(assignment, wan, Material(data)).record

    moved = taught(1e-3, "moved")
    assert moved.step == 2 and isinstance(moved.weights, BlobRef)
    for number, start in enumerate((None, moved.weights)):
        with pytest.raises(TrainingError, match="did not change the model at all"):
            taught(1e-60, f"same-{number}", start)


def test_tuned_weights_are_compared_with_where_training_began(wan: Family) -> None:
    base = {name: value.clone() for name, value in wan.transformer.state_dict().items()}
    name = next(iter(base))
    moved = {**base, name: base[name] + 1e-3}
    check_changed(base, moved)
    check_changed(moved, base)
    with pytest.raises(TrainingError, match="did not change the model"):
        check_changed(moved, moved)
    renamed = {("tuned." + each if each == name else each): value for each, value in moved.items()}
    with pytest.raises(TrainingError, match="differ from the base's") as caught:
        check_changed(base, renamed)
    assert name in str(caught.value) and f"tuned.{name}" in str(caught.value)
