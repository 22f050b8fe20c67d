"""Older diffusers and peft, which people have, read every file that is for diffusers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rushes.export.full import export_pipeline, export_transformer
from rushes.export.hub import HubOptions, export_hub
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.source import choose
from rushes.store.run import Run
from tests.support.other_packages import asked_for, packages
from tests.support.reader_models import Exported, export

SCRIPT: Final = Path(__file__).resolve().parents[2] / "support" / "read_old.py"
CLOSE: Final = 1e-5
"""Weights with an adapter added may differ from the tuned ones by rounding only."""
READERS: Final = ("diffusers-0.33", "diffusers-0.35")
"""The first that has all families, and one that hands the header of a LoRA file to its own PEFT."""
SINGLE: Final = {"wan": True, "hunyuan": False, "ltx": True, "cogvideox-5b": False}
"""By model: whether diffusers reads its merged file. HunyuanVideo's it knows only in the released width."""

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", SINGLE)
def test_older_versions_read_every_file(name: str, tmp_path: Path) -> None:
    folders = {reader: packages(reader) for reader in READERS}
    exported = export(name, tmp_path, "diffusers")
    adapters = {"lora": exported.adapters["diffusers"], "lora-uneven": uneven(tmp_path)}
    files = {**adapters, "folder": tmp_path / "transformer"}
    with Run.view(tmp_path / "run") as run:
        export_transformer(choose(run), files["folder"], 1.0, torch.float32)
    job = write_job(exported, files | ({"single": exported.merged} if SINGLE[name] else {}), tmp_path)
    for reader in READERS:
        found = read(job, folders[reader])
        assert all(f"{each}=={found[each]} " in asked_for(reader) for each in ("diffusers", "peft"))
        assert found["furthest"] and all(distance < CLOSE for distance in found["furthest"].values()), found


def test_older_versions_read_whole_pipelines_and_folders_for_the_hub(
    lora_home: Path, model_folder: Path, tmp_path: Path
) -> None:
    """A finished run's; text encoder and tokenizer of the base are loaded with them."""
    folders = {reader: packages(reader) for reader in READERS}
    with Run.view(lora_home) as run:
        source = choose(run)
        tuned = run.blobs.read_tensors(source.weights)
        export_pipeline(source, tmp_path / "pipeline", 1.0, torch.float32)
        for form in ("lora", "transformer", "pipeline"):
            export_hub(source, tmp_path / f"hub-{form}", HubOptions(repository="a/b", licence="apache-2.0", form=form))
    save_file(tuned, str(tmp_path / "tuned.safetensors"))
    for folder in ("pipeline", "hub-pipeline"):
        name_an_older_tokenizer(tmp_path / folder / "model_index.json")
    files = {
        "pipeline": tmp_path / "pipeline",
        "lora-hub": tmp_path / "hub-lora" / "pytorch_lora_weights.safetensors",
        "folder-hub": tmp_path / "hub-transformer" / "transformer",
        "pipeline-hub": tmp_path / "hub-pipeline",
    }
    job = {
        "transformer_class": "WanTransformer3DModel",
        "pipeline_class": "WanPipeline",
        "base": str(model_folder),
        "files": {name: str(path) for name, path in files.items()},
        "expected": dict.fromkeys(files, str(tmp_path / "tuned.safetensors")),
    }
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    for reader in READERS:
        found = read(tmp_path / "job.json", folders[reader])
        assert found["furthest"].keys() == files.keys()
        assert all(distance < CLOSE for distance in found["furthest"].values()), found


def name_an_older_tokenizer(file: Path) -> None:
    """Released models name classes of transformers 4; the tiny base, whose parts are copied, was saved by 5."""
    index = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(index | {"tokenizer": ["transformers", "PreTrainedTokenizerFast"]}), encoding="utf-8")


def uneven(folder: Path) -> Path:
    """A LoRA file of layers that need different ranks: half of them are near enough with one of their two factors."""
    with Run.view(folder / "run") as run:
        fit = export_lora(choose(run), folder / "one", "diffusers", LoraOptions(rank=1))
        kept = sorted(1 - layer.lost / layer.energy for layer in fit.layers)
        fit = export_lora(choose(run), folder / "uneven", "diffusers", LoraOptions(energy=kept[len(kept) // 2]))
    assert {layer.rank for layer in fit.layers} == {1, 2}
    return next((folder / "uneven").iterdir())


def write_job(exported: Exported, files: dict[str, Path], folder: Path) -> Path:
    """What `read_old.py` is to read, and the weights that each file must give."""
    state = exported.model.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, str(folder / "tuned.safetensors"))
    plain = type(exported.model).from_pretrained(str(folder / "base" / "transformer")).state_dict()
    save_file(added(plain, load_file(files["lora-uneven"])), str(folder / "partly.safetensors"))
    index = json.loads((folder / "base" / "model_index.json").read_text(encoding="utf-8"))
    job = {
        "transformer_class": type(exported.model).__name__,
        "pipeline_class": index["_class_name"],
        "base": str(folder / "base"),
        "files": {name: str(path) for name, path in files.items()},
        "expected": {n: str(folder / f"{'partly' if n == 'lora-uneven' else 'tuned'}.safetensors") for n in files},
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    return folder / "job.json"


def read(job: Path, folder: Path) -> dict[str, Any]:
    """What a process with the packages in `folder` makes of the files."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, str(SCRIPT), str(job)]
    done = subprocess.run(command, cwd=job.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def added(plain: dict[str, Tensor], adapter: dict[str, Tensor]) -> dict[str, Tensor]:
    """W + B A for every layer of an adapter: what its file says at scale 1."""
    weights = {name: value.clone() for name, value in plain.items()}
    for name, A_rI in adapter.items():
        if name.endswith(".lora_A.weight"):
            layer = name.removesuffix(".lora_A.weight")
            weights[f"{layer.removeprefix('transformer.')}.weight"] += adapter[f"{layer}.lora_B.weight"] @ A_rI
    return weights
