"""CogVideoX for ComfyUI, whose names no public Python loader reads: they are written here once more, layer by layer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rushes.errors import InputError
from rushes.export.full import export_merged
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

POSITIONS = "patch_embed.pos_embedding"


def generate(family: Family, tiny: TinyFamily) -> Tensor:
    return family.sample(["a red circle moves up"], [7], tiny.sampler, tiny.shape)


def module_in_diffusers(module: str) -> str:
    """Which layer of diffusers is this one of ComfyUI's CogVideoX."""
    found = re.fullmatch(r"blocks\.(\d+)\.(.+)", module)
    if found is None:
        return module.replace("time_embedding_linear_", "time_embedding.linear_")
    inside = {"q": "attn1.to_q", "k": "attn1.to_k", "v": "attn1.to_v", "attn_out": "attn1.to_out.0"}
    inside |= {"norm_q": "attn1.norm_q", "norm_k": "attn1.norm_k", "ff_proj": "ff.net.0.proj", "ff_out": "ff.net.2"}
    inside |= {name: name for name in ("norm1.linear", "norm1.norm", "norm2.linear", "norm2.norm")}
    return f"transformer_blocks.{found[1]}.{inside[found[2]]}"


@pytest.mark.parametrize("name", ["cogvideox-2b", "cogvideox-5b", "cogvideox-1.5"])
def test_files_for_comfyui_hold_the_tuned_model(name: str, tmp_path: Path) -> None:
    tiny = TINY[name]
    base = tiny.base(tiny.save(tmp_path / "base"))
    family = load_family(base)
    plain = generate(family, tiny)
    network = make_network(family, LoraSpec(rank=2, alpha=3), None, autocast=False)
    generator = torch.Generator().manual_seed(4)
    moved = {each: torch.randn(value.shape, generator=generator) * 0.2 for each, value in network.parameters().items()}
    weights = merged_weights(network, moved)
    train = tiny_recipe(tmp_path / "base").train.model_copy(update={"lora": LoraSpec(rank=2, alpha=3)})
    add_checkpoint(tmp_path / "run", sandbox_recipe(name="a", base=base, train=train), weights)
    with Run.view(tmp_path / "run") as run:
        export_lora(choose(run), tmp_path / "lora", "comfyui", LoraOptions())
        path = export_merged(choose(run), tmp_path / "merged", 1.0, torch.float32)
        with pytest.raises(InputError, match="kohya"):
            export_lora(choose(run), tmp_path / "none", "kohya", LoraOptions())

    file = load_file(path)
    # ComfyUI takes a file without a table of positions for a model with rotary ones.
    assert (POSITIONS in file) == (name == "cogvideox-2b")
    if POSITIONS in file:
        assert torch.equal(file.pop(POSITIONS), family.transformer.patch_embed.pos_embedding.float())
    found = {f"{module_in_diffusers(key.rpartition('.')[0])}.{key.rpartition('.')[2]}": file[key] for key in file}
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[each], weights[each]) for each in weights)

    adapter = load_file(tmp_path / "lora" / "a-comfyui.safetensors")
    state = {each: value.clone() for each, value in family.transformer.state_dict().items()}
    for key in [key for key in adapter if key.endswith(".lora_B.weight")]:
        module = module_in_diffusers(key.removeprefix("diffusion_model.").removesuffix(".lora_B.weight"))
        state[f"{module}.weight"] += adapter[key] @ adapter[key.replace("lora_B", "lora_A")]
    family.load_weights(weights)
    wanted = generate(family, tiny)
    assert (wanted - plain).abs().max() > 0.01
    family.load_weights(state)
    assert (generate(family, tiny) - wanted).norm() < 1e-3 * (wanted - plain).norm()
