"""All tuned weights, loaded by the public loaders: the tuned clip, bit for bit where nothing was rounded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline, WanTransformer3DModel
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from safetensors.torch import load_file

from rushes.errors import InputError
from rushes.export.full import export_merged, export_pipeline, export_transformer
from rushes.export.native import kohya_file, native_names
from rushes.export.source import Source, choose
from rushes.store.run import Run
from rushes.store.sums import write_summed
from tests.support.tiny_recipe import tiny_recipe
from tests.unit.export.conftest import add_checkpoint, generate, load, moved, tuned_pipeline


def test_transformer_folder_generates_the_tuned_clip(full: Source, model_folder: Path, tmp_path: Path) -> None:
    export_transformer(full, tmp_path / "transformer", 1.0, torch.float32)
    pipeline = load(model_folder)
    plain = generate(pipeline)
    pipeline.transformer = WanTransformer3DModel.from_pretrained(str(tmp_path / "transformer"))
    found = generate(pipeline)
    assert torch.equal(found, generate(tuned_pipeline(full, model_folder)))
    assert (found - plain).abs().max() > 0.05


def test_pipeline_folder_is_whole(full: Source, model_folder: Path, tmp_path: Path) -> None:
    export_pipeline(full, tmp_path / "out", 1.0, torch.float32)
    pipeline = DiffusionPipeline.from_pretrained(str(tmp_path / "out"))
    pipeline.set_progress_bar_config(disable=True)
    assert type(pipeline).__name__ == "WanPipeline"
    assert torch.equal(generate(pipeline), generate(tuned_pipeline(full, model_folder)))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in model_folder.iterdir()}


def test_merged_file_is_read_as_an_original_one(full: Source, model_folder: Path, tmp_path: Path) -> None:
    path = export_merged(full, tmp_path / "out", 1.0, torch.float32)
    loaded = WanTransformer3DModel.from_single_file(str(path), config=str(model_folder), subfolder="transformer")
    pipeline = load(model_folder)
    wanted = full.run.blobs.read_tensors(full.weights)
    assert all(torch.equal(value, wanted[name]) for name, value in loaded.state_dict().items())
    pipeline.transformer = loaded.eval()
    assert torch.allclose(generate(pipeline), generate(tuned_pipeline(full, model_folder)), atol=1e-5)
    names = set(load_file(path))
    assert {"head.modulation", "head.head.weight", "blocks.0.modulation", "blocks.0.self_attn.o.weight"} <= names


def test_half_the_strength_is_half_way(full: Source, model_folder: Path, tmp_path: Path) -> None:
    export_transformer(full, tmp_path / "half", 0.5, torch.float32)
    found = WanTransformer3DModel.from_pretrained(str(tmp_path / "half")).state_dict()
    before, after = load(model_folder).transformer.state_dict(), full.run.blobs.read_tensors(full.weights)
    for name, value in found.items():
        assert torch.allclose(value, (before[name] + after[name]) / 2, atol=1e-6)


def test_bfloat16_keeps_in_float32_what_the_family_needs(full: Source, tmp_path: Path) -> None:
    export_transformer(full, tmp_path / "out", 1.0, torch.bfloat16)
    state = load_file(tmp_path / "out" / "diffusion_pytorch_model.safetensors")
    assert state["blocks.0.attn1.to_q.weight"].dtype == torch.bfloat16
    assert state["scale_shift_table"].dtype == state["blocks.0.norm2.weight"].dtype == torch.float32
    assert state["condition_embedder.time_embedder.linear_1.weight"].dtype == torch.float32


@pytest.mark.parametrize("strength", [-1.0, 5.0, float("inf")])
def test_strength_out_of_range(strength: float, full: Source, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="strength"):
        export_transformer(full, tmp_path / "out", strength, torch.float32)
    assert not any(tmp_path.iterdir())


def test_native_names_are_the_inverse_of_how_diffusers_reads_wan() -> None:
    """For every weight of a transformer with image inputs too, where all the names are."""
    with torch.device("meta"):
        names = list(WanTransformer3DModel(num_layers=2, image_dim=8, added_kv_proj_dim=8, ffn_dim=8).state_dict())
    rename = native_names("WanTransformer3DModel")
    original = {rename(name): torch.zeros(0) for name in names}
    assert len(original) == len(names)
    assert set(convert_wan_transformer_to_diffusers(original)) == set(names)
    assert rename("blocks.1.norm2.weight") == "blocks.1.norm3.weight"


def test_native_names_of_ltx() -> None:
    from diffusers import LTXVideoTransformer3DModel
    from diffusers.loaders.single_file_utils import convert_ltx_transformer_checkpoint_to_diffusers

    with torch.device("meta"):
        names = list(LTXVideoTransformer3DModel(num_layers=2).state_dict())
    rename = native_names("LTXVideoTransformer3DModel")
    original = {f"model.diffusion_model.{rename(name)}": torch.zeros(0) for name in names}
    assert set(convert_ltx_transformer_checkpoint_to_diffusers(original)) == set(names)
    assert "proj_in.weight" in names and rename("proj_in.weight") == "patchify_proj.weight"


def test_families_whose_names_are_not_known() -> None:
    with pytest.raises(InputError, match=r"ComfyUI[\s\S]*rushes export transformer"):
        native_names("MochiTransformer3DModel")
    with pytest.raises(InputError, match="kohya"):
        kohya_file("LTXVideoTransformer3DModel")


def test_a_base_that_changed_since_is_noticed(model_folder: Path, tmp_path: Path) -> None:
    add_checkpoint(tmp_path / "run", tiny_recipe(model_folder), moved(model_folder), parent="0" * 64)
    with Run.view(tmp_path / "run") as run, pytest.raises(InputError, match="has changed since the run"):
        export_transformer(choose(run), tmp_path / "out", 1.0, torch.float32)


def test_weights_of_another_model_are_refused(model_folder: Path, tmp_path: Path) -> None:
    weights = moved(model_folder)
    weights["extra.weight"] = weights.pop("proj_out.bias")
    add_checkpoint(tmp_path / "run", tiny_recipe(model_folder), weights)
    with Run.view(tmp_path / "run") as run, pytest.raises(InputError, match=r"do not match[\s\S]*extra.weight"):
        export_transformer(choose(run), tmp_path / "out", 1.0, torch.float32)


def test_a_base_that_is_gone(model_folder: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(model_folder)
    add_checkpoint(tmp_path / "run", recipe, moved(model_folder))
    file = tmp_path / "run" / "recipe.yaml"
    write_summed(file, file.read_bytes().replace(str(model_folder).encode(), str(tmp_path / "gone").encode()))
    with (
        Run.view(tmp_path / "run") as run,
        pytest.raises(InputError, match="neither a local folder nor a model on the Hub"),
    ):
        export_transformer(choose(run), tmp_path / "out", 1.0, torch.float32)
