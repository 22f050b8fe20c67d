"""ComfyUI and musubi-tuner themselves read exported files, where a checkout of them is named.

RUSHES_TEST_COMFYUI, RUSHES_TEST_MUSUBI: folders of their source code; where one is not named its tests are skipped.
RUSHES_TEST_READERS_PYTHON: a Python that has what they need (torch, transformers, einops, ...); else it is this one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.support.reader_models import CONFIGS, Exported, export

SCRIPTS: Final = Path(__file__).resolve().parents[2] / "support"
CLOSE: Final = 1e-5
"""Weights of a file with an adapter added may differ from the tuned ones by rounding only."""
DIALECTS: Final = {"wan": ("comfyui", "kohya")}
"""What ComfyUI is given. Of HunyuanVideo's kohya files it skips layers (docs/export.md)."""

pytestmark = pytest.mark.slow


def checkout(variable: str) -> str:
    found = os.environ.get(variable)
    if not found:
        pytest.skip(f"{variable} names no checkout")
    assert Path(found).is_dir(), f"{variable}: there is no folder {found}"
    return str(Path(found).resolve())


def version_of(root: str) -> str:
    """The version of ComfyUI's source code, for people."""
    file = Path(root) / "comfyui_version.py"
    found = re.search(r'"(.+)"', file.read_text(encoding="utf-8")) if file.is_file() else None
    return found[1] if found else "of an unknown version"


def read(script: str, root: str, exported: Exported, folder: Path, **more: str) -> dict[str, Any]:
    """What a program says of the files, by a process of its own."""
    files = {"plain": str(exported.plain), "merged": str(exported.merged)}
    adapters = {dialect: str(path) for dialect, path in exported.adapters.items()}
    job = folder / "job.json"
    job.write_text(json.dumps({**files, "adapters": adapters, **more}), encoding="utf-8")
    python = os.environ.get("RUSHES_TEST_READERS_PYTHON", sys.executable)
    command = [python, str(SCRIPTS / script), root, str(job)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_comfyui(name: str, tmp_path: Path) -> None:
    root, family = checkout("RUSHES_TEST_COMFYUI"), name.split("-")[0]
    if family == "cogvideox" and not (Path(root) / "comfy" / "ldm" / "cogvideo").is_dir():
        pytest.skip(f"ComfyUI {version_of(root)} is from before CogVideoX (docs/export.md names the first that has it)")
    exported = export(name, tmp_path, *DIALECTS.get(name, ("comfyui",)))
    given = inputs(name)
    save_file(given, str(tmp_path / "inputs.safetensors"))
    paths = {"inputs": str(tmp_path / "inputs.safetensors"), "output": str(tmp_path / "output.safetensors")}
    found = read("read_comfyui.py", root, exported, tmp_path, family=family, **paths)

    assert found["complaints"] == []
    for dialect in exported.adapters:
        adapter = found["adapters"][dialect]
        assert adapter["complaints"] == [], dialect
        # A kohya file holds the blocks only, with an alpha for each layer.
        assert adapter["furthest_changed" if dialect == "kohya" else "furthest"] < CLOSE
        assert adapter["num_changed"] == adapter["num_tensors"] / (3 if dialect == "kohya" else 2) > 10
        assert adapter["change"] > 0.1 and adapter["left_behind"] == 0.0
    output = load_file(paths["output"])
    expected = called(exported.model, family, given, output)
    assert float(expected.std()) > 0.05
    torch.testing.assert_close(output["output"], expected, atol=1e-4, rtol=1e-4)


def inputs(name: str) -> dict[str, Tensor]:
    """What each family's transformer is given: latents B, C, T, H, W, a time, the states of a text."""
    generator = torch.Generator().manual_seed(1)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    time = torch.tensor([437.0])
    if name == "wan":
        return {"x": noise(1, 16, 3, 8, 8), "time": time, "text": noise(1, 512, 4096)}
    if name == "hunyuan":
        given = {"x": noise(1, 16, 3, 8, 8), "time": time, "text": noise(1, 12, 4096)}
        return given | {"pooled": noise(1, 768), "guidance": torch.tensor([6.0])}
    if name == "ltx":
        return {"x": noise(1, 128, 3, 4, 4), "time": time, "text": noise(1, 12, 4096)}
    if name == "cogvideox-2b":  # its table of positions is for this size and length
        return {"x": noise(1, 16, 2, 60, 90), "time": time, "text": noise(1, 226, 96)}
    return {"x": noise(1, 16, 2, 8, 8), "time": time, "text": noise(1, 12, 96)}


@torch.no_grad()
def called(model: Any, family: str, given: dict[str, Tensor], output: dict[str, Tensor]) -> Tensor:
    """The tuned transformer of diffusers on the same inputs, B, C, T, H, W."""
    x, time, text = given["x"], given["time"], given["text"]
    if family == "hunyuan":
        mask = torch.ones(1, text.shape[1], dtype=torch.bool)
        guidance = 1000 * given["guidance"]
        return model(x, time, text, mask, given["pooled"], guidance=guidance, return_dict=False)[0]
    if family == "ltx":
        frames, height, width = x.shape[2:]
        flat = model(
            x.flatten(2).transpose(1, 2), text, time, torch.ones(1, text.shape[1]), num_frames=frames, height=height,
            width=width, rope_interpolation_scale=(8 / 25, 32, 32), return_dict=False,
        )[0]  # fmt: skip
        return flat.transpose(1, 2).reshape(x.shape)
    if family == "cogvideox":
        rotary = (output["cos"], output["sin"]) if "cos" in output else None
        frames_first = x.transpose(1, 2)
        return model(frames_first, text, time, image_rotary_emb=rotary, return_dict=False)[0].transpose(1, 2)
    return model(x, time, text, return_dict=False)[0]


@pytest.mark.parametrize("name", ["wan", "hunyuan"])
def test_musubi_tuner(name: str, tmp_path: Path) -> None:
    root = checkout("RUSHES_TEST_MUSUBI")
    exported = export(name, tmp_path, "kohya")
    found = read("read_musubi.py", root, exported, tmp_path, family=name)
    assert found["is_whole"] and found["said"] == []
    assert found["num_modules"] == found["num_layers"] > 10
    for way in {"wan": ("merge_to", "while_loading"), "hunyuan": ("merge_to",)}[name]:
        assert found[way]["only_these"], way
        assert found[way]["furthest"] < CLOSE and found[way]["change"] > 0.1
