"""Checks of disk and memory by the estimates of the plan: a warning where it is short, refused where it is hopeless."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rushes.families.folder import local_folder
from rushes.families.model_size import ModelSize, read_model_size
from rushes.families.recompute import free_bytes
from rushes.findings import Finding
from rushes.plan.gpu_memory import gpu_peak_bytes
from rushes.plan.gpus import Gpu
from rushes.plan.memory import peak_bytes
from rushes.plan.models import real_model
from rushes.plan.plan import stored_bytes
from rushes.recipe.recipe import Recipe

HOPELESS: Final = 2.0
"""The estimates are meant to be within a factor of two: only what is short by more than that is refused."""
_STAGES: Final = ("generate", "train")
_GB: Final = 1e9


def check_disk(recipe: Recipe, home: Path) -> Iterator[Finding]:
    """The disk has room for what the run will still store."""
    folder = next(path for path in (home.absolute(), *home.absolute().parents) if path.is_dir())
    is_resumed = (home / "header.json").is_file()
    there = sum(file.stat().st_size for file in home.rglob("*") if file.is_file()) if is_resumed else 0
    needed = stored_bytes(recipe, _size(recipe)) - there
    yield from _short(
        "--home", f"the disk of {folder} may be too small for this run", needed, shutil.disk_usage(folder).free,
        "name a --home on a larger disk, free some space, or set generate.stored_as: h264",
    )  # fmt: skip


def check_memory(recipe: Recipe) -> Iterator[Finding]:
    """The device has memory for generating and for training, by the plan."""
    size, device = _size(recipe), recipe.runtime.device
    if size is None:
        return
    import torch

    if device == "cpu":
        free = free_bytes(torch.device("cpu"))
        peaks = {stage: peak_bytes(size, recipe, stage, free) for stage in _STAGES}
    elif device.startswith("cuda") and torch.cuda.device_count() > (torch.device(device).index or 0):
        free = torch.cuda.get_device_properties(torch.device(device)).total_memory
        gpu = Gpu(device, free, 1.0, 1.0)
        peaks = {stage: round(gpu_peak_bytes(size, recipe, stage, gpu)[0] or 0) for stage in _STAGES}
    else:
        return
    stage, peak = max(peaks.items(), key=lambda each: each[1] or 0)
    if free is not None and peak is not None:
        setting = "train.batch_size" if stage == "train" else "runtime.generate_batch"
        step = (
            "raise train.num_accumulation, or train an adapter (train.lora)"
            if stage == "train"
            else "lower runtime.generate_batch"
        )
        yield from _short(setting, f"memory of {device} may be too small to {stage}", peak, free, step)


def _short(setting: str, problem: str, needed: float, free: float, next_step: str) -> Iterator[Finding]:
    if needed > free:
        yield Finding(
            setting,
            problem,
            expected=f"about {needed / _GB:.1f} GB, by the estimate of rushes plan",
            got=f"{free / _GB:.1f} GB",
            next_step=next_step,
            is_certain=needed > HOPELESS * free,
        )


def _size(recipe: Recipe) -> ModelSize | None:
    model, folder = real_model(recipe), local_folder(recipe.base)
    if model is not None:
        return model.size
    return None if folder is None else read_model_size(folder)
