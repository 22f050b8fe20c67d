"""Training by every objective, killed at two drawn steps, ends with the bytes of one that was left alone."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.train.assignment import Assignment
from rushes.train.data import TrainingSet
from rushes.train.handover import Material
from rushes.train.hooks import Hooks
from rushes.train.job import ready
from rushes.train.loop import optimise
from rushes.train.state import Progress
from tests.pipeline.test_kill_every_write import life
from tests.pipeline.test_objectives import KINDS, spec_of
from tests.support.tiny_wan import make_tiny_wan
from tests.support.training import assignment_of, columns_of_takes, teach_alone

NUM_STEPS = 7
MORE: dict[str, dict[str, Any]] = {
    "nft old": {"objective": {"kind": "nft", "old": "ema", "old_rate": 0.1, "old_every": 2}},
    "online every": {"objective": {"kind": "online", "every": 2, "max_sigma": 1.0, "normalise": "sigma_bin"}},
    "art plain": {"objective": {"kind": "art", "halves": True, "noise": "own"}, "norm_guard": 0.5},
}
"""Settings beside the kinds themselves that have a state or a term of their own."""


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Family:
    torch.set_num_threads(1)
    return load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path_factory.mktemp("wan"))), max_tokens=8))


@pytest.fixture(scope="module")
def material(wan: Family) -> Material:
    data = TrainingSet(
        z_0_NCThw=torch.randn((10, 4, 2, 4, 4), generator=torch.Generator().manual_seed(0)),
        text=wan.encode_text([f"a red circle moves {way}" for way in ("left", "right", "up", "down", "in")] * 2),
        empty=wan.encode_text([""]),
        weight_N=torch.tensor([0.0, 1.0, 2.0, 3.0, 0.5, 0.5, 1, 1, 1, 1]),
        preference_N=torch.linspace(0, 1, 10),
        is_real_N=torch.tensor([False] * 6 + [True] * 4),
        **columns_of_takes(),
    )
    return Material(data)


def train_until_killed(assignment: Assignment, family: Family, material: Material, step: int) -> None:
    """In a process of its own: the state is saved after every second step, and this step is never saved."""

    def die(progress: Progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with ready(assignment, family, material) as job:
        optimise(job, assignment.scratch, Hooks(on_step=die))


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, LoraSpec(rank=2, alpha=2)], ids=["full", "lora"])
@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_a_kill_at_any_step_changes_no_byte(
    kind: str, lora: LoraSpec | None, wan: Family, material: Material, tmp_path: Path
) -> None:
    plain = spec_of("flow" if kind in MORE else kind, lora=lora, num_steps=NUM_STEPS, checkpoint_every=2, anchor=0.1)
    spec = TrainSpec.model_validate({**plain.model_dump(), **MORE.get(kind, {})})
    straight = teach_alone(assignment_of(wan, tmp_path / "straight", spec), wan, material)
    assignment = assignment_of(wan, tmp_path / "killed", spec)
    first, second = sorted(random.Random(f"{kind} {lora}").sample(range(1, NUM_STEPS), 2))
    for step in (first, second):
        assert life(lambda at=step: train_until_killed(assignment, wan, material, at)) == signal.SIGKILL
    killed = teach_alone(assignment, wan, material)
    assert killed.record.weights == straight.record.weights, "the hash of the stored bytes"
    assert killed.curves == straight.curves
