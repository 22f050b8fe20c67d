"""A recipe with a real model: FLOPs, GPU-hours, memory and disk per stage, on GPUs by name. Estimates, nothing loaded.

Transformer calls, decoding, encoding, and writers, judges and measurers that run here are counted; servers and other
measurers are not, and the stages that need them say so. Real runs lose time on more than arithmetic: read the result
as "at least".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from rushes.errors import RecipeError
from rushes.families.model_size import FLOAT, filming_bytes
from rushes.families.offload import Offload, choose_offload, needed_bytes
from rushes.families.recompute import POLICIES, SAFETY, Recompute, is_recomputed
from rushes.plan.chat_models import (
    answer_seconds,
    draft_seconds,
    measurement_seconds,
    measuring_parameters,
    parameters,
    uncounted_measuring,
)
from rushes.plan.estimate import computed_clip_bytes
from rushes.plan.gpus import Gpu
from rushes.plan.memory import FIRST_USE, lasting_bytes, loaded_bytes, num_shards, step_bytes
from rushes.plan.models import REAL_MODELS, TEXT_WIDTH, CallFlops, RealModel
from rushes.plan.throughput import Kind
from rushes.plan.work import StageWork, calls_per_clip, work_of
from rushes.recipe.models import LlmWriterSpec, VlmJudgeSpec
from rushes.recipe.recipe import Recipe, as_draft
from rushes.records import SamplerSettings


@dataclass(frozen=True)
class GpuStage:
    """One stage on one GPU."""

    stage: str
    """Name of the stage."""
    items: str
    """What it makes, in words."""
    num_items: int
    """How many; an upper bound where the screen decides."""
    seconds: float | None
    """Expected time; None where none of its work can be counted."""
    left_out: tuple[str, ...]
    """Work of the stage that the time does not hold."""
    peak_bytes: float | None
    """Expected GPU memory at the peak, every block computed again in training; None where nothing tells."""
    offload: Offload
    """What of the pipeline waits in main memory between its turns, so that the stage fits this GPU."""
    num_bytes: int
    """Expected disk space."""

    def as_json(self) -> dict[str, object]:
        """The same as JSON values."""
        return asdict(self)


def real_model(recipe: Recipe) -> RealModel | None:
    """What is known of the recipe's base; None for a model that is not in the table."""
    return REAL_MODELS.get(recipe.base.model)


def known_model(recipe: Recipe, *, otherwise: str) -> RealModel:
    """What is known of the recipe's base.

    Args:
        recipe: its base is looked up.
        otherwise: what to do for another model, for the error.

    Raises:
        RecipeError: nothing is known of it.
    """
    model = real_model(recipe)
    if model is None:
        raise RecipeError(
            "no arithmetic is known of this model, so that nothing can be said about GPUs",
            expected="base.model: a Hub id of docs/real_models.md",
            got=recipe.base.model,
            next_step=otherwise,
        )
    return model


def plan_on(recipe: Recipe, model: RealModel, gpu: Gpu) -> tuple[GpuStage, ...]:
    """Time, memory and disk of each stage on one GPU.

    Raises:
        RecipeError: the recipe names a dimension that does not exist.
    """
    return tuple(_stage(work, recipe, model, gpu) for work in work_of(recipe))


def gpu_hours(plan: tuple[GpuStage, ...]) -> float:
    """Hours of all that could be counted."""
    return sum(stage.seconds or 0.0 for stage in plan) / 3600


def clip_seconds(
    recipe: Recipe, model: RealModel, gpu: Gpu, sampler: SamplerSettings | None = None, *, decode: bool = True
) -> float:
    """One clip, sampled and, unless `decode` is False, decoded; by `generate.sampler` where no other is given."""
    calls = calls_per_clip(sampler or recipe.generate.sampler, recipe.base)
    call = model.call(recipe.shape, recipe.base.max_tokens)
    decoding = model.decode(recipe.shape) if decode else 0.0
    return gpu.seconds(calls * call.attention, calls * call.linear + decoding)


def step_flops(recipe: Recipe, model: RealModel, recompute: Recompute) -> CallFlops:
    """One optimiser step.

    Backward passes: linear layers cost a forward for their inputs and one more for their weights, which an adapter
    hardly has; attention costs 2.5 forwards (five products for two). Recomputed blocks run forward twice.
    """
    spec = recipe.train
    call = model.call(recipe.shape, recipe.base.max_tokens)
    layers = range(model.size.num_layers)
    again = sum(is_recomputed(index, recompute) for index in layers) / model.size.num_layers
    tuned = call.times(3.5 + again, (2 if spec.lora else 3) + again)
    if spec.anchor > 0 or spec.negative > 0:
        tuned = tuned.plus(call)
    return tuned.times(spec.batch_size, spec.batch_size)


