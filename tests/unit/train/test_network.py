"""What cannot be tuned is refused with the names that were looked for; the base can be moved out of the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from rushes.errors import TrainingError
from rushes.families.load import load_family
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.train import LoraSpec
from rushes.train.network import make_network, merged_weights
from tests.support.tiny_wan import make_tiny_wan


def test_an_adapter_that_matches_no_layer_is_refused_and_leaves_the_base_alone(tmp_path: Path) -> None:
    family = load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path)), max_tokens=8))
    names = set(family.transformer.state_dict())
    odd = replace(family, lora_targets=("query", "to_q.weight"))  # type: ignore[type-var]
    with pytest.raises(TrainingError, match="has none of the layers") as refused:
        make_network(odd, LoraSpec(rank=2), None, autocast=False)
    said = str(refused.value)
    assert "...query" in said and type(family.transformer).__name__ in said and "train.lora" in said
    assert set(family.transformer.state_dict()) == names
    assert make_network(family, LoraSpec(rank=2), None, autocast=False).parameters()


@pytest.mark.parametrize("lora", [None, LoraSpec(rank=2)], ids=["full", "adapter"])
def test_the_bases_own_weights_can_leave_their_device_while_it_trains(lora: LoraSpec | None, tmp_path: Path) -> None:
    """Another number format stands for another device: nothing may hold on to the old memory."""
    family = load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path)), max_tokens=8))
    before = {name: value.clone() for name, value in family.transformer.state_dict().items()}
    network = make_network(family, lora, None, autocast=True)
    if lora is not None:  # below an adapter the base's own weights are shared, until they are moved to the GPU
        shared = {value.data_ptr() for value in family.transformer.parameters()}
        assert any(value.data_ptr() in shared for value in network.tuned.parameters())
        network.tuned.to(torch.float64)
        assert all(value.dtype == torch.float32 for value in family.transformer.parameters())
    there = [StorageWeakRef(value.untyped_storage()) for value in family.transformer.parameters()]
    family.transformer.to(torch.float64)
    assert all(each.expired() for each in there)
    family.transformer.to(torch.float32)
    average = {name: value.detach().clone() for name, value in network.parameters().items()}
    merged = merged_weights(network, average)
    assert set(merged) == set(before) and all(torch.equal(value, before[name]) for name, value in merged.items())


def test_a_processor_without_instructions_for_bfloat16_trains_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path)), max_tokens=8))
    for has_instructions in (True, False):
        monkeypatch.setattr(
            "rushes.train.network.computes_bfloat16", lambda device, has_instructions=has_instructions: has_instructions
        )
        network = make_network(family, None, None, autocast=True)
        assert network.autocast == has_instructions
        dtypes = {value.dtype for value in network.frozen.parameters()}
        assert (torch.bfloat16 in dtypes) == has_instructions
