"""Let ComfyUI read what was exported: `python read_comfyui.py CHECKOUT JOB.json`. Prints what came of it as JSON.

The job names the files `plain`, `merged`, `adapters` (by dialect), `inputs`, `output`, and the `family`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), sys.argv[1]]
from missing_stubs import stub_missing

NOT_OURS = ("torchvision", "torchaudio", "comfy_angle", "kornia", "spandrel", "aiohttp", "alembic", "sqlalchemy")
stub_missing([*NOT_OURS, "pydantic_settings", "server"])
job = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options

comfy.options.enable_args_parsing()
import comfy.sd
import comfy.utils
import torch
from safetensors.torch import load_file, save_file

said: list[str] = []


class Listener(logging.Handler):
    """Keeps what ComfyUI says of keys."""

    def emit(self, record: logging.LogRecord) -> None:
        said.append(record.getMessage())


def complaints() -> list[str]:
    """What it said since the last call of tensors that it could not place, or did not find."""
    found = [
        each[:300] for each in said if any(word in each.lower() for word in ("not loaded", "missing", "unet unexp"))
    ]
    said.clear()
    return found


def load(path: str) -> Any:
    """A whole model, as the node "Load Diffusion Model" does it."""
    newer = "disable_dynamic" in comfy.sd.load_diffusion_model.__code__.co_varnames
    more = {"disable_dynamic": True} if newer else {}
    return comfy.sd.load_diffusion_model(path, model_options={"dtype": torch.float32}, **more)


def weights(patcher: Any) -> dict[str, torch.Tensor]:
    """What the model computes with now."""
    state = patcher.model.state_dict()
    return {name: value.detach().clone() for name, value in state.items() if name.startswith("diffusion_model.")}


def furthest(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], names: Iterable[str]) -> float:
    """Largest difference of two states of one model at these weights."""
    return max((float((a[name] - b[name]).abs().max()) for name in names), default=0.0)


def forward(model: Any, family: str, given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One call of the model, and the rotary positions it took where diffusers wants to be given them."""
    x, time, text = given["x"], given["time"], given["text"]
    if family == "hunyuan":
        return {"output": model(x, time, text, y=given["pooled"], guidance=given["guidance"])}
    if family == "ltx":
        return {"output": model(x, time / 1000, text, None, frame_rate=25)}
    if family == "cogvideox" and model.use_rotary_positional_embeddings:
        frames = x.shape[2] // (model.patch_size_t or 1)
        cos, sin = model._get_rotary_emb(x.shape[3] // 2, x.shape[4] // 2, frames, x.device)
        return {"output": model(x, time, text), "cos": cos.contiguous(), "sin": sin.contiguous()}
    return {"output": model(x, time, text)}


logging.getLogger().addHandler(Listener())
logging.getLogger().setLevel(logging.INFO)
plain, merged = load(job["plain"]), load(job["merged"])
before, after = weights(plain), weights(merged)
result: dict[str, Any] = {"model": type(merged.model).__name__, "complaints": complaints(), "adapters": {}}
for dialect, path in job["adapters"].items():
    tensors = comfy.utils.load_torch_file(path, safe_load=True)
    patcher, _ = comfy.sd.load_lora_for_models(plain, None, dict(tensors), 1.0, 0)
    patcher.patch_model()
    patched = weights(patcher)
    patcher.unpatch_model()
    changed = [name for name in patched if not torch.equal(patched[name], before[name])]
    result["adapters"][dialect] = {
        "complaints": complaints(),
        "num_tensors": len(tensors),
        "num_changed": len(changed),
        "furthest": furthest(patched, after, patched),
        "furthest_changed": furthest(patched, after, changed),
        "change": furthest(patched, before, changed),
        "left_behind": furthest(weights(plain), before, before),
    }
with torch.no_grad():
    outputs = forward(merged.model.diffusion_model, job["family"], load_file(job["inputs"]))
save_file({name: value.contiguous() for name, value in outputs.items()}, job["output"])
print(json.dumps(result))