def train_bytes(recipe: Recipe, model: RealModel, recompute: Recompute, offload: Offload = "none") -> float:
    """GPU memory of training: weights and copies, gradients, optimiser, average, activations of one micro-batch.

    Of the first GPU, where several processes train. The network is made in main memory, where the pipeline's own
    transformer waits meanwhile, and the rest of an offloaded pipeline. Latents and texts lie on disk: see `data_bytes`.
    """
    size, spec = replace(model.size, num_heads=0), recipe.train  # the GPU's attention keeps no table of scores
    working = lasting_bytes(size, spec, num_shards(recipe)) + step_bytes(size, recipe, recompute)
    resident = _resident(recipe, model) if offload == "none" else 0.0
    beside = resident - FLOAT * size.num_transformer if offload == "none" else 0.0
    return FIRST_USE + max(resident, beside + working)


def recompute_on(recipe: Recipe, model: RealModel, gpu: Gpu) -> Recompute:
    """The recomputation that training comes to on a GPU: what the recipe names, or what `auto` will choose there."""
    asked = recipe.runtime.train.recompute
    if asked != "auto":
        return asked
    room, offload = SAFETY * gpu.memory_bytes, offload_on(recipe, model, gpu)
    return next((policy for policy in POLICIES if train_bytes(recipe, model, policy, offload) <= room), "all")


def data_bytes(recipe: Recipe, model: RealModel) -> float:
    """Disk space for what training reads, while it runs: latents of all samples and states of all texts, float32."""
    num_prompts = recipe.prompts.num_weakness + recipe.prompts.num_caption
    num_real, shape = recipe.prompts.real.num_clips, recipe.shape
    latents = (num_prompts * recipe.generate.num_takes + num_real) * model.size.num_latents(shape)
    return FLOAT * (latents + (num_prompts + num_real) * recipe.base.max_tokens * TEXT_WIDTH)


def offload_on(recipe: Recipe, model: RealModel, gpu: Gpu) -> Offload:
    """What filming comes to on a GPU: what the recipe names, or what `auto` will choose there when it is loaded."""
    if recipe.runtime.offload != "auto":
        return recipe.runtime.offload
    free, work = round(gpu.memory_bytes - FIRST_USE), round(_work_bytes(recipe, model))
    return choose_offload(_parts(recipe, model), free, work, frees_text=recipe.runtime.free_text_encoder)


def film_bytes(recipe: Recipe, model: RealModel, offload: Offload) -> float:
    """GPU memory of filming: encoding the texts, or sampling and decoding; layer by layer, the work alone."""
    work = round(_work_bytes(recipe, model))
    needed = needed_bytes(_parts(recipe, model), work, frees_text=recipe.runtime.free_text_encoder)
    return FIRST_USE + needed.get(offload, work)


def _work_bytes(recipe: Recipe, model: RealModel) -> float:
    size = replace(model.size, num_heads=0)
    return filming_bytes(size, recipe.shape, recipe.runtime.generate_batch)


def _parts(recipe: Recipe, model: RealModel) -> dict[str, int]:
    """Bytes of the pipeline's networks, under their names in it."""
    size, text = model.size, 2 if recipe.base.text_precision == "bfloat16" else FLOAT
    numbers = {"text_encoder": text * size.num_text, "transformer": FLOAT * size.num_transformer}
    return {name: round(value) for name, value in {**numbers, "vae": FLOAT * size.num_autoencoder}.items()}


# ---------------------------------------------------------------------------------------------- stages


def _stage(work: StageWork, recipe: Recipe, model: RealModel, gpu: Gpu) -> GpuStage:
    seconds, left_out = _time(work, recipe, model, gpu)
    peak, offload = _peak(work.stage, recipe, model, gpu)
    return GpuStage(
        stage=work.stage,
        items=work.items,
        num_items=work.num_items,
        seconds=seconds,
        left_out=left_out,
        peak_bytes=peak,
        offload=offload,
        num_bytes=_disk(work, recipe, model),
    )


