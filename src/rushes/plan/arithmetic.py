"""Prices by arithmetic: FLOPs of a unit of each kind of work, divided by the speed that a GPU reaches (`gpus`).

The FLOPs of a released model come from formulas (`models`). Those of any other model are counted once by torch on the
loaded model, in one short run of each unit. A FLOP is one multiplication or one addition. Matrix products, convolutions
and attention are counted, and little else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import Field

from rushes.errors import RecipeError
from rushes.families.folder import model_folder
from rushes.families.model_size import ModelSize, read_model_size
from rushes.families.recompute import Recompute, is_recomputed
from rushes.plan.calls import calls_per_clip
from rushes.plan.chat_models import ChatKind, chat_price
from rushes.plan.gpu_memory import recompute_on
from rushes.plan.gpus import Gpu
from rushes.plan.kinds import Kind
from rushes.plan.models import real_model
from rushes.plan.prices import Price, Prices
from rushes.plugins import num_compared, objective_needs
from rushes.recipe.base import ShapeSpec
from rushes.recipe.recipe import Recipe, as_draft, as_generating, as_trained
from rushes.recipe.train import TrainSpec, num_own_rows
from rushes.records import Record, SamplerSettings
from rushes.records.base import Text

if TYPE_CHECKING:
    from rushes.families.family import Family
    from rushes.roles import Judge, JudgeRequest

T = TypeVar("T")
Flops = Annotated[int, Field(ge=0)]


class UnitFlops(Record):
    """Arithmetic of one unit of each kind of work.

    Example:
        UnitFlops(model="9a" * 32, shape="17 x 64 x 64", attention=35_651_584, linear=537_411_584,
                  decode=2_530_377_728, encode=1_327_759_360, answer=41_000_000)
    """

    model: Text
    """Name of the base model."""
    shape: Text
    """Frames x height x width of its clips."""
    attention: Flops
    """Attention in one call of the transformer for one clip: scores and weighted sums."""
    linear: Flops
    """Everything else in that call."""
    decode: Flops
    """Decoding one clip."""
    encode: Flops
    """Encoding one clip."""
    answer: Flops | None = None
    """One question answered by the judge; None if it was not counted."""

    @property
    def call(self) -> int:
        """One call of the transformer for one clip."""
        return self.attention + self.linear


def shape_name(shape: ShapeSpec) -> str:
    """Frames x height x width."""
    return f"{shape.num_frames} x {shape.height_px} x {shape.width_px}"


# ---------------------------------------------------------------------------------------------- FLOPs of the units


def released_units(recipe: Recipe) -> UnitFlops | None:
    """The units of a released model, at the recipe's shape; None for any other."""
    model, shape = real_model(recipe), recipe.shape
    if model is None:
        return None
    call = model.call(shape, recipe.base.max_tokens)
    return UnitFlops(
        model=recipe.base.model,
        shape=shape_name(shape),
        attention=round(call.attention),
        linear=round(call.linear),
        decode=round(model.decode(shape)),
        encode=round(model.encode(shape)),
    )


def count_units(name: str, family: Family, sampler: SamplerSettings, shape: ShapeSpec) -> UnitFlops:
    """Count: one denoising step of one clip, its decoding, its encoding.

    Args:
        name: of the base model.
        family: the loaded model.
        sampler: how it is sampled; a single step without guidance is counted.
        shape: of the clips.
    """
    one_step = sampler.model_copy(update={"num_steps": 1, "guidance_scale": 1.0})
    latents, of_sampling = _counted(lambda: family.sample([""], [0], one_step, shape))
    frames, of_decoding = _counted(lambda: family.decode(latents))
    _, of_encoding = _counted(lambda: family.encode(frames))
    # The text is encoded once per prompt, not once per step: only the transformer's part is a call.
    attention, linear = of_sampling.get(type(family.transformer).__name__, of_sampling["Global"])
    return UnitFlops(
        model=name,
        shape=shape_name(shape),
        attention=attention,
        linear=linear,
        decode=sum(of_decoding["Global"]),
        encode=sum(of_encoding["Global"]),
    )


