"""Parameters without a gradient are found out, for every family; copies search for them only where there are some."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from rushes.families.family import Conditions
from rushes.families.load import load_family
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.train import LoraSpec
from rushes.train.batch import FlowBatch
from rushes.train.network import Network, make_network
from rushes.train.parallel import Parallel
from rushes.train.probe import idle_parameters
from tests.support.tiny_families import TINY
from tests.support.tiny_wan import TINY_SHAPE, make_tiny_wan

TEXTS = ["a red circle moves up", "a blue square"]


def batch_of(network: Network, latent_shape: tuple[int, ...]) -> FlowBatch:
    generator = torch.Generator().manual_seed(0)
    z_0, noise = (torch.randn((2, *latent_shape), generator=generator) for _ in range(2))
    text = network.family.encode_text(TEXTS)
    return FlowBatch(z_0, noise, torch.tensor([0.3, 0.8]), text, torch.ones(2), torch.zeros(2, dtype=torch.bool))


IDLE = {"ltx-2": r"audio|av_|_a2v|_v2a", "hunyuan-1.5": r"transformer_blocks\.\d+\.(ff_context|attn\.to_add_out)\."}
"""What a video's velocity does not depend on: the other stream's weights, and the last states of the text."""


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("lora", [None, LoraSpec(rank=2)], ids=["full", "adapter"])
def test_no_family_has_idle_parameters_and_one_that_nothing_reads_is_named(
    lora: LoraSpec | None, name: str, tmp_path: Path
) -> None:
    tiny = TINY[name]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    network = make_network(family, lora, None, autocast=False, conditions=Conditions(fps=8.0, guidance=6.0))
    batch = batch_of(network, tuple(family.latent_shape(tiny.shape)))
    idle = idle_parameters(network, batch)
    assert all(re.search(IDLE[name], each) for each in idle) if name in IDLE else idle == set()
    assert all(value.grad is None for value in network.parameters().values())
    network.tuned.register_parameter("for_images", torch.nn.Parameter(torch.zeros(3)))
    assert idle_parameters(network, batch) == {*idle, "for_images"}


def test_gradients_are_searched_for_only_where_some_are_idle(tmp_path: Path) -> None:
    family = load_family(BaseModelSpec(model=str(make_tiny_wan(tmp_path)), max_tokens=8))
    network = make_network(family, None, None, autocast=False)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    together = Parallel("ddp", torch.device("cpu"), dist.group.WORLD)
    try:
        searches = []
        for idle in (set[str](), {"for_images"}):
            called = together.wrap(network, lambda idle=idle: idle).called
            assert called is not None
            searches.append(called.find_unused_parameters)
        batch = batch_of(network, tuple(family.latent_shape(TINY_SHAPE)))
        velocity = together.wrap(network, set).velocity(batch.z_0_BCTHW, batch.sigma_B, batch.text)
        velocity.sum().backward()
    finally:
        dist.destroy_process_group()
    assert searches == [False, True]
    assert all(value.grad is not None for value in network.parameters().values())
