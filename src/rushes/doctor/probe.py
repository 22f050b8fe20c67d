"""Import libraries in a separate process and print the results, so that a crash there does not end the caller.

Run as a script: `python probe.py torch av ...`. Prints one JSON object a line: {"name": ..., "starting": true} before
each import, then {"name": ..., "error": null or text, "facts": {...}}.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

Facts = dict[str, Any]


def probe_torch() -> Facts:
    """Version, accelerators, and whether the CPU has fast bfloat16."""
    import torch

    devices = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            devices.append(f"cuda:{index} {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        devices.append("mps")
    has = [name for name in ("amx_tile", "avx512_bf16") if getattr(torch.cpu, f"_is_{name}_supported", lambda: False)()]
    if not has and getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)():
        has = ["avx512, emulated"]
    return {"devices": devices, "num_threads": torch.get_num_threads(), "cpu_bfloat16": has, "cuda": torch.version.cuda}


def probe_diffusers() -> Facts:
    """The pipeline class, which imports transformers, safetensors and accelerate as a run does."""
    from diffusers import AutoencoderKLWan, WanPipeline, WanTransformer3DModel

    return {"classes": [one.__name__ for one in (WanPipeline, WanTransformer3DModel, AutoencoderKLWan)]}


def probe_transformers() -> Facts:
    """The text encoder of Wan, and the image processor, which a broken torchvision breaks too."""
    from transformers import AutoTokenizer, CLIPImageProcessor, UMT5EncoderModel

    return {"classes": [one.__name__ for one in (UMT5EncoderModel, AutoTokenizer, CLIPImageProcessor)]}


def probe_av() -> Facts:
    """Which codecs PyAV can write and read."""
    from av.codec import Codec

    def has(name: str, mode: str) -> bool:
        with contextlib.suppress(Exception):
            return Codec(name, mode) is not None
        return False

    writes = [name for name in ("libx264", "ffv1") if has(name, "w")]
    reads = [name for name in ("h264", "hevc", "vp9", "av1", "mpeg4", "ffv1") if has(name, "r")]
    return {"writes": writes, "reads": reads}


PROBES: dict[str, Callable[[], Facts]] = {
    "torch": probe_torch,
    "diffusers": probe_diffusers,
    "transformers": probe_transformers,
    "av": probe_av,
}


def main(names: list[str]) -> None:
    """Import each, and print a line before and after."""
    for name in names:
        print(json.dumps({"name": name, "starting": True}), flush=True)
        error: str | None = None
        facts: Facts = {}
        try:
            facts = (
                PROBES[name]() if name in PROBES else {"file": getattr(importlib.import_module(name), "__file__", None)}
            )
        except BaseException as raised:  # a probe must report whatever happens, a library's SystemExit included
            error = f"{type(raised).__name__}: {raised}".strip()[:500]
        print(json.dumps({"name": name, "error": error, "facts": facts}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