def count_answer(judge: Judge, request: JudgeRequest) -> int | None:
    """FLOPs of one answer by a judge that computes in this process; None if none are counted.

    Args:
        judge: the judge to count.
        request: a clip with at least one question.
    """
    _, counts = _counted(lambda: judge.answer([request]))
    return round(sum(counts["Global"]) / len(request.questions)) or None


def _counted(do: Callable[[], T]) -> tuple[T, dict[str, tuple[int, int]]]:
    """The result of `do`, and FLOPs (attention, everything else) in total ("Global") and of each module by class."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    def on_cpu(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object) -> int:
        return int(sdpa_flop_count(query, key, value))

    # Torch counts every attention kernel except the CPU one.
    own = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: on_cpu}
    with FlopCounterMode(display=False, custom_mapping=own) as counter:
        result = do()
    counts: dict[str, tuple[int, int]] = {"Global": (0, 0)}
    for name, by_kind in counter.get_flop_counts().items():
        attention = sum(num for kind, num in by_kind.items() if "bmm" in str(kind) or "attention" in str(kind))
        counts[str(name)] = attention, sum(by_kind.values()) - attention
    return result, counts


def step_flops(unit: UnitFlops, spec: TrainSpec, recomputed: float, num_rounds: int = 1) -> tuple[float, float]:
    """FLOPs (attention, everything else) of one clip in the batch of an optimiser step.

    Backward passes: linear layers cost one forward pass for their inputs and one more for their weights, which an
    adapter hardly has; attention costs 2.5 forward passes (five products instead of two). Recomputed blocks run forward
    twice. Every other model that a loss term compares with runs forward.

    Args:
        unit: arithmetic of a forward pass.
        spec: how the model is trained.
        recomputed: share of the blocks that are recomputed, 0 to 1.
        num_rounds: of the run; the result is their mean.
    """
    first, later = num_compared(spec), num_compared(spec, is_later=True)
    beside = (first + (num_rounds - 1) * later) / num_rounds
    attention, linear = 3.5 + recomputed + beside, (2 if spec.lora else 3) + recomputed + beside
    return attention * unit.attention, linear * unit.linear


# ---------------------------------------------------------------------------------------------- prices


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of a recipe's work."""

    unit: UnitFlops
    """FLOPs of the units at the recipe's shape."""
    draft: UnitFlops
    """The same at the shape of its draft takes."""
    size: ModelSize | None
    """Size of the base; None if unknown."""
    other: UnitFlops | None = None
    """FLOPs of the model that generates in place of the base; None if the base generates, or if they are unknown."""
    other_draft: UnitFlops | None = None
    """The same at the shape of the draft takes."""
    largest: UnitFlops | None = None
    """The units at the largest shape of real clips; None if they have the shape of own ones."""

    @property
    def real(self) -> UnitFlops:
        """The units of real clips, at most: which videos have which shape is known once they are read."""
        return self.unit if self.largest is None else self.largest


def arithmetic_of(recipe: Recipe, counted: UnitFlops | None = None) -> Arithmetic:
    """The arithmetic of a recipe: by formula for a released model, otherwise as counted.

    Args:
        recipe: the planned run.
        counted: the units as counted on the loaded model, at the recipe's shape; None if they were not counted.

    Raises:
        RecipeError: the base is not a released model, and nothing was counted.
    """
    model, unit, draft = real_model(recipe), released_units(recipe), released_units(as_draft(recipe))
    answer = None if counted is None else counted.answer
    other = None if recipe.generate.model is None else as_generating(recipe)
    if model is not None and unit is not None and draft is not None:
        others = (None, None) if other is None else (released_units(other), released_units(as_draft(other)))
        largest = None if as_trained(recipe) is recipe else released_units(as_trained(recipe))
        return Arithmetic(unit.model_copy(update={"answer": answer}), draft, model.size, *others, largest=largest)
    if counted is None:
        raise RecipeError(
            "the arithmetic of this model is unknown",
            expected="base.model: a Hub id of docs/real_models.md",
            got=recipe.base.model,
            next_step="leave --gpu out: the pace is then taken from earlier runs or a short trial",
        )
    drafted, larger_real = (_scaled(counted, recipe, each(recipe)) for each in (as_draft, as_trained))
    size = read_model_size(Path(model_folder(recipe.base.model)))
    largest = None if as_trained(recipe) is recipe else larger_real
    if other is None:
        return Arithmetic(counted, drafted, size, largest=largest)
    larger = None if size is None else read_model_size(Path(model_folder(other.base.model)))
    times = None if size is None or larger is None else larger.num_transformer / size.num_transformer
    return Arithmetic(counted, drafted, size, _times(counted, times), _times(drafted, times), largest)


