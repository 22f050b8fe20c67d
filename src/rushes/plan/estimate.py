"""From counts, paces and sizes to time, disk and memory; what nobody has measured stays unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from rushes.families.folder import model_folder
from rushes.families.model_size import read_model_size
from rushes.plan.memory import peak_bytes
from rushes.plan.throughput import Kind, Throughput
from rushes.plan.work import StageWork, work_of
from rushes.recipe.generate import StoredAs
from rushes.recipe.recipe import Recipe
from rushes.store.blobs import MAX_RAW_BYTES

_LATENT_CHANNELS: Final = 16
_BYTES_PER_RECORD: Final = 1000
_SMALLER: Final[Mapping[StoredAs, float]] = {"lossless": 3.0, "h264": 30.0}
"""How much smaller than raw frames a stored clip is taken to be: less than published clips of Wan came out at
(docs/real_models.md), since those had been compressed before."""


@dataclass(frozen=True)
class StagePlan:
    """One row of the plan."""

    stage: str
    """Name of the stage."""
    items: str
    """What it makes, in words."""
    num_items: int
    """How many; an upper bound where the screen decides."""
    seconds: float | None
    """Expected wall-clock; None where nobody has measured the pace."""
    num_bytes: int | None
    """Expected disk space; None where it is unknown."""
    source: str
    """Where the time comes from."""
    peak_bytes: int | None = None
    """Expected memory at the stage's peak; None where the model is not on this machine, or nothing tells."""

    def as_json(self) -> dict[str, object]:
        """The same as JSON values."""
        return asdict(self)


def make_plan(recipe: Recipe, throughput: Throughput) -> tuple[StagePlan, ...]:
    """Items, time, disk and memory of each stage.

    Args:
        recipe: what is to be done, as if nothing was done yet.
        throughput: what is known about speed and size; what is missing stays unknown in the plan.
    """
    clip_bytes = throughput.clip_bytes or computed_clip_bytes(recipe)
    model = read_model_size(Path(model_folder(recipe.base.model)))
    free = _free_bytes(recipe)
    stages = (_plan(work, throughput, clip_bytes) for work in work_of(recipe))
    return tuple(
        stage if model is None else replace(stage, peak_bytes=peak_bytes(model, recipe, stage.stage, free))
        for stage in stages
    )


def _free_bytes(recipe: Recipe) -> int | None:
    """Free memory where the recipe computes; None for devices that are asked only when a run begins."""
    if recipe.runtime.device != "cpu":
        return None
    import torch

    from rushes.families.recompute import free_bytes

    return free_bytes(torch.device("cpu"))


def total_seconds(plan: Iterable[StagePlan]) -> tuple[float, bool]:
    """Seconds of all stages whose time is known, and whether all are."""
    times = [stage.seconds for stage in plan]
    return sum(time for time in times if time is not None), None not in times


def computed_clip_bytes(recipe: Recipe, stored_as: StoredAs | None = None, *, frames: bool = True) -> int:
    """Bytes of one stored clip: RGB frames, and float32 latents of 1/8 the size and 1/4 the frames.

    Args:
        recipe: its shape counts.
        stored_as: how frames are stored; None for `generate.stored_as`.
        frames: False for latents alone.
    """
    shape = recipe.shape
    pixels = shape.num_frames * shape.height_px * shape.width_px * 3
    cells = (1 + (shape.num_frames - 1) // 4) * (shape.height_px // 8) * (shape.width_px // 8)
    if pixels > MAX_RAW_BYTES:
        pixels = round(pixels / _SMALLER[stored_as or recipe.generate.stored_as])
    return pixels * frames + 4 * _LATENT_CHANNELS * cells


def _plan(work: StageWork, throughput: Throughput, clip_bytes: int) -> StagePlan:
    units = {kind: amount for kind, amount in work.units.items() if amount}
    paces = [throughput.paces[kind] for kind in units if kind in throughput.paces]
    is_known = len(paces) == len(units)
    seconds = sum(amount * throughput.paces[kind].seconds for kind, amount in units.items()) if is_known else None
    sources = list(dict.fromkeys(pace.source for pace in paces))
    return StagePlan(
        stage=work.stage,
        items=work.items,
        num_items=work.num_items,
        seconds=seconds,
        num_bytes=_disk(work, throughput, clip_bytes),
        source=_source(sources, units, is_known),
    )


def _source(sources: Sequence[str], units: Mapping[Kind, float], is_known: bool) -> str:
    if not units:
        return "nothing to do"
    return " and ".join(sources) if is_known else "unknown: no run has done this yet"


def _disk(work: StageWork, throughput: Throughput, clip_bytes: int) -> int | None:
    if "checkpoints" in work.tables and throughput.checkpoint_bytes is None:
        return None
    blobs = {"clips": clip_bytes, "draft_clips": clip_bytes, "checkpoints": throughput.checkpoint_bytes or 0}
    return sum(num * (_BYTES_PER_RECORD + blobs.get(table, 0)) for table, num in work.tables.items())
