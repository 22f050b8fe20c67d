"""What training keeps and adds, by the memory model and by counting tensors: copies, moments, recomputation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from diffusers import WanTransformer3DModel
from torch.testing._internal.distributed.fake_pg import FakeStore

from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.families.model_size import ModelSize, loaded_model_size, read_model_size
from rushes.families.recompute import POLICIES, SAFETY, activation_bytes
from rushes.families.texts import TextStates
from rushes.plan.memory import (
    block_bytes,
    lasting_bytes,
    network_bytes,
    num_shards,
    num_tuned,
    policy_of,
    step_bytes,
    train_bytes,
)
from rushes.recipe.base import BaseModelSpec, ShapeSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.train.batch import FlowBatch
from rushes.train.network import Network, make_network
from rushes.train.optimizer import make_optimizer
from rushes.train.parallel import Parallel
from rushes.train.probe import probe
from rushes.train.state import optimizer_tensors
from tests.support.sandbox_recipe import MODEL, sandbox_recipe
from tests.support.tiny_wan import make_tiny_wan

LORA = LoraSpec(rank=8, alpha=8)
SHAPE = ShapeSpec(height_px=64, width_px=64, num_frames=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = make_tiny_wan(tmp_path_factory.mktemp("wan"))
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=4, attention_head_dim=24, in_channels=4, out_channels=4,
        text_dim=16, freq_dim=16, ffn_dim=384, num_layers=3, rope_max_seq_len=64,
    )  # fmt: skip
    transformer.save_pretrained(str(found / "transformer"))
    return found


@pytest.fixture(scope="module")
def family(folder: Path) -> Family:
    return load_family(BaseModelSpec(model=str(folder), max_tokens=8))


@pytest.fixture(scope="module")
def size(family: Family) -> ModelSize:
    found = loaded_model_size(family.pipeline)
    assert found is not None
    return found


def networks(family: Family) -> list[tuple[TrainSpec, Network]]:
    specs = [TrainSpec(lora=lora, precision=p) for lora, p in product((None, LORA), ("float32", "bfloat16"))]  # type: ignore[arg-type]
    return [(s, make_network(family, s.lora, None, autocast=s.precision == "bfloat16")) for s in specs]


@pytest.fixture(autouse=True)
def has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is planned is a machine with instructions for bfloat16."""
    monkeypatch.setattr("rushes.train.network.computes_bfloat16", lambda device: True)


def batch_of(num: int) -> FlowBatch:
    generator = torch.Generator().manual_seed(0)
    z_0, noise = (torch.randn((num, 4, 3, 8, 8), generator=generator) for _ in range(2))
    text = TextStates(torch.randn((num, 8, 16), generator=generator))
    return FlowBatch(z_0, noise, torch.rand(num, generator=generator), text, torch.ones(num), torch.ones(num).bool())


def test_a_loaded_pipeline_has_the_sizes_of_its_folder(folder: Path, size: ModelSize) -> None:
    read = read_model_size(folder)
    assert read is not None
    assert {**vars(size), "num_text": 0} == {**vars(read), "num_text": 0}
    assert size.num_text == pytest.approx(read.num_text, rel=0.3)  # tied tables may be stored once or twice


def test_copies_are_counted_with_frozen_weights_rounded(family: Family, size: ModelSize) -> None:
    counted = []
    for spec, network in networks(family):
        models = [network.tuned] if network.frozen is None else [network.tuned, network.frozen]
        held = sum(value.nbytes for model in models for value in model.parameters())
        assert num_tuned(size, spec) == sum(value.numel() for value in network.parameters().values())
        assert network_bytes(size, spec) == pytest.approx(held, rel=0.03)
        counted.append(held)
    assert counted[1] < 0.8 * counted[0] and counted[3] < 0.6 * counted[2], "rounding must matter to be tested"


def test_the_base_beside_a_later_rounds_start_and_an_old_policy_are_counted(family: Family, size: ModelSize) -> None:
    start = {name: value.clone() for name, value in family.transformer.state_dict().items()}
    for plain, _ in networks(family):
        spec = TrainSpec.model_validate(
            {**plain.model_dump(), "anchor": 0.1, "objective": {"kind": "nft", "old": "ema"}}
        )
        is_autocast = spec.precision == "bfloat16"
        network = make_network(family, spec.lora, start, autocast=is_autocast, keeps_base=True)
        held = sum(value.nbytes for model in network.models for value in model.parameters())
        held += sum(value.nbytes for value in network.parameters().values())
        assert network_bytes(size, spec, num_rounds=2) == pytest.approx(held, rel=0.03)
        start_alone = spec.model_copy(update={"anchor_to": "start"})
        assert network_bytes(size, start_alone, num_rounds=2) == network_bytes(size, spec) < 0.85 * held


