"""HunyuanVideo for ComfyUI and kohya's tools: layers that are several in diffusers are one in its own code.

diffusers reads its whole files and, with flaws, its LoRA files, but for the released width only: the width is a number
in its readers, which the tests put right for the tiny model. How ComfyUI and musubi-tuner find a layer by its name is
written here once more, as they do it: W + (alpha / r) B A.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

import pytest
import torch
from diffusers import HunyuanVideoPipeline, HunyuanVideoTransformer3DModel
from diffusers.loaders import lora_conversion_utils, single_file_utils
from safetensors.torch import load_file
from torch import Tensor

from rushes.export.base import Base
from rushes.export.dialects import adaptable_layers, write_adapter
from rushes.export.full import export_merged
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.lowrank import LowRank
from rushes.export.source import choose
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.recipe.train import LoraSpec
from rushes.store.run import Run
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import tiny_recipe
from tests.unit.export.conftest import add_checkpoint

TINY_WIDTH, RELEASED_WIDTH, RANK = 32, 3072, 2
NAME = "HunyuanVideoTransformer3DModel"


@dataclass(frozen=True)
class Tuned:
    """A tiny model, tuned in every linear layer."""

    folder: Path
    home: Path
    family: Family
    plain: Tensor
    """A clip of the base."""
    weights: dict[str, Tensor]
    """Those of the checkpoint."""


def generate(family: Family) -> Tensor:
    tiny = TINY["hunyuan"]
    return family.sample(["a red circle moves up"], [7], tiny.sampler, tiny.shape)


def tune(family: Family, where: str) -> dict[str, Tensor]:
    """Every linear layer whose name begins so, changed by a product of rank 2."""
    generator = torch.Generator().manual_seed(4)
    weights = {name: value.clone() for name, value in family.transformer.state_dict().items()}
    for name, module in family.transformer.named_modules():
        if isinstance(module, torch.nn.Linear) and re.match(where, name):
            num_outputs, num_inputs = module.weight.shape
            up, down = torch.randn(num_outputs, RANK, generator=generator), torch.randn(RANK, num_inputs)
            weights[f"{name}.weight"] += 0.1 * up @ (down * 0.5)
    return weights


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return make(tmp_path_factory.mktemp("every"), "")


def make(folder: Path, where: str) -> Tuned:
    tiny = TINY["hunyuan"]
    base = tiny.base(tiny.save(folder / "base"))
    family = load_family(base)
    torch.manual_seed(1)
    weights = tune(family, where)
    train = tiny_recipe(folder / "base").train.model_copy(update={"lora": LoraSpec(rank=RANK, alpha=RANK)})
    add_checkpoint(folder / "run", sandbox_recipe(name="a", base=base, train=train), weights)
    return Tuned(folder / "base", folder / "run", family, generate(family), weights)


@pytest.fixture
def tiny_width(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The released width, where diffusers' readers have it as a number, replaced by the tiny model's."""
    readers = (
        lora_conversion_utils._convert_hunyuan_video_lora_to_diffusers,
        single_file_utils.convert_hunyuan_video_transformer_to_diffusers,
    )
    for reader in readers:
        assert isinstance(reader, FunctionType)
        changed = with_width(reader.__code__)
        assert changed != reader.__code__, "diffusers no longer has the width as a number: this fixture can go"
        monkeypatch.setattr(reader, "__code__", changed)
    yield


def with_width(code: CodeType) -> CodeType:
    constants = tuple(
        with_width(each) if isinstance(each, CodeType) else TINY_WIDTH if each == RELEASED_WIDTH else each
        for each in code.co_consts
    )
    return code.replace(co_consts=constants)


def merged(tuned: Tuned, target: Path, strength: float) -> Path:
    with Run.view(tuned.home) as run:
        return export_merged(choose(run), target, strength, torch.float32)


def test_merged_file_is_read_by_diffusers_to_the_bit(tuned: Tuned, tmp_path: Path, tiny_width: None) -> None:
    path = merged(tuned, tmp_path / "merged", 1.0)
    read = HunyuanVideoTransformer3DModel.from_single_file(
        str(path), config=str(tuned.folder), subfolder="transformer"
    ).state_dict()
    assert read.keys() == tuned.weights.keys()
    assert all(torch.equal(read[name], tuned.weights[name]) for name in read)


def comfyui_adds_to(layer: str) -> str:
    """Which layer of a HunyuanVideo file ComfyUI means by a LoRA's name, and none where it would warn and go on.

    Its own modules are named a little differently from the file's; most may be called by either name, the embedders
    only by its own.
    """
    embedder = r"(time_in|guidance_in|txt_in\.t_embedder|txt_in\.c_embedder)\.(.*)"
    found = re.fullmatch(embedder, layer)
    if found is None:
        return layer
    assert found[2] in ("in_layer", "out_layer"), f"ComfyUI does not know {layer}"
    names = ("linear_1", "linear_2") if found[1].endswith("c_embedder") else ("mlp.0", "mlp.2")
    return f"{found[1]}.{names[found[2] == 'out_layer']}"


