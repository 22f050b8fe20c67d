"""LoRA and merged files have the names that ComfyUI and musubi-tuner have in their own source, in a table beside this.

HunyuanVideo and CogVideoX have such tests of their own (`test_hunyuan_files.py`, `test_cogvideox_files.py`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from tests.support.reader_models import export

NAMES: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("reader_names.yaml").read_text(encoding="utf-8"))
NUM_BLOCKS = 2
FORMS = {
    "comfyui": ("diffusion_model.", ".", (".lora_A.weight", ".lora_B.weight")),
    "kohya": ("lora_unet_", "_", (".lora_down.weight", ".lora_up.weight", ".alpha")),
}
"""What stands before a layer, what joins its parts, and what follows it."""

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("family", "dialects"), [("wan", ("comfyui", "kohya")), ("ltx", ("comfyui",))])
def test_every_name_is_one_of_the_readers_own(family: str, dialects: tuple[str, ...], tmp_path: Path) -> None:
    exported = export(family, tmp_path, *dialects)
    layers = {name.replace(".N.", f".{block}.") for name in NAMES[family] for block in range(NUM_BLOCKS)}
    for dialect in dialects:
        before, joint, after = FORMS[dialect]
        # musubi-tuner's networks are made of the blocks alone.
        known = {layer for layer in layers if dialect != "kohya" or layer.startswith("blocks.")}
        wanted = {f"{before}{layer.replace('.', joint)}{end}" for layer in known for end in after}
        assert set(load_file(exported.adapters[dialect])) == wanted
    linear = {name.removesuffix(".weight") for name, value in load_file(exported.merged).items() if value.ndim == 2}
    # LTX-Video's tables of shifts and scales are no layers, but two-dimensional too.
    assert {name for name in linear if not name.endswith("scale_shift_table")} == layers