def test_moments_are_counted_and_those_of_8_bits_are_a_quarter(family: Family, size: ModelSize) -> None:
    for spec, network in networks(family):
        optimizer = make_optimizer(network.parameters().values(), spec, network.device)
        for value in network.parameters().values():
            value.grad = torch.zeros_like(value)
        optimizer.step()
        moments = sum(value.nbytes for name, value in optimizer_tensors(optimizer).items() if not name.endswith("step"))
        average = sum(value.nbytes for value in network.parameters().values())
        assert lasting_bytes(size, spec) - network_bytes(size, spec) == moments + average
        eight = spec.model_copy(update={"optimizer": "adamw_8bit"})
        assert lasting_bytes(size, spec) - lasting_bytes(size, eight) == moments * 3 / 4


@pytest.fixture
def four_processes() -> Iterator[Parallel]:
    """The first of four that are not there: weights are divided, nothing is ever sent."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    yield Parallel("fsdp", torch.device("cpu"), dist.group.WORLD)
    dist.destroy_process_group()


def test_divided_weights_moments_and_average_take_each_process_its_share(
    four_processes: Parallel, family: Family, size: ModelSize
) -> None:
    for spec, network in networks(family):
        whole = lasting_bytes(size, spec)
        four_processes.divide(network)
        divided = four_processes.wrap(network, set)
        models = [divided.tuned] if divided.frozen is None else [divided.tuned, divided.frozen]
        held = sum(value.to_local().nbytes for model in models for value in model.parameters())
        held += 3 * sum(value.to_local().nbytes for value in divided.parameters().values())  # two moments, the average
        assert lasting_bytes(size, spec, 4) == pytest.approx(held, rel=0.1)
        assert held < 0.3 * whole


def shared(recipe: Recipe, num: int, parallel: str) -> Recipe:
    train = recipe.runtime.train.model_copy(update={"num_processes": num, "parallel": parallel})
    return recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"train": train})})


def test_copies_share_activations_alone_and_divided_weights_gradients_too(size: ModelSize) -> None:
    spec = TrainSpec(batch_size=64, num_accumulation=2, precision="float32")
    recipe = sandbox_recipe(shape=SHAPE, train=spec, base=BaseModelSpec(model=MODEL, max_tokens=8))
    copies, divided = shared(recipe, 4, "ddp"), shared(recipe, 4, "fsdp")
    as_alone = recipe.model_copy(update={"train": spec.model_copy(update={"batch_size": 16})})
    assert block_bytes(size, copies) == block_bytes(size, divided) == block_bytes(size, as_alone)
    assert (num_shards(recipe), num_shards(copies), num_shards(divided)) == (1, 1, 4)
    assert train_bytes(size, copies) == train_bytes(size, as_alone) < train_bytes(size, recipe)
    gradients = 4 * num_tuned(size, spec)
    fetched = 4 * 3 * size.num_transformer / size.num_layers  # two blocks' weights, one block's gradients
    difference = step_bytes(size, copies, "all") - step_bytes(size, divided, "all")
    assert difference == pytest.approx(gradients * 3 / 4 - fetched)
    # With four processes the moments and gradients to come are a quarter, so that more may be kept.
    kept = activation_bytes(block_bytes(size, copies), "none")
    free = network_bytes(size, spec) + (kept + 12 * num_tuned(size, spec) / 2) / SAFETY
    assert policy_of(size, divided, free) == "none" != policy_of(size, copies, free)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activations_under_every_policy_are_those_that_a_probe_counts(
    precision: str, family: Family, size: ModelSize
) -> None:
    spec = TrainSpec(batch_size=4, num_accumulation=2, precision=precision)  # type: ignore[arg-type]
    recipe = sandbox_recipe(shape=SHAPE, train=spec, base=BaseModelSpec(model=MODEL, max_tokens=8))
    network = make_network(family, None, None, autocast=precision == "bfloat16")
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        found = probe(network, batch_of(2)).blocks
    told = block_bytes(size, recipe)
    assert len(told) == len(found) == 3
    for policy in POLICIES:
        assert activation_bytes(told, policy) == pytest.approx(activation_bytes(found, policy), rel=0.3), policy
    steps = [step_bytes(size, recipe, policy) for policy in POLICIES]
    assert steps[0] > steps[1] > steps[2]


def test_the_policy_follows_what_is_free_as_training_chooses_it(size: ModelSize) -> None:
    recipe = sandbox_recipe(shape=SHAPE, train=TrainSpec(batch_size=64), base=BaseModelSpec(model=MODEL, max_tokens=8))
    spec = recipe.train
    besides = (8 + 4) * num_tuned(size, spec)
    need = {policy: activation_bytes(block_bytes(size, recipe), policy) + besides for policy in POLICIES}
    for policy, bytes_needed in need.items():
        free = network_bytes(size, spec) + bytes_needed / SAFETY + 8
        assert policy_of(size, recipe, free) == policy
    assert policy_of(size, recipe, 0.0) == "all" and policy_of(size, recipe, None) == "none"
    train = recipe.runtime.train.model_copy(update={"recompute": "half"})
    named = recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"train": train})})
    assert policy_of(size, named, 0.0) == "half"
    assert train_bytes(size, recipe, 0.0) < train_bytes(size, named) < train_bytes(size, recipe)
