"""The optimiser is chosen by device and recipe; its state goes through a file and back whatever it holds."""

import importlib

import pytest
import torch

from rushes.errors import RecipeError
from rushes.families.model_size import moment_bytes
from rushes.recipe.train import TrainSpec
from rushes.train.optimizer import make_optimizer
from rushes.train.state import optimizer_tensors, restore_optimizer

EIGHT_BIT = TrainSpec(optimizer="adamw_8bit")


def test_a_cpu_gets_the_plain_one() -> None:
    made = make_optimizer([torch.nn.Parameter(torch.zeros(2))], TrainSpec(weight_decay=0.1), torch.device("cpu"))
    assert type(made) is torch.optim.AdamW
    assert not made.param_groups[0]["fused"]
    assert made.param_groups[0]["weight_decay"] == 0.1


def test_a_gpu_gets_the_fused_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(torch.optim, "AdamW", lambda parameters, **options: asked.update(options))
    make_optimizer([], TrainSpec(), torch.device("cuda"))
    assert asked["fused"] is True


def test_eight_bit_needs_a_gpu_and_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="needs a GPU"):
        make_optimizer([], EIGHT_BIT, torch.device("cpu"))

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(RecipeError) as caught:
        make_optimizer([], EIGHT_BIT, torch.device("cuda"))
    assert "pip install -c constraints.txt 'rushes[eight-bit]'" in str(caught.value)


def test_moments_take_what_they_take() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1000))
    made = make_optimizer([parameter], TrainSpec(), torch.device("cpu"))
    parameter.grad = torch.ones(1000)
    made.step()
    moments = [value for value in made.state[parameter].values() if value.numel() > 1]
    assert sum(value.nbytes for value in moments) == 1000 * moment_bytes(TrainSpec())
    assert moment_bytes(EIGHT_BIT) == 2


def test_a_step_counter_that_is_a_plain_number_stays_one() -> None:
    """As 8-bit AdamW keeps it, beside moments in bytes."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    before, after = (torch.optim.SGD([parameter], lr=0.1) for _ in range(2))
    before.state[parameter] = {"step": 7, "state1": torch.tensor([1, 2, 3], dtype=torch.uint8)}
    restore_optimizer(after, optimizer_tensors(before))
    assert after.state[parameter]["step"] == 7 and isinstance(after.state[parameter]["step"], int)
    assert torch.equal(after.state[parameter]["state1"], before.state[parameter]["state1"])
