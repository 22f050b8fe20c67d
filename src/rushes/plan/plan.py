"""What `rushes plan` shows: items, time, disk and memory of each stage, on this machine or on a named GPU.

Times are counts times prices. On a GPU they leave out part of a real run: read them as "at least".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rushes.families.folder import model_folder
from rushes.families.model_size import FLOAT, ModelSize, read_model_size
from rushes.families.offload import Offload
from rushes.families.recompute import free_main_memory
from rushes.plan.arithmetic import arithmetic_of, prices_on
from rushes.plan.counts import work_of
from rushes.plan.gpu_memory import gpu_peak_bytes
from rushes.plan.gpus import Gpu
from rushes.plan.kinds import Kind, StageWork
from rushes.plan.memory import peak_bytes
from rushes.plan.models import TEXT_WIDTH, RealModel, num_tuned_experts, real_model
from rushes.plan.prices import Prices, cost
from rushes.recipe.generate import StoredAs
from rushes.recipe.recipe import Recipe, as_draft, as_generating, as_trained
from rushes.store.blobs import MAX_RAW_BYTES

_LATENT_CHANNELS: Final = 16
_BYTES_PER_RECORD: Final = 1000
_SMALLER: Final[Mapping[StoredAs, float]] = {"lossless": 3.0, "h264": 30.0}
"""Assumed compression of a stored clip relative to raw frames: less than measured on published clips of Wan
(docs/real_models.md), since those had been compressed before."""
_WHO: Final[Mapping[Kind, str]] = {
    "drafts": "the writer",
    "answers": "the judge",
    "ratings": "the judge",
    "votes": "the judge",
    "measurements": "the measurer",
}
"""The role named for a kind of work whose cost is unknown."""


@dataclass(frozen=True)
class StagePlan:
    """One row of the plan."""

    stage: str
    """Name of the stage."""
    items: str
    """What it produces, in words."""
    num_items: int
    """How many; an upper bound if the screen decides."""
    seconds: float | None
    """Expected wall-clock seconds; None if unknown."""
    num_bytes: int | None
    """Expected disk space; None if unknown."""
    source: str
    """Where the time comes from."""
    peak_bytes: int | None = None
    """Expected peak memory of the stage; None if the model is not on this machine, or if it is unknown."""
    left_out: tuple[str, ...] = ()
    """Work of the stage that the time does not include, in words."""
    offload: Offload = "none"
    """On a GPU: which part of the pipeline is kept in main memory while idle, so that the stage fits."""

    def as_json(self) -> dict[str, object]:
        """The same as JSON values."""
        return asdict(self)


def make_plan(recipe: Recipe, prices: Prices) -> tuple[StagePlan, ...]:
    """Items, time, disk and memory of each stage on this machine.

    Args:
        recipe: the planned run, as if nothing was done yet.
        prices: the known prices; a stage with work of unknown price has no time.
    """
    sizes = {each.base.model: read_model_size(Path(model_folder(each.base.model))) for each in _loaded(recipe)}
    free = free_main_memory() if recipe.runtime.device == "cpu" else None  # others are asked when a run starts
    rows = []
    for work in work_of(recipe):
        found = cost(work.units, prices)
        source = " and ".join(found.sources) or "nothing to do"
        loaded = _at_work(recipe, work.stage)
        size = sizes[loaded.base.model]
        rows.append(
            StagePlan(
                stage=work.stage,
                items=work.items,
                num_items=work.num_items,
                seconds=None if found.unknown else found.seconds,
                num_bytes=_disk_bytes(work, recipe, prices.clip_bytes, prices.checkpoint_bytes),
                source="unknown: no run has done this yet" if found.unknown else source,
                peak_bytes=None if size is None else peak_bytes(size, loaded, work.stage, free),
            )
        )
    return tuple(rows)


def _loaded(recipe: Recipe) -> tuple[Recipe, Recipe]:
    """The recipe with each model that it loads as its base."""
    return recipe, as_generating(recipe)


def _at_work(recipe: Recipe, stage: str) -> Recipe:
    """The recipe with the model that works in a stage as its base."""
    if stage == "train":
        return as_trained(recipe)
    return as_generating(recipe) if stage in ("generate", "draft") else recipe


def plan_on(recipe: Recipe, model: RealModel, gpu: Gpu) -> tuple[StagePlan, ...]:
    """Time, memory and disk of each stage on one GPU; the time covers all work that can be counted.

    Raises:
        RecipeError: the recipe names a dimension that does not exist, or a plug-in that cannot be used.
    """
    prices = prices_on(recipe, arithmetic_of(recipe), gpu)
    rows = []
    for work in work_of(recipe):
        found = cost(work.units, prices)
        loaded = _at_work(recipe, work.stage)
        at_work = model if loaded is recipe else real_model(loaded)
        peak, offload = (None, "none") if at_work is None else gpu_peak_bytes(at_work.size, loaded, work.stage, gpu)
        rows.append(
            StagePlan(
                stage=work.stage,
                items=work.items,
                num_items=work.num_items,
                seconds=found.seconds if found.sources or not found.unknown else None,
                # A checkpoint holds full weights, whatever was trained; the state to resume from is stored separately.
                num_bytes=_disk_bytes(work, recipe, None, _checkpoint_bytes(model.size, recipe)),
                source=" and ".join(found.sources) or "nothing to do",
                peak_bytes=None if peak is None else round(peak),
                left_out=(*(_WHO.get(kind, kind) for kind in found.unknown), *found.left_out),
                offload=offload,
            )
        )
    return tuple(rows)


def hours_on(recipe: Recipe, gpu: Gpu) -> float:
    """GPU-hours of all countable work of a recipe with a released model.

    Raises:
        RecipeError: the base is not a released model, or see `plan_on`.
    """
    prices = prices_on(recipe, arithmetic_of(recipe), gpu)
    return sum(cost(work.units, prices).seconds for work in work_of(recipe)) / 3600


def total_seconds(plan: Iterable[StagePlan]) -> tuple[float, bool]:
    """Seconds of all stages whose time is known, and whether all are."""
    times = [stage.seconds for stage in plan]
    return sum(time for time in times if time is not None), None not in times


# ---------------------------------------------------------------------------------------------- disk


def computed_clip_bytes(recipe: Recipe, stored_as: StoredAs | None = None, *, frames: bool = True) -> int:
    """Bytes of one stored clip: RGB frames, and float32 latents of 1/8 the size and 1/4 the frames.

    Args:
        recipe: its shape determines the size.
        stored_as: how frames are stored; None for `generate.stored_as`.
        frames: False for latents alone.
    """
    shape = recipe.shape
    pixels = shape.num_frames * shape.height_px * shape.width_px * 3
    cells = (1 + (shape.num_frames - 1) // 4) * (shape.height_px // 8) * (shape.width_px // 8)
    if pixels > MAX_RAW_BYTES:
        pixels = round(pixels / _SMALLER[stored_as or recipe.generate.stored_as])
    return pixels * frames + 4 * _LATENT_CHANNELS * cells


def data_bytes(recipe: Recipe, model: RealModel) -> float:
    """Disk space for training data while training runs: latents of all samples and states of all texts, float32."""
    num_prompts = recipe.prompts.num_weakness + recipe.prompts.num_caption
    num_real, num_own = recipe.prompts.real.num_wanted, num_prompts * recipe.generate.num_takes
    of_real = model.size.num_latents(as_trained(recipe).shape)
    latents = num_own * model.size.num_latents(recipe.shape) + num_real * of_real
    return FLOAT * (latents + (num_prompts + num_real) * recipe.base.max_tokens * TEXT_WIDTH)


def stored_bytes(recipe: Recipe, size: ModelSize | None) -> int:
    """Disk space of all records and files of a run; without the checkpoints if the model's size is unknown.

    Raises:
        RecipeError: the recipe names a dimension that does not exist.
    """
    checkpoint = 0 if size is None else _checkpoint_bytes(size, recipe)
    return sum(_disk_bytes(work, recipe, None, checkpoint) or 0 for work in work_of(recipe))


def _checkpoint_bytes(size: ModelSize, recipe: Recipe) -> int:
    """The full weights of every transformer that is tuned."""
    return FLOAT * size.num_transformer * num_tuned_experts(recipe)


def _disk_bytes(work: StageWork, recipe: Recipe, clip_bytes: int | None, checkpoint_bytes: int | None) -> int | None:
    """Disk space of a stage's records and files; clip sizes that were not measured are computed."""
    if "checkpoints" in work.tables and checkpoint_bytes is None:
        return None
    if clip_bytes is None:
        stored_as = "lossless" if work.stage == "prompts" else recipe.generate.stored_as  # real clips are never lossy
        frames = recipe.generate.decode or work.stage != "generate"
        clip_bytes = computed_clip_bytes(recipe, stored_as, frames=frames)
    blobs = {
        "clips": clip_bytes,
        "watch_clips": clip_bytes,
        "draft_clips": computed_clip_bytes(as_draft(recipe)),
        "checkpoints": (checkpoint_bytes or 0) * (1 if recipe.train.merge == 1 else 2),  # before and after merging
    }
    return sum(num * (_BYTES_PER_RECORD + blobs.get(table, 0)) for table, num in work.tables.items())