def test_comfyui_file_makes_the_tuned_weights(tuned: Tuned, tmp_path: Path) -> None:
    before, after = (load_file(merged(tuned, tmp_path / f"at {s}", s)) for s in (0.0, 1.0))
    with Run.view(tuned.home) as run:
        fit = export_lora(choose(run), tmp_path / "lora", "comfyui", LoraOptions())
    file = load_file(tmp_path / "lora" / "a-comfyui.safetensors")
    assert fit.relative_error < 1e-3 and not fit.left_out
    for name, up in file.items():
        if name.endswith(".lora_B.weight"):
            layer = name.removeprefix("diffusion_model.").removesuffix(".lora_B.weight")
            before[f"{comfyui_adds_to(layer)}.weight"] += up @ file[name.replace("lora_B", "lora_A")]
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in after)


def test_kohya_file_makes_the_tuned_blocks(tuned: Tuned, tmp_path: Path) -> None:
    """musubi-tuner trains the two kinds of blocks without their modulation, and looks for no other layer."""
    before, after = (load_file(merged(tuned, tmp_path / f"at {s}", s)) for s in (0.0, 1.0))
    with Run.view(tuned.home) as run:
        fit = export_lora(choose(run), tmp_path / "lora", "kohya", LoraOptions())
    file = load_file(tmp_path / "lora" / "a-kohya.safetensors")
    assert any("token_refiner" in name for name in fit.left_out), "what has no place must be reported"
    used = set()
    for name in [name for name in before if name.endswith(".weight")]:
        key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
        if f"{key}.lora_up.weight" not in file:
            continue
        down, up, alpha = (file[f"{key}.{part}"] for part in ("lora_down.weight", "lora_up.weight", "alpha"))
        before[name] += alpha / len(down) * up @ down
        used |= {f"{key}.{part}" for part in ("lora_down.weight", "lora_up.weight", "alpha")}
        assert torch.allclose(before[name], after[name], atol=1e-5), name
    assert used == set(file)
    parts = [f"double_blocks_0_{kind}_{end}" for kind in ("img", "txt") for end in ("attn_qkv", "attn_proj")]
    parts += [f"double_blocks_0_{kind}_mlp_fc{number}" for kind in ("img", "txt") for number in (1, 2)]
    parts += ["single_blocks_0_linear1", "single_blocks_0_linear2"]
    assert {name.split(".")[0] for name in file} == {f"lora_unet_{part}" for part in parts}


def test_diffusers_generates_the_tuned_clip_from_a_comfyui_file(tmp_path: Path, tiny_width: None) -> None:
    """Of the blocks; it reads wrongly what is changed in the text refiner and in the last modulation."""
    tuned = make(tmp_path, "(single_)?transformer_blocks")
    with Run.view(tuned.home) as run:
        export_lora(choose(run), tmp_path / "lora", "comfyui", LoraOptions())
    pipeline = tuned.family.pipeline
    pipeline.load_lora_weights(str(tmp_path / "lora"), weight_name="a-comfyui.safetensors")
    found = generate(tuned.family)
    pipeline.unload_lora_weights()
    assert torch.equal(generate(tuned.family), tuned.plain)
    tuned.family.load_weights(tuned.weights)
    wanted = generate(tuned.family)
    assert (wanted - tuned.plain).abs().max() > 0.01
    assert (found - wanted).norm() < 1e-3 * (wanted - tuned.plain).norm()


def test_comfyui_file_of_the_released_width_is_read_by_diffusers(tmp_path: Path) -> None:
    """The readers as they are; 3072 wide, one block of each kind, factors of rank 1."""
    config = {"_class_name": NAME, "num_layers": 1, "num_single_layers": 1, "num_refiner_layers": 1}
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "HunyuanVideoPipeline"}))
    base = Base(tmp_path, "released", is_on_hub=False)
    empty = base.empty_transformer()
    layers = [n for n in adaptable_layers(empty, base, "comfyui") if re.match(r"(single_)?transformer_blocks\.", n)]
    generator = torch.Generator().manual_seed(0)
    adapter = {}
    for name in layers:
        num_outputs, num_inputs = empty.get_submodule(name).weight.shape
        down, up = torch.randn(1, num_inputs, generator=generator), torch.randn(num_outputs, 1, generator=generator)
        adapter[name] = LowRank(down, up)
    write_adapter(tmp_path, adapter, base, "comfyui", torch.float32, file_name="a.safetensors", header={})
    state = HunyuanVideoPipeline.lora_state_dict(str(tmp_path), weight_name="a.safetensors")
    ends = (".lora_A.weight", ".lora_B.weight")
    assert set(state) == {f"transformer.{name}{end}" for name in layers for end in ends}
    for name, factors in adapter.items():
        down, up = (state[f"transformer.{name}{end}"] for end in ends)
        x = torch.randn(factors.A_rI.shape[1], generator=generator)
        assert torch.allclose(up @ (down @ x), factors.B_Or @ (factors.A_rI @ x), rtol=1e-4, atol=1e-3), name