def _time(work: StageWork, recipe: Recipe, model: RealModel, gpu: Gpu) -> tuple[float | None, tuple[str, ...]]:
    parts: list[float] = []
    left_out: list[str] = []
    if work.stage == "draft":
        parts.append(work.num_items * clip_seconds(as_draft(recipe), model, gpu))
    elif "clip_calls" in work.units:
        is_own = work.stage == "generate"
        sampler = recipe.generate.sampler if is_own else recipe.measure.sampler
        decode = recipe.generate.decode or not is_own
        parts.append(_num_filmed(work, recipe) * clip_seconds(recipe, model, gpu, sampler, decode=decode))
    if "train_clips" in work.units:
        encoded = num_encoded(recipe) * model.encode(recipe.shape)
        step = step_flops(recipe, model, recompute_on(recipe, model, gpu)).times(work.num_items, work.num_items)
        parts.append(gpu.seconds(step.attention, step.linear + encoded))
    drafting, answering, measuring = (f(recipe, gpu) for f in (draft_seconds, answer_seconds, measurement_seconds))
    others: tuple[tuple[Kind, float | None, str | None], ...] = (
        ("drafts", drafting, "the writer" if drafting is None else None),
        ("answers", answering, "the judge" if answering is None else None),
        ("measurements", measuring, uncounted_measuring(recipe, gpu)),
    )
    for kind, each, uncounted in others:
        amount = work.units.get(kind, 0.0)
        if amount and each is not None:
            parts.append(amount * each)
        if amount and uncounted is not None:
            left_out.append(uncounted)
    return (sum(parts) if parts else None), tuple(left_out)


def _num_filmed(work: StageWork, recipe: Recipe) -> float:
    sampler = recipe.generate.sampler if work.stage == "generate" else recipe.measure.sampler
    return work.units["clip_calls"] / calls_per_clip(sampler, recipe.base)


def num_encoded(recipe: Recipe) -> int:
    """Clips that are encoded for training: the real ones, and the own ones where they are encoded again."""
    own = (recipe.prompts.num_weakness + recipe.prompts.num_caption) * recipe.generate.num_takes
    return recipe.prompts.real.num_clips + recipe.num_rounds * (own if recipe.generate.latents == "reencoded" else 0)


def _peak(stage: str, recipe: Recipe, model: RealModel, gpu: Gpu) -> tuple[float | None, Offload]:
    # The pipeline is loaded once, for the largest clips: drafts find it as it was placed for the full-length ones.
    offload = offload_on(recipe, model, gpu)
    # The base stays loaded beside a model that writes, judges or measures here; offloaded, it comes only to work.
    base = FIRST_USE if offload != "none" else _resident(recipe, model)
    if stage in ("diagnose", "draft", "generate", "measure"):
        filming = film_bytes(as_draft(recipe) if stage == "draft" else recipe, model, offload)
        measuring = base + 2 * measuring_parameters(recipe) if stage in ("diagnose", "measure") else 0.0
        return max(filming, measuring), offload
    if stage == "train":
        asked = recipe.runtime.train.recompute
        return train_bytes(recipe, model, "all" if asked == "auto" else asked, offload), "none"
    chat = recipe.judge.judge.model if isinstance(recipe.judge.judge, VlmJudgeSpec) else None
    if stage == "prompts":
        chat = recipe.prompts.writer.model if isinstance(recipe.prompts.writer, LlmWriterSpec) else None
    size = parameters(chat)
    return (None, "none") if size is None else (base + 2 * size, offload)


def _disk(work: StageWork, recipe: Recipe, model: RealModel) -> int:
    total = 1000 * sum(work.tables.values())
    stored_as = "lossless" if work.stage == "prompts" else recipe.generate.stored_as  # real clips are never lossy
    frames = recipe.generate.decode or work.stage != "generate"
    total += computed_clip_bytes(recipe, stored_as, frames=frames) * work.tables.get("clips", 0)
    draft = as_draft(recipe)
    total += computed_clip_bytes(draft, recipe.generate.stored_as) * work.tables.get("draft_clips", 0)
    # A checkpoint holds full weights, whatever was trained; the state to resume from lies beside it.
    return total + round(work.tables.get("checkpoints", 0) * FLOAT * model.size.num_transformer)


def _resident(recipe: Recipe, model: RealModel) -> float:
    """What lies in GPU memory while the base only waits: the copy of its weights is in main memory."""
    loaded = loaded_bytes(model.size, recipe) - FLOAT * model.size.num_transformer
    if recipe.runtime.free_text_encoder:
        loaded -= (FLOAT / 2 if recipe.base.text_precision == "bfloat16" else FLOAT) * model.size.num_text
    return loaded
