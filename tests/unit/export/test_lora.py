"""An exported adapter, loaded by the public loader: the tuned clip, undone by unloading; what cannot be exported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import WanPipeline
from safetensors import safe_open
from safetensors.torch import load_file

from rushes.errors import InputError
from rushes.export.base import Base
from rushes.export.dialects import Dialect, check_matches, write_adapter
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.lowrank import LowRank
from rushes.export.source import Source
from tests.unit.export.conftest import RANK, generate, load, tuned_pipeline


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("dialect", ["diffusers", "comfyui", "kohya"])
def test_adapter_generates_the_tuned_clip_and_can_be_unloaded(
    dialect: Dialect, lora: Source, model_folder: Path, tmp_path: Path
) -> None:
    fit = export_lora(lora, tmp_path / "out", dialect, LoraOptions())
    wanted, plain = generate(tuned_pipeline(lora, model_folder)), generate(load(model_folder))
    pipeline = load(model_folder)
    pipeline.load_lora_weights(str(tmp_path / "out"), weight_name=files_in(tmp_path / "out")[0])
    found = generate(pipeline)
    assert (wanted - plain).abs().max() > 0.05, "the tuned model must differ, or the test shows nothing"
    assert torch.allclose(found, wanted, atol=2e-5), (found - wanted).abs().max()
    assert fit.relative_error < 1e-4
    pipeline.unload_lora_weights()
    assert torch.equal(generate(pipeline), plain)


def test_diffusers_folder_is_named_and_described_as_diffusers_expects(lora: Source, tmp_path: Path) -> None:
    export_lora(lora, tmp_path / "out", "diffusers", LoraOptions())
    assert files_in(tmp_path / "out") == ["pytorch_lora_weights.safetensors"]
    state, metadata = WanPipeline.lora_state_dict(str(tmp_path / "out"), return_lora_metadata=True)
    assert all(name.startswith("transformer.blocks.") for name in state)
    # Two rounds of rank 4: their sum has rank 8, and alpha equals the rank.
    assert metadata["transformer.r"] == metadata["transformer.lora_alpha"] == 2 * RANK
    # Readers hand every entry to their own LoraConfig: one that they do not know makes the file unreadable.
    assert metadata.keys() == {f"transformer.{name}" for name in ("r", "lora_alpha", "rank_pattern", "target_modules")}
    names = {name.removeprefix("transformer.").partition(".lora_")[0] for name in state}
    assert metadata["transformer.target_modules"] == sorted(names)


@pytest.mark.parametrize("dialect", ["diffusers", "comfyui", "kohya"])
def test_the_same_adapter_is_the_same_file(dialect: Dialect, lora: Source, tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        export_lora(lora, tmp_path / name, dialect, LoraOptions())
        written.append(next((tmp_path / name).iterdir()).read_bytes())
    assert written[0] == written[1]


def test_strength_is_in_the_factors(lora: Source, model_folder: Path, tmp_path: Path) -> None:
    export_lora(lora, tmp_path / "whole", "diffusers", LoraOptions())
    export_lora(lora, tmp_path / "half", "diffusers", LoraOptions(strength=0.5))
    dialled, baked = load(model_folder), load(model_folder)
    dialled.load_lora_weights(str(tmp_path / "whole"), adapter_name="tuned")
    dialled.set_adapters(["tuned"], [0.5])
    baked.load_lora_weights(str(tmp_path / "half"))
    assert torch.allclose(generate(baked), generate(dialled), atol=2e-5)


def test_strength_zero_is_the_base(lora: Source, model_folder: Path, tmp_path: Path) -> None:
    export_lora(lora, tmp_path / "none", "diffusers", LoraOptions(strength=0.0))
    pipeline = load(model_folder)
    pipeline.load_lora_weights(str(tmp_path / "none"))
    assert torch.allclose(generate(pipeline), generate(load(model_folder)), atol=1e-6)


def test_bfloat16_file_is_half_as_large_and_nearly_the_same(lora: Source, model_folder: Path, tmp_path: Path) -> None:
    export_lora(lora, tmp_path / "out", "diffusers", LoraOptions(dtype=torch.bfloat16))
    state = load_file(tmp_path / "out" / "pytorch_lora_weights.safetensors")
    assert {value.dtype for value in state.values()} == {torch.bfloat16}
    pipeline = load(model_folder)
    pipeline.load_lora_weights(str(tmp_path / "out"))
    wanted, plain = generate(tuned_pipeline(lora, model_folder)), generate(load(model_folder))
    assert (generate(pipeline) - wanted).norm() < 0.05 * (wanted - plain).norm()


def test_full_weights_are_extracted_with_the_error_that_is_reported(
    full: Source, model_folder: Path, tmp_path: Path
) -> None:
    low = export_lora(full, tmp_path / "low", "diffusers", LoraOptions(rank=2))
    high = export_lora(full, tmp_path / "high", "diffusers", LoraOptions(rank=1000))
    assert 0 < high.relative_error < low.relative_error < 1
    assert all(layer.rank == 2 for layer in low.layers)
    # At full rank everything but what has no place in an adapter is exact.
    assert high.lost == pytest.approx(sum(high.left_out.values()), rel=1e-6)
    before = load(model_folder).transformer.state_dict()
    after = full.run.blobs.read_tensors(full.weights)
    fused = load(model_folder)
    fused.load_lora_weights(str(tmp_path / "low"))
    fused.fuse_lora()
    fused.unload_lora_weights()
    missing = sum(float((after[n] - value).square().sum()) for n, value in fused.transformer.state_dict().items())
    change = sum(float((after[name] - before[name]).square().sum()) for name in before)
    assert low.relative_error == pytest.approx((missing / change) ** 0.5, rel=1e-4)


def test_energy_chooses_a_rank_for_each_layer_and_the_file_has_the_highest(
    full: Source, model_folder: Path, tmp_path: Path
) -> None:
    """Readers from before there was a header scale layers of another rank wrongly, and say nothing."""
    fit = export_lora(full, tmp_path / "out", "diffusers", LoraOptions(energy=0.7))
    assert len({layer.rank for layer in fit.layers}) > 1
    assert all(layer.lost <= 0.3 * layer.energy * (1 + 1e-5) for layer in fit.layers)
    pipeline = load(model_folder)
    pipeline.load_lora_weights(str(tmp_path / "out"))
    adapted = {name: module for name, module in pipeline.transformer.named_modules() if hasattr(module, "scaling")}
    assert adapted.keys() == {layer.name for layer in fit.layers}
    assert {module.r["default_0"] for module in adapted.values()} == {fit.max_rank}
    assert {scale for module in adapted.values() for scale in module.scaling.values()} == {1.0}


def test_kohya_file_has_every_layer_its_alpha_and_nothing_else(full: Source, tmp_path: Path) -> None:
    export_lora(full, tmp_path / "out", "kohya", LoraOptions(rank=3))
    with safe_open(tmp_path / "out" / "tiny-kohya.safetensors", "pt") as file:
        names, alpha = set(file.keys()), file.get_tensor("lora_unet_blocks_0_self_attn_q.alpha")
        assert file.metadata()["ss_network_dim"] == "3"
    parts = [f"{kind}_attn_{letter}" for kind in ("self", "cross") for letter in "qkvo"] + ["ffn_0", "ffn_2"]
    ends = ("lora_down.weight", "lora_up.weight", "alpha")
    assert names == {f"lora_unet_blocks_0_{part}.{end}" for part in parts for end in ends}
    assert alpha == 3


def test_bfloat16_does_not_round_the_alphas_of_a_kohya_file(base: Base, tmp_path: Path) -> None:
    """259 would become 260, and readers would add 260 / 259 of the change."""
    num_outputs, num_inputs = base.empty_transformer().get_submodule("blocks.0.attn1.to_q").weight.shape
    adapter = {"blocks.0.attn1.to_q": LowRank(torch.ones(259, num_inputs), torch.ones(num_outputs, 259))}
    path = write_adapter(tmp_path, adapter, base, "kohya", torch.bfloat16, file_name="a.safetensors", header={})
    file = load_file(path)
    down, alpha = (file[f"lora_unet_blocks_0_self_attn_q.{end}"] for end in ("lora_down.weight", "alpha"))
    assert down.dtype == torch.bfloat16 and alpha == len(down) == 259


def test_file_names_itself_after_the_run_without_leaving_the_folder(lora: Source, tmp_path: Path) -> None:
    export_lora(lora, tmp_path / "out", "comfyui", LoraOptions())
    assert files_in(tmp_path / "out") == ["Night--shoot-----one-comfyui.safetensors"]


def test_full_weights_are_not_an_adapter_by_themselves(full: Source, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tuned all weights") as caught:
        export_lora(full, tmp_path / "out", "diffusers", LoraOptions())
    assert "--rank" in str(caught.value) and "rushes export transformer" in str(caught.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (LoraOptions(strength=-0.1), "strength"),
        (LoraOptions(strength=float("nan")), "strength"),
        (LoraOptions(rank=0), "rank"),
        (LoraOptions(energy=0.0), "energy"),
        (LoraOptions(energy=1.5), "energy"),
    ],
)
def test_impossible_options(options: LoraOptions, said: str, lora: Source, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        export_lora(lora, tmp_path / "out", "diffusers", options)


def test_a_folder_with_something_in_it_is_left_alone(lora: Source, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is not empty[\s\S]*mine.txt"):
        export_lora(lora, tmp_path, "diffusers", LoraOptions())
    assert files_in(tmp_path) == ["mine.txt"]


def test_adapter_that_matches_no_layer() -> None:
    with pytest.raises(InputError, match="matches no layer"):
        check_matches(["unet.down.0"], ["blocks.0.attn1.to_q"], "wan")
    with pytest.raises(InputError, match="matches no layer"):
        check_matches([], ["blocks.0.attn1.to_q"], "wan")
    with pytest.raises(InputError, match="1 of 2 layers that the base model lacks"):
        check_matches(["unet.down.0", "a"], ["a"], "wan")
