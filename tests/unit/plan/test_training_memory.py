"""What training keeps and adds, by the plan and by counting tensors: copies, moments, shares of several processes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from diffusers import WanTransformer3DModel
from torch.testing._internal.distributed.fake_pg import FakeStore

from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.families.model_size import ModelSize, loaded_model_size, read_model_size
from rushes.families.pass_bytes import PassBytes
from rushes.families.recompute import POLICIES, SAFETY
from rushes.plan.memory import (
    SHORT_TOKENS,
    counted_step,
    lasting_bytes,
    network_bytes,
    num_shards,
    order_of,
    passing_bytes,
    policy_of,
    train_bytes,
)
from rushes.plugins import compares_with_start
from rushes.recipe.base import BaseModelSpec, ShapeSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.train import kernels
from rushes.train.network import Network, make_network
from rushes.train.optimizer import make_optimizer
from rushes.train.parallel import Parallel
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


def recipe_for(spec: TrainSpec, **changes: Any) -> Recipe:
    return sandbox_recipe(shape=SHAPE, train=spec, base=BaseModelSpec(model=MODEL, max_tokens=8), **changes)


def counted(size: ModelSize, recipe: Recipe, policy: str = "none") -> PassBytes:
    found = counted_step(size, recipe, policy)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is planned is a machine with instructions for bfloat16."""
    monkeypatch.setattr("rushes.train.network.computes_bfloat16", lambda device: True)
    monkeypatch.setattr("rushes.families.mixed_precision.computes_bfloat16", lambda device: True)


def networks(family: Family, **changes: Any) -> list[tuple[TrainSpec, Network]]:
    specs = [TrainSpec(lora=lora, precision=p, **changes) for lora, p in product((None, LORA), ("float32", "bfloat16"))]
    return [
        (s, make_network(
            family, s.lora, None, autocast=s.precision == "bfloat16", keeps_start=compares_with_start(s)))
        for s in specs
    ]  # fmt: skip


def test_a_loaded_pipeline_has_the_sizes_of_its_folder(folder: Path, size: ModelSize) -> None:
    read = read_model_size(folder)
    assert read is not None and read.paper is not None and size.paper is not None
    same = {"num_text": 0, "paper": None}
    assert {**vars(size), **same} == {**vars(read), **same}
    assert size.paper.family == read.paper.family and size.paper.config["ffn_dim"] == read.paper.config["ffn_dim"]
    assert size.num_text == pytest.approx(read.num_text, rel=0.3)  # tied tables may be stored once or twice


@pytest.mark.parametrize("anchor", [0.0, 0.1])
def test_copies_are_counted_where_something_compares_with_them(family: Family, size: ModelSize, anchor: float) -> None:
    for spec, network in networks(family, anchor=anchor):
        held = sum(value.nbytes for model in network.models for value in model.parameters())
        found = counted(size, recipe_for(spec))
        assert found.num_trained == sum(value.numel() for value in network.parameters().values())
        assert network_bytes(found, recipe_for(spec)) == pytest.approx(held, rel=0.03)
        assert (network.frozen is not None) == (anchor > 0 and spec.lora is None)


def test_the_base_beside_a_later_rounds_start_and_an_old_policy_are_counted(family: Family, size: ModelSize) -> None:
    start = {name: value.clone() for name, value in family.transformer.state_dict().items()}
    for lora, precision in product((None, LORA), ("float32", "bfloat16")):
        spec = TrainSpec.model_validate(
            {"lora": lora, "precision": precision, "anchor": 0.1, "objective": {"kind": "nft", "old": "ema"}}
        )
        network = make_network(
            family, spec.lora, start, autocast=precision == "bfloat16", keeps_base=True,
            keeps_start=compares_with_start(spec, is_later=True),
        )  # fmt: skip
        held = sum(value.nbytes for model in network.models for value in model.parameters())
        held += sum(value.nbytes for value in network.parameters().values())
        recipe = recipe_for(spec, num_rounds=2)
        assert network_bytes(counted(size, recipe), recipe) == pytest.approx(held, rel=0.03)


