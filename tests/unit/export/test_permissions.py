"""What an export writes is readable by whom the umask says, whatever a library or the base's own files have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rushes.export.dataset import export_dataset
from rushes.export.full import export_merged, export_pipeline, export_transformer
from rushes.export.hub import HubOptions, export_hub
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.source import Source

EXPORTS: dict[str, Callable[[Source, Path], object]] = {
    "lora": lambda source, out: export_lora(source, out, "diffusers", LoraOptions()),
    "transformer": lambda source, out: export_transformer(source, out, 1.0, torch.float32),
    "pipeline": lambda source, out: export_pipeline(source, out, 1.0, torch.float32),
    "merged": lambda source, out: export_merged(source, out, 1.0, torch.float32),
    "hub": lambda source, out: export_hub(source, out, HubOptions(licence="other")),
    "dataset": lambda source, out: export_dataset(source.run, out, "held_out", on_clip=lambda done, total: None),
}


@pytest.mark.parametrize("kind", EXPORTS)
@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_every_file_of_an_export(kind: str, umask: int, lora: Source, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        EXPORTS[kind](lora, tmp_path / "out")
    finally:
        os.umask(before)
    found = {path: path.stat().st_mode & 0o777 for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o777 & ~umask}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o666 & ~umask}