def _scaled(unit: UnitFlops, recipe: Recipe, other: Recipe) -> UnitFlops:
    """The units at the shape of another recipe, by its share of the pixels: rough for attention."""
    share = other.shape.num_pixels / recipe.shape.num_pixels
    names = ("attention", "linear", "decode", "encode")
    return unit.model_copy(update={name: round(share * getattr(unit, name)) for name in names})


def _times(unit: UnitFlops, factor: float | None) -> UnitFlops | None:
    """The units of a model whose transformer is that much larger, roughly; None if that is unknown."""
    if factor is None:
        return None
    names = ("attention", "linear")
    return unit.model_copy(update={name: round(factor * getattr(unit, name)) for name in names})


def prices_on(recipe: Recipe, arithmetic: Arithmetic, gpu: Gpu) -> Prices:
    """What each kind of work costs on one GPU; kinds that cannot be counted are left out.

    Raises:
        RecipeError: the writer, the judge or the measurer is a plug-in that cannot be used.
    """
    unit, source = arithmetic.unit, f"arithmetic on one {gpu.name}"
    calls = calls_per_clip(as_draft(recipe).generate.sampler, as_generating(recipe).base)
    drafting = arithmetic.draft if recipe.generate.model is None else arithmetic.other_draft
    flops: dict[Kind, tuple[float, float]] = {
        "clip_calls": (unit.attention, unit.linear),
        "decodes": (0, unit.decode),
        "train_clips": _train_flops(recipe, arithmetic, gpu),
        "encodes": (0, arithmetic.real.encode),
    }
    if drafting is not None:
        flops["draft_clips"] = calls * drafting.attention, calls * drafting.linear + drafting.decode
    if arithmetic.other is not None:
        flops["other_calls"] = arithmetic.other.attention, arithmetic.other.linear
    if unit.answer is not None:
        flops["answers"] = (0, unit.answer)
    prices = {kind: Price(gpu.seconds(*each), source) for kind, each in flops.items()}
    chat: tuple[ChatKind, ...] = ("drafts", "answers", "ratings", "votes", "measurements")
    for kind in chat:
        if kind not in prices and (price := chat_price(recipe, kind, gpu)) is not None:
            prices[kind] = price
    return Prices(prices)


def _train_flops(recipe: Recipe, arithmetic: Arithmetic, gpu: Gpu) -> tuple[float, float]:
    """FLOPs (attention, everything else) of one clip in a training batch, own and real ones in their shares."""
    recomputed = _recomputed(as_trained(recipe), arithmetic.size, gpu)
    own, real = (
        step_flops(each, recipe.train, recomputed, recipe.num_rounds) for each in (arithmetic.unit, arithmetic.real)
    )
    if arithmetic.largest is None:
        return own
    needs = objective_needs(recipe.train)
    share = 1.0 if recipe.prompts.only_real else 1 - num_own_rows(recipe.train, needs) / recipe.train.batch_size
    return (1 - share) * own[0] + share * real[0], (1 - share) * own[1] + share * real[1]


def _recomputed(recipe: Recipe, size: ModelSize | None, gpu: Gpu) -> float:
    """Share of the transformer's blocks that training recomputes on a GPU."""
    if size is None:
        shares: dict[str, float] = {"auto": 0.0, "none": 0.0, "half": 0.5, "all": 1.0, "offload": 1.0}
        return shares[recipe.runtime.train.recompute]
    policy: Recompute = recompute_on(size, recipe, gpu)[0]
    return sum(is_recomputed(index, policy) for index in range(size.num_layers)) / size.num_layers
