"""Let musubi-tuner read what was exported: `python read_musubi.py CHECKOUT JOB.json`. Prints what came of it as JSON.

The job names the files `plain`, `merged`, `adapters` (with one for kohya), and the `family`, wan or hunyuan.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(sys.argv[1]) / "src")]
from missing_stubs import stub_missing

stub_missing(["torchvision"])
import torch
from safetensors.torch import load_file

torch.cuda.current_device = lambda: "cpu"  # the default of an argument, asked for on import
import musubi_tuner.hunyuan_model.models as hunyuan
from musubi_tuner.networks import lora, lora_wan
from musubi_tuner.wan.modules.model import load_wan_model

CPU = torch.device("cpu")
job = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
is_wan = job["family"] == "wan"
WAN = SimpleNamespace(
    i2v=False, flf2v=False, v2_2=False, dim=256, eps=1e-6, ffn_dim=512, freq_dim=256, in_dim=16, num_heads=2,
    num_layers=2, out_dim=16, text_len=512,
)  # fmt: skip
hunyuan.HUNYUAN_VIDEO_CONFIG["HYVideo-T/2-cfgdistill"].update(
    mm_double_blocks_depth=2, mm_single_blocks_depth=2, hidden_size=256, heads_num=2
)
said: list[str] = []


class Listener(logging.Handler):
    """Keeps warnings, and what is said of weights without a place."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING or "no weight" in record.getMessage():
            said.append(record.getMessage()[:300])


def load(path: str, **more: Any) -> Any:
    """A whole model, as its samplers load it."""
    if is_wan:
        return load_wan_model(WAN, CPU, path, "torch", False, CPU, torch.float32, **more)
    return hunyuan.load_transformer(path, "torch", False, CPU, torch.float32)


def weights(model: Any) -> dict[str, torch.Tensor]:
    """What the model computes with now."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def compared(got: dict[str, torch.Tensor]) -> dict[str, Any]:
    """How far weights are from the tuned ones at the file's layers, and whether only those have changed."""
    changed = {name for name in got if not torch.equal(got[name], before[name])}
    wanted = {name for name in got if f"lora_unet_{name.removesuffix('.weight').replace('.', '_')}" in layers}
    return {
        "only_these": changed == wanted and len(wanted) == len(layers),
        "furthest": max(float((got[name] - after[name]).abs().max()) for name in wanted),
        "change": max(float((got[name] - before[name]).abs().max()) for name in wanted),
    }


logging.getLogger().addHandler(Listener())
before, after = weights(load(job["plain"])), weights(load(job["merged"]))
file = load_file(job["merged"])
is_whole = file.keys() == after.keys() and all(torch.equal(after[name], value) for name, value in file.items())
tensors = load_file(job["adapters"]["kohya"])
layers = {name.split(".")[0] for name in tensors}
model = load(job["plain"])
network = (lora_wan if is_wan else lora).create_arch_network_from_weights(1.0, tensors, unet=model, for_inference=True)
network.merge_to(None, model, tensors, device=CPU, non_blocking=True)
result: dict[str, Any] = {"is_whole": is_whole, "num_layers": len(layers), "merge_to": compared(weights(model))}
result["num_modules"] = len(network.unet_loras)
if is_wan:
    model = load(job["plain"], lora_weights_list=[dict(tensors)], lora_multipliers=[1.0])
    result["while_loading"] = compared(weights(model))
print(json.dumps(result | {"said": said}))