def test_moments_and_the_average_are_counted_if_there_is_one(family: Family, size: ModelSize) -> None:
    for spec, network in networks(family):
        optimizer = make_optimizer(network.parameters().values(), spec, network.device)
        for value in network.parameters().values():
            value.grad = torch.zeros_like(value)
        optimizer.step()
        moments = sum(value.nbytes for name, value in optimizer_tensors(optimizer).items() if not name.endswith("step"))
        average = sum(value.nbytes for value in network.parameters().values())
        found = counted(size, recipe_for(spec))

        def lasting(**changes: Any) -> float:
            return lasting_bytes(found, recipe_for(spec.model_copy(update=changes)))  # noqa: B023

        assert lasting() - network_bytes(found, recipe_for(spec)) == moments + average
        assert lasting() - lasting(ema_decay=0.0) == average
        assert lasting() - lasting(optimizer="adamw_8bit") == moments * 3 / 4


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
        recipe = recipe_for(spec)
        whole = lasting_bytes(counted(size, recipe), recipe)
        four_processes.divide(network)
        divided = four_processes.wrap(network, set)
        held = sum(value.to_local().nbytes for model in divided.models for value in model.parameters())
        held += 3 * sum(value.to_local().nbytes for value in divided.parameters().values())  # two moments, the average
        shared_recipe = shared(recipe, 4, "fsdp")
        assert lasting_bytes(counted(size, recipe), shared_recipe) == pytest.approx(held, rel=0.1)
        assert held < 0.3 * whole


def shared(recipe: Recipe, num: int, parallel: str) -> Recipe:
    train = recipe.runtime.train.model_copy(update={"num_processes": num, "parallel": parallel})
    return recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"train": train})})


def test_copies_share_activations_alone_and_divided_weights_gradients_too(size: ModelSize) -> None:
    spec = TrainSpec(batch_size=64, num_accumulation=2, precision="float32")
    recipe = recipe_for(spec)
    copies, divided = shared(recipe, 4, "ddp"), shared(recipe, 4, "fsdp")
    as_alone = recipe.model_copy(update={"train": spec.model_copy(update={"batch_size": 16})})
    assert order_of(size, copies, "all") == order_of(size, divided, "all") == order_of(size, as_alone, "all")
    assert (num_shards(recipe), num_shards(copies), num_shards(divided)) == (1, 1, 4)
    few, many = train_bytes(size, as_alone), train_bytes(size, recipe)
    assert few is not None and many is not None and train_bytes(size, copies) == few < many
    found = counted(size, copies, "all")
    gradients = 4 * found.num_trained
    fetched = (2 * found.weights + gradients) / size.num_layers
    difference = passing_bytes(size, found, copies) - passing_bytes(size, found, divided)
    assert difference == pytest.approx(gradients * 3 / 4 - fetched)


def test_the_policy_is_the_fastest_that_fits(size: ModelSize) -> None:
    recipe = recipe_for(TrainSpec(batch_size=64))
    needed = []
    for policy in POLICIES:
        found = counted(size, recipe, policy)
        needed.append(lasting_bytes(found, recipe) + passing_bytes(size, found, recipe))
        assert policy_of(size, recipe, needed[-1] / SAFETY + 8) == policy
    assert needed == sorted(needed, reverse=True) and len(set(needed)) == 3
    assert policy_of(size, recipe, 0.0) == "all" and policy_of(size, recipe, None) == "none"
    train = recipe.runtime.train.model_copy(update={"recompute": "half"})
    named = recipe.model_copy(update={"runtime": recipe.runtime.model_copy(update={"train": train})})
    assert policy_of(size, named, 0.0) == "half"


def test_the_plan_counts_the_kernel_that_training_takes_on_a_cpu(size: ModelSize) -> None:
    assert kernels.SHORT_TOKENS == SHORT_TOKENS
    assert order_of(size, recipe_for(TrainSpec()), "none").kernel == "math"
    assert order_of(size, recipe_for(TrainSpec()), "none", on_gpu=True).kernel == "flash"
