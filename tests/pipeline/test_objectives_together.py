"""Every family trains in two processes as in one, by one objective each.

All objectives do so by the smallest model (`tests/unit/train/test_together.py`), and in one process by every family
(`test_objectives.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import torch

from rushes.families.load import load_family
from rushes.recipe.objectives import BuiltInObjective
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import LoraSpec
from rushes.train.data import TrainingSet
from rushes.train.handover import Material, write_material
from rushes.train.launch import train_in_processes
from tests.pipeline.test_objectives import KINDS, spec_of
from tests.support.forked import forking
from tests.support.tiny_families import TINY
from tests.support.training import assignment_of, columns_of_takes, taught, teach_alone
from tests.unit.train.test_together import VARIANTS, assert_close

CASES = [
    (name, [*KINDS][number % len(KINDS)], "fsdp" if number % 2 else "ddp", number // 2 % 2 == 1)
    for number, name in enumerate(TINY)
]
"""Family, objective, how weights are held, and whether an adapter is trained."""


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    torch.set_num_threads(1)
    forking(monkeypatch)
    yield


def test_no_objective_is_left_out_of_what_all_are_tried_with() -> None:
    built_in = {kind.model_fields["kind"].default for kind in get_args(BuiltInObjective)}
    assert {*KINDS} == built_in
    assert {spec.objective.kind for spec in VARIANTS.values()} == built_in, "in two processes, of the smallest model"
    assert {kind for _, kind, *_ in CASES} == built_in and {name for name, *_ in CASES} == {*TINY}
    assert len({(mode, is_lora) for *_, mode, is_lora in CASES}) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "mode", "is_lora"), CASES)
def test_a_family_trains_in_two_processes_as_in_one(
    name: str, kind: str, mode: str, is_lora: bool, tmp_path: Path
) -> None:
    tiny = TINY[name]
    base = tiny.base(tiny.save(tmp_path / "model"))
    family = load_family(base)
    data = TrainingSet(
        z_0_NCThw=torch.randn((10, *family.latent_shape(tiny.shape)), generator=torch.Generator().manual_seed(0)),
        text=family.encode_text([f"a red circle moves {way}" for way in ("left", "right", "up", "down", "in")] * 2),
        empty=family.encode_text([""]),
        weight_N=torch.ones(10),
        preference_N=torch.tensor([0.1, 0.9, 0.5, 0.2, 0.6, 0.8, 1, 1, 1, 1]),
        is_real_N=torch.tensor([False] * 6 + [True] * 4),
        **columns_of_takes(),
    )
    lora = LoraSpec(rank=2, alpha=2) if is_lora else None
    spec = spec_of(kind, lora=lora, num_steps=2, anchor=0.0 if kind == "flow" else 0.1)
    # Only the transformer of low noise can denoise to the end.
    more = {"expert": "low"} if family.has_experts else {}
    material = Material(data)
    one = teach_alone(
        assignment_of(family, tmp_path / "one", spec, base=base).model_copy(update=more), family, material
    )
    runtime = TrainRuntime.model_validate({"num_processes": 2, "parallel": mode, "tracker": "none"})
    assignment = assignment_of(family, tmp_path / "two", spec, base=base, runtime=runtime).model_copy(update=more)
    write_material(assignment.scratch, material)
    two = taught(assignment, train_in_processes(assignment, lambda *_: None, lambda: False))
    assert one.record.num_skipped_steps == two.record.num_skipped_steps == 0
    if not family.has_experts:
        before = family.transformer.state_dict()
        assert any(not torch.equal(value, before[key]) for key, value in two.weights.items())
    assert_close(one, two)
