"""An adapter that is part of the base: every kind of file folded in as its own reader applies it, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rushes.errors import InputError
from rushes.export.dialects import Dialect
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.source import choose
from rushes.families.experts import named
from rushes.families.family import Family
from rushes.families.folder import fingerprint_of
from rushes.families.load import load_family
from rushes.recipe.base import BaseModelSpec, StartAdapterSpec
from rushes.recipe.train import LoraSpec
from rushes.store.run import Run
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import tiny_recipe
from tests.unit.export.conftest import add_checkpoint
from tests.unit.export.test_families import RANK, generate, tuned_weights

WAN = TINY["wan-2.1"]


def with_adapter(base: BaseModelSpec, **given: Any) -> BaseModelSpec:
    return base.model_copy(update={"lora": StartAdapterSpec(**given)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WAN.save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def plain(folder: Path) -> Family:
    return load_family(WAN.base(folder))


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter in the format of diffusers whose header says alpha 6 at rank 2."""
    generator = torch.Generator().manual_seed(1)
    tensors: dict[str, Tensor] = {}
    for name, module in load_family(WAN.base(folder)).transformer.named_modules():
        if name.endswith(("to_q", "ffn.net.2")):
            rows, columns = module.weight.shape
            tensors[f"transformer.{name}.lora_A.weight"] = torch.randn(2, columns, generator=generator) * 0.1
            tensors[f"transformer.{name}.lora_B.weight"] = torch.randn(rows, 2, generator=generator) * 0.1
    config = {"r": 2, "lora_alpha": 6, "rank_pattern": {}, "target_modules": ["to_q", "net.2"]}
    header = {"lora_adapter_metadata": json.dumps({f"transformer.{k}": v for k, v in config.items()}), "format": "pt"}
    path = tmp_path_factory.mktemp("adapter") / "somebodys.safetensors"
    save_file(tensors, path, header)
    return path


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        *(("wan-2.1", each) for each in ("diffusers", "comfyui", "kohya")),
        ("ltx", "comfyui"),
        ("hunyuan", "diffusers"),
        ("cogvideox-5b", "diffusers"),
    ],
)
def test_a_file_of_every_kind_leads_to_the_weights_that_it_was_made_of(
    name: str, dialect: Dialect, tmp_path: Path
) -> None:
    tiny = TINY[name]
    base = tiny.base(tiny.save(tmp_path / "base"))
    weights = tuned_weights(load_family(base))
    train = tiny_recipe(tmp_path / "base").train.model_copy(update={"lora": LoraSpec(rank=RANK, alpha=3)})
    add_checkpoint(tmp_path / "run", sandbox_recipe(name="a", base=base, train=train), weights)
    with Run.view(tmp_path / "run") as run:
        export_lora(choose(run), tmp_path / "lora", dialect, LoraOptions())
    found = load_family(with_adapter(base, file=str(tmp_path / "lora"))).weights()
    for key, value in weights.items():
        torch.testing.assert_close(found[key], value, atol=1e-5, rtol=1e-4)
    half = load_family(with_adapter(base, file=str(tmp_path / "lora"), strength=0.5)).weights()
    before = load_family(base).weights()
    for key, value in weights.items():
        torch.testing.assert_close(half[key], (before[key] + value) / 2, atol=1e-5, rtol=1e-4)


def test_its_scale_is_the_one_that_diffusers_reads(file: Path, folder: Path, plain: Family) -> None:
    before = generate(plain, WAN)
    plain.pipeline.load_lora_weights(str(file), adapter_name="it")
    try:
        plain.pipeline.set_adapters("it", 0.7)
        theirs = generate(plain, WAN)
    finally:
        plain.pipeline.unload_lora_weights()
    ours = generate(load_family(with_adapter(WAN.base(folder), file=str(file), strength=0.7)), WAN)
    assert (theirs - before).norm() > 0.01
    assert (ours - theirs).norm() < 1e-3 * (theirs - before).norm()


def test_the_name_of_the_model_follows_from_what_it_is_made_of(file: Path, folder: Path, tmp_path: Path) -> None:
    base = WAN.base(folder)
    known = fingerprint_of(with_adapter(base, file=str(file)))
    assert known == load_family(with_adapter(base, file=str(file))).fingerprint != fingerprint_of(base)
    moved = shutil.copy(file, tmp_path / "elsewhere.safetensors")
    assert fingerprint_of(with_adapter(base, file=str(moved))) == known
    assert fingerprint_of(with_adapter(base, file=str(file), strength=0.5)) != known
    tensors = load_file(moved)
    save_file({name: value + 1 for name, value in tensors.items()}, moved)
    assert fingerprint_of(with_adapter(base, file=str(moved))) != known


def test_each_of_two_transformers_has_its_own(file: Path, tmp_path: Path) -> None:
    tiny = TINY["wan-a14b"]
    base = tiny.base(tiny.save(tmp_path / "base"))
    before, after = load_family(base), load_family(with_adapter(base, file_2=str(file)))
    changed = {name for name, value in after.weights().items() if not torch.equal(value, before.weights()[name])}
    layers = {name.removeprefix("transformer.").partition(".lora_")[0] for name in load_file(file)}
    assert changed == set(named(dict.fromkeys((f"{each}.weight" for each in layers), 0), "transformer_2"))
    assert not after.start_adapter and set(after.tuning("low").start_adapter) == layers


def spoiled(file: Path, target: Path, what: str) -> Path:
    tensors = load_file(file)
    name = next(iter(sorted(tensors)))
    layer = name.partition(".lora_")[0]
    if what == "a DoRA":
        tensors[f"{layer}.lora_magnitude_vector"] = torch.ones(4)
    if what == "a bias":
        tensors[f"{layer}.lora_B.bias"] = torch.ones(4)
    if what == "one factor":
        del tensors[name]
    if what == "another model":
        tensors = {each.replace("blocks.0", "blocks.7"): value for each, value in tensors.items()}
    if what == "another width":
        tensors = {n: torch.cat([v, v], 1) if ".lora_A" in n else v for n, v in tensors.items()}
    if what == "nothing":
        tensors = {}
    save_file(tensors, target)
    return target


@pytest.mark.parametrize("what", ["a DoRA", "a bias", "one factor", "another model", "another width", "nothing"])
def test_what_cannot_be_folded_in_whole_is_refused(what: str, file: Path, folder: Path, tmp_path: Path) -> None:
    path = spoiled(file, tmp_path / "spoiled.safetensors", what)
    with pytest.raises(InputError, match="cannot be used with this model"):
        load_family(with_adapter(WAN.base(folder), file=str(path)))


def test_a_file_that_is_not_there_is_refused(file: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no adapter at base\.lora\.file"):
        fingerprint_of(with_adapter(WAN.base(folder), file=str(tmp_path / "nowhere.safetensors")))
    (tmp_path / "not.safetensors").write_bytes(b"pickle")
    with pytest.raises(InputError, match="no safetensors file"):
        load_family(with_adapter(WAN.base(folder), file=str(tmp_path / "not.safetensors")))
    for name in ("a", "b"):
        shutil.copy(file, tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match=r"holds 3 \.safetensors files"):
        fingerprint_of(with_adapter(WAN.base(folder), file=str(tmp_path)))
    with pytest.raises(InputError, match=r"base\.lora\.file_2"):
        load_family(with_adapter(WAN.base(folder), file_2=str(file)))
