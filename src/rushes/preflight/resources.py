"""Checks of disk and memory by the estimates of the plan: a warning where it is short, refused where it is hopeless."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rushes.families.folder import local_folder
from rushes.families.model_size import ModelSize, read_model_size
from rushes.families.recompute import free_main_memory
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
_SETTINGS: Final = {"generate": "runtime.generate_batch", "train": "train.batch_size"}
_TO_LOWER: Final = {
    "generate": "lower runtime.generate_batch",
    "train": "raise train.num_accumulation, or train an adapter (train.lora)",
}
"""What to change where a stage needs too much memory."""
_GB: Final = 1e9


def check_disk(recipe: Recipe, home: Path) -> Iterator[Finding]:
    """The disk has room for what the run will still store."""
    folder = next(path for path in (home.absolute(), *home.absolute().parents) if path.is_dir())
    is_resumed = (home / "header.json").is_file()
    there = sum(file.stat().st_size for file in home.rglob("*") if file.is_file()) if is_resumed else 0
    size = _size(recipe)
    needed = stored_bytes(recipe, size) - there
    generate = recipe.generate.model_copy(update={"stored_as": "h264"})
    is_less = stored_bytes(recipe.model_copy(update={"generate": generate}), size) < needed + there
    yield from _short(
        "--home", f"the disk of {folder} may be too small for this run", needed, shutil.disk_usage(folder).free,
        next_step="name a --home on a larger disk, free some space, or --set generate.stored_as=h264"
        if is_less else "name a --home on a larger disk, or free some space",
    )  # fmt: skip


def check_memory(recipe: Recipe) -> Iterator[Finding]:
    """The device has memory for generating and for training, by the plan."""
    size, device = _size(recipe), recipe.runtime.device
    total = _memory(device)
    if size is None or total is None:
        return
    if device == "cpu":
        peaks = {stage: peak_bytes(size, recipe, stage, total) or 0 for stage in _STAGES}
    else:
        gpu = Gpu(device, total, 1.0, 1.0)
        peaks = {stage: round(gpu_peak_bytes(size, recipe, stage, gpu)[0] or 0) for stage in _STAGES}
    stage = max(peaks, key=lambda each: peaks[each])
    problem = f"memory of {device} may be too small to {stage}"
    yield from _short(_SETTINGS[stage], problem, peaks[stage], total, next_step=_TO_LOWER[stage])


def _memory(device: str) -> int | None:
    """Memory for the run: what is free in main memory, or all of a GPU; None for another device, or if unknown."""
    if device == "cpu":
        return free_main_memory()
    if not device.startswith("cuda"):
        return None
    import torch

    if torch.cuda.device_count() <= (torch.device(device).index or 0):
        return None
    return int(torch.cuda.get_device_properties(torch.device(device)).total_memory)


def _short(setting: str, problem: str, needed: float, free: float, *, next_step: str) -> Iterator[Finding]:
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
