"""Every family's transformer, exported and loaded by its own pipeline: nothing in an export knows the family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from rushes.export.dialects import DIFFUSERS_FILE
from rushes.export.full import export_merged, export_transformer
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.source import choose
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.recipe.train import LoraSpec
from rushes.store.run import Run
from rushes.train.network import make_network, merged_weights
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.tiny_families import TINY, TinyFamily
from tests.support.tiny_recipe import tiny_recipe
from tests.unit.export.conftest import add_checkpoint

RANK = 2


def tuned_weights(family: Family) -> dict[str, Tensor]:
    """The base's weights with an adapter of random factors merged in, as training leaves them."""
    network = make_network(family, LoraSpec(rank=RANK, alpha=3), None, autocast=False)
    generator = torch.Generator().manual_seed(4)
    moved = {name: torch.randn(value.shape, generator=generator) * 0.2 for name, value in network.parameters().items()}
    return merged_weights(network, moved)


def generate(family: Family, tiny: TinyFamily) -> Tensor:
    return family.sample(["a red circle moves up"], [7], tiny.sampler, tiny.shape)


@pytest.mark.parametrize("name", ["cogvideox-5b", "hunyuan", "ltx", "sana-video", "hunyuan-1.5", "ltx-2", "wan-ti2v"])
def test_lora_and_transformer_of_every_family(name: str, tmp_path: Path) -> None:
    tiny = TINY[name]
    base = tiny.base(tiny.save(tmp_path / "base"))
    family = load_family(base)
    plain, weights = generate(family, tiny), tuned_weights(family)
    recipe = tiny_recipe(tmp_path / "base")
    train = recipe.train.model_copy(update={"lora": LoraSpec(rank=RANK, alpha=3)})
    add_checkpoint(tmp_path / "run", sandbox_recipe(name="a", base=base, train=train), weights)
    with Run.view(tmp_path / "run") as run:
        fit = export_lora(choose(run), tmp_path / "lora", "diffusers", LoraOptions())
        export_transformer(choose(run), tmp_path / "transformer", 1.0, torch.float32)
    family.load_weights(weights)
    wanted = generate(family, tiny)
    assert (wanted - plain).abs().max() > 0.01 and fit.relative_error < 1e-3

    other = load_family(base)
    has_loader = hasattr(other.pipeline, "load_lora_weights")  # HunyuanVideo 1.5's has none: its transformer loads
    load = other.pipeline.load_lora_weights if has_loader else other.transformer.load_lora_adapter
    load(str(tmp_path / "lora"), weight_name=DIFFUSERS_FILE)
    assert (generate(other, tiny) - wanted).norm() < 1e-3 * (wanted - plain).norm()
    other.pipeline.unload_lora_weights() if has_loader else other.transformer.unload_lora()
    assert torch.equal(generate(other, tiny), plain)
    loaded = type(other.transformer).from_pretrained(str(tmp_path / "transformer"))
    assert all(torch.equal(value, weights[name]) for name, value in loaded.state_dict().items())


def test_dialects_of_ltx(tmp_path: Path) -> None:
    tiny = TINY["ltx"]
    base = tiny.base(tiny.save(tmp_path / "base"))
    family = load_family(base)
    plain, weights = generate(family, tiny), tuned_weights(family)
    train = tiny_recipe(tmp_path / "base").train.model_copy(update={"lora": LoraSpec(rank=RANK, alpha=3)})
    add_checkpoint(tmp_path / "run", sandbox_recipe(name="a", base=base, train=train), weights)
    with Run.view(tmp_path / "run") as run:
        export_lora(choose(run), tmp_path / "lora", "comfyui", LoraOptions())
        path = export_merged(choose(run), tmp_path / "merged", 1.0, torch.float32)
    family.pipeline.load_lora_weights(str(tmp_path / "lora"), weight_name="a-comfyui.safetensors")
    found = generate(family, tiny)
    family.pipeline.unload_lora_weights()
    family.load_weights(weights)
    wanted = generate(family, tiny)
    assert (found - wanted).norm() < 1e-3 * (wanted - plain).norm()
    read = (
        type(family.transformer)
        .from_single_file(str(path), config=str(tmp_path / "base"), subfolder="transformer")
        .state_dict()
    )
    assert read.keys() == weights.keys() and all(torch.equal(read[name], weights[name]) for name in weights)
