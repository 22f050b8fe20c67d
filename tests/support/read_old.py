"""Let another diffusers and peft read what was exported: `python read_old.py JOB.json`. Prints what came of it as JSON.

The job names the `transformer_class` and `pipeline_class`, the folder `base`, `files` by name, and for each a file with
the weights that are `expected` of it. The beginning of a name says how to read: lora, folder, single, pipeline.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import diffusers
import peft
import torch
from safetensors.torch import load_file

job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
TRANSFORMER, PIPELINE = (getattr(diffusers, job[name]) for name in ("transformer_class", "pipeline_class"))


def with_adapter(path: Path) -> Any:
    """The base model with a LoRA file added to its weights."""
    parts = {name: None for name in inspect.signature(PIPELINE.__init__).parameters if name != "self"}
    model = TRANSFORMER.from_pretrained(job["base"], subfolder="transformer")
    pipeline = PIPELINE(**{**parts, "transformer": model})
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name)
    pipeline.fuse_lora(components=["transformer"])
    return model


def read(name: str, path: Path) -> dict[str, torch.Tensor]:
    """The weights that a file or folder gives."""
    if name.startswith("pipeline"):
        # The tiny base's autoencoder is of Wan 2.2's kind, which diffusers knows from 0.35 on; it is copied as it is.
        model = diffusers.DiffusionPipeline.from_pretrained(str(path), vae=None).transformer
    elif name.startswith("folder"):
        model = TRANSFORMER.from_pretrained(str(path))
    elif name.startswith("single"):
        model = TRANSFORMER.from_single_file(str(path), config=job["base"], subfolder="transformer")
    else:
        model = with_adapter(path)
    state = model.state_dict()
    return {name.replace(".base_layer.", "."): value for name, value in state.items() if ".lora_" not in name}


furthest: dict[str, float] = {}
for name, path in job["files"].items():
    wanted, found = load_file(job["expected"][name]), read(name, Path(path))
    assert found.keys() == wanted.keys(), sorted(found.keys() ^ wanted.keys())[:8]
    furthest[name] = max(float((found[each] - wanted[each]).abs().max()) for each in wanted)
print(json.dumps({"diffusers": diffusers.__version__, "peft": peft.__version__, "furthest": furthest}))
