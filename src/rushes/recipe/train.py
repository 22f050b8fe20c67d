"""Recipe settings for training: what affects the weights."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rushes.errors import TrainingError
from rushes.recipe.objectives import FlowSpec, ObjectiveSpec, OnlineSpec, as_tuple
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import TrainRuntime
from rushes.records.base import Count, Share, Size
from rushes.roles import ObjectiveNeeds, Spec

NUM_STEPS: Final = 200
"""Optimiser steps per round where a recipe says nothing."""


class RealismSpec(Spec):
    """The realism constraint: which loss term ties the model to real clips, and how strongly."""

    spec_name: ClassVar[str] = "realism"

    kind: Literal["none", "real_flow", "moments"] = "real_flow"
    """`real_flow`: flow matching on real clips; `moments`: predicted clean latents distributed as real ones."""
    coefficient: Annotated[float, Field(ge=0)] = 1.0
    """Factor of the term in the loss."""
    share: Share = 0.25
    """Share of real clips in each batch."""


LayerName = Annotated[str, Field(pattern=r"^[\w.]+$")]
"""The end of a layer's name."""


class LoraSpec(Spec):
    """A low-rank adapter instead of full fine-tuning."""

    spec_name: ClassVar[str] = "lora"
    added_later: ClassVar[frozenset[str]] = frozenset({"targets", "dropout", "rslora", "continues"})

    rank: Size = 16
    """Rank r."""
    alpha: Size = 16
    """Numerator of the scale alpha / rank; alpha = rank means scale 1, which all LoRA loaders read alike."""
    targets: Annotated[tuple[LayerName, ...], BeforeValidator(as_tuple)] = ()
    """Name endings of the linear layers that it changes, such as `[to_q, to_v]`; empty for the family's usual ones. An
    export for a program that does not read one of them is refused."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the adapter's inputs that is set to 0 in passes with gradients."""
    rslora: bool = False
    """Scale alpha / sqrt(rank) instead (rank-stabilised LoRA, arXiv 2312.03732). Exports have the scale in the factors,
    so every program reads it."""
    continues: bool = False
    """Go on with the adapter of `base.lora` in the first round, instead of adding another on top of it: the result has
    its rank."""


class TrainSpec(Spec):
    """How the model is fine-tuned."""

    spec_name: ClassVar[str] = "train"
    added_later: ClassVar[frozenset[str]] = frozenset({"norm_guard", "anchor_to", "guidance", "merge", "experts"})

    experts: Literal["both", "high", "low"] = "both"
    """Of a model with two transformers by noise level (Wan2.2 A14B), which is tuned: the one for high noise (layout and
    motion), the one for low noise (detail), or one after the other, each with `num_steps` steps. Other models have one
    transformer and take `both` alone."""
    lora: LoraSpec | None = None
    """A low-rank adapter; null for full fine-tuning."""
    num_steps: Size | None = None
    """Optimiser steps per round; null for 200, or for what `num_epochs` takes."""
    num_epochs: Annotated[float, Field(gt=0)] | None = None
    """How often a round reads its own clips, instead of a number of steps; see docs/objectives.md."""
    batch_size: Size = 16
    """Clips per optimiser step, real ones included."""
    num_accumulation: Size = 1
    """Micro-batches per optimiser step (gradient accumulation); changes memory use, not the mathematics: every term of
    the loss but `moments`, which is refused with it, is a sum over items."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Peak learning rate."""
    warmup_steps: Count = 10
    """Steps of linear warm-up."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning-rate schedule after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW weight decay."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradient clipping: maximum norm."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.98
    """Decay of the exponential moving average of the weights, which is the result; 0 keeps the last weights."""
    merge: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of each round's change of the weights that its result keeps; below 1 the result lies between the model that
    the round starts from and what was trained. Another share does not train again. See docs/objectives.md."""
    shift: Annotated[float, Field(gt=0)] = 2.0
    """Timestep shift s: sigma = s u / (1 + (s - 1) u)."""
    sigma_density: Literal["uniform", "logit_normal", "mixed"] = "logit_normal"
    """Density of u before the shift: `logit_normal` as in the training of most flow models, `uniform`, or `mixed`,
    which alternates the two."""
    caption_drop: Share = 0.1
    """Share of captions replaced by the empty caption."""
    anchor: Annotated[float, Field(ge=0)] = 0.0
    """Coefficient of the squared distance to a frozen model's velocity, on own and on real clips."""
    norm_guard: Annotated[float, Field(ge=0)] = 0.0
    """Coefficient of the squared excess of a velocity's norm over the frozen model's, on own and on real clips."""
    anchor_to: Literal["base", "start"] = "base"
    """The frozen model of `anchor` and `norm_guard` in a run of several rounds: the base in every round, or the model
    that the round starts from."""
    guidance: Annotated[float, Field(ge=0)] | Literal["sampler"] = 1.0
    """Guidance scale that training gives to a guidance-distilled transformer (HunyuanVideo); others take none. At 1
    real clips are what such a model already predicts. `sampler` is that of `generate.sampler`."""
    objective: ObjectiveSpec = FlowSpec()
    """What is learned from the own clips and their scores."""
    realism: RealismSpec = RealismSpec()
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    """Number format of the forward and backward pass; weights, optimiser and average are always float32. A processor
    without instructions for bfloat16 computes in float32, ten times as fast."""
    checkpoint_every: Size = 50
    """Steps between resumable states."""
    seed: Count = 0
    """Seed of order, noise and noise levels."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """`adamw_8bit` stores the moments in 8 bits, in a quarter of the memory; it needs a GPU and bitsandbytes."""
    num_held_out: Count = 0
    """Real clips kept out of training, to measure the loss on them at fixed noise before step 1 and at every
    checkpoint."""

    @model_validator(mode="before")
    @classmethod
    def _negative_is_an_objective(cls, given: object) -> object:
        """Recipes of earlier releases set `negative` where `objective` is set now."""
        if not isinstance(given, dict) or "negative" not in given:
            return given
        beta = given["negative"]
        if not isinstance(beta, (int, float)) or isinstance(beta, bool) or beta < 0:
            raise ValueError(f"train.negative must be a number >= 0, got {beta!r}; now it is {_as_objective('BETA')}")
        now = _as_objective(f"{beta:g}") if beta else "train.objective: {kind: flow}"
        if "objective" in given:
            raise ValueError(f"train.negative stands beside train.objective: leave it out, or write {now} instead")
        rest = {name: value for name, value in given.items() if name != "negative"}
        return {**rest, "objective": {"kind": "nft", "beta": beta, "strength": beta}} if beta else rest

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.num_steps is not None and self.num_epochs is not None:
            raise ValueError(
                f"train.num_steps {self.num_steps} and train.num_epochs {self.num_epochs:g} both say how long to "
                "train: set one of them to null"
            )
        return self

    @property
    def is_held(self) -> bool:
        """Whether a term holds the model to a frozen one, whatever the objective."""
        return self.anchor > 0 or self.norm_guard > 0

    @property
    def is_held_to_base(self) -> bool:
        """Whether that frozen one is the base in every round, and not the model that a round starts from."""
        return self.is_held and self.anchor_to == "base"

    @property
    def steps(self) -> int:
        """Optimiser steps per round.

        Raises:
            ValueError: they follow from `num_epochs` and the clips, see `in_steps`.
        """
        if self.num_epochs is not None:
            raise ValueError("the number of steps follows from num_epochs and the clips: see in_steps")
        return NUM_STEPS if self.num_steps is None else self.num_steps

    @model_validator(mode="after")
    def _batch_can_be_split(self) -> Self:
        # Here and not in the recipe: the number of micro-batches is in no key, so no Spec may hold one that counts.
        if self.batch_size % self.num_accumulation:
            raise ValueError(
                f"train.batch_size must be a multiple of train.num_accumulation, "
                f"got {self.batch_size!r} and {self.num_accumulation!r}"
            )
        if self.realism.kind == "moments" and self.num_accumulation > 1:
            raise ValueError(
                "train.realism.kind: moments compares a whole batch with the real clips, but num_accumulation splits "
                "the batch: set train.num_accumulation: 1, or realism.kind: real_flow"
            )
        if not isinstance(self.objective, PluginSpec) and (problem := unit_problem(self, self.objective.needs())):
            raise ValueError(problem)
        return self


def _as_objective(beta: str) -> str:
    return f"train.objective: {{kind: nft, beta: {beta}, strength: {beta}}}"


def in_steps(spec: TrainSpec, num_clips: int, needs: ObjectiveNeeds) -> TrainSpec:
    """The same training with a number of steps in place of epochs.

    Args:
        spec: how the model is trained.
        num_clips: own clips that an epoch reads.
        needs: what its objective needs.
    """
    if spec.num_epochs is None:
        return spec
    num_steps = max(1, math.ceil(spec.num_epochs * num_clips / max(1, num_own_rows(spec, needs))))
    return spec.model_copy(update={"num_steps": num_steps, "num_epochs": None})


def num_own_rows(spec: TrainSpec, needs: ObjectiveNeeds) -> int:
    """Own clips in each batch of a run with real clips: what is left beside their share, in whole units, at least one.

    Args:
        spec: how the model is trained.
        needs: what its objective needs.
    """
    share = spec.realism.share if spec.realism.kind != "none" else 0.0
    num = spec.batch_size - round(spec.batch_size * share)
    return max(needs.unit_size if num else 0, num - num % needs.unit_size)


def unit_problem(spec: TrainSpec, needs: ObjectiveNeeds, num_processes: int = 1) -> str | None:
    """Why an objective's units cannot be kept whole in micro-batches and processes; None if they can.

    Args:
        spec: how the model is trained.
        needs: what its objective needs.
        num_processes: training processes, at least 1.
    """
    size, share = needs.unit_size, spec.num_accumulation * num_processes
    if micro_batch_size(spec, num_processes) % size:
        step = size * share
        return (
            f"the objective compares {size} clips at once, but a micro-batch holds "
            f"{micro_batch_size(spec, num_processes)}: train.batch_size must be a multiple of {step} (clips compared x "
            f"train.num_accumulation x runtime.train.num_processes); the next larger one is "
            f"{-(-spec.batch_size // step) * step}"
        )
    has_real = spec.realism.kind != "none" and spec.realism.share > 0
    if size > 1 and has_real and num_own_rows(spec, needs) == spec.batch_size:
        return (
            f"train.batch_size {spec.batch_size} leaves no room for real clips beside the {size} clips that the "
            f"objective compares at once: set it to {2 * spec.batch_size}, or train.realism.kind: none"
        )
    return None


def micro_batch_size(spec: TrainSpec, num_processes: int) -> int:
    """Clips that one process computes at once; a recipe whose batch cannot be split this way is refused on reading.

    Args:
        spec: how the model is trained.
        num_processes: training processes, at least 1.
    """
    return spec.batch_size // (spec.num_accumulation * num_processes)


def expert_problem(spec: TrainSpec, needs: ObjectiveNeeds, levels: tuple[float, float]) -> str | None:
    """Why an objective cannot tune a transformer that predicts at these noise levels alone; None if it can.

    Args:
        spec: how the model is trained.
        needs: what its objective needs.
        levels: lowest and highest noise level of the transformer; 0 and 1 for a model with one.
    """
    low, high = levels
    lowest, highest = needs.sigma_range
    if max(low, lowest) > min(high, highest) or (needs.positions and not positions_in(needs, levels)):
        return f"the objective reads own clips at no noise level from {low:g} to {high:g}, where this expert predicts"
    if low > 0 and isinstance(spec.objective, OnlineSpec) and spec.objective.num_ode_steps > 1:
        return "train.objective.num_ode_steps above 1 denoises past the noise levels where this expert predicts"
    return None


def positions_in(needs: ObjectiveNeeds, levels: tuple[float, float]) -> tuple[float, ...]:
    """The objective's noise levels at which a transformer with these noise levels predicts."""
    low, high = levels
    return tuple(each for each in needs.positions if low <= each and (each < high or high == 1.0))


def parallel_problem(train: TrainSpec, runtime: TrainRuntime) -> str | None:
    """Why training cannot be split over that number of processes in that way; None if it can."""
    num = runtime.num_processes
    if num == 1:
        return None
    share = train.num_accumulation * num
    if micro_batch_size(train, num) * share != train.batch_size:
        return (
            f"train.batch_size must be a multiple of train.num_accumulation x runtime.train.num_processes, got "
            f"{train.batch_size!r}, {train.num_accumulation!r} and {num!r}; the next larger one is "
            f"{-(-train.batch_size // share) * share}"
        )
    if not isinstance(train.objective, PluginSpec) and (problem := unit_problem(train, train.objective.needs(), num)):
        return problem
    if train.realism.kind == "moments":
        return (
            "train.realism.kind 'moments' compares a whole batch with the real clips, but several processes split "
            "the batch: use real_flow, or runtime.train.num_processes: 1"
        )
    if runtime.parallel == "fsdp" and isinstance(train.objective, OnlineSpec) and train.objective.num_ode_steps > 1:
        return (
            "train.objective.num_ode_steps above 1 takes more passes in processes with more own clips, and sharded "
            "weights need all processes in every pass: set it to 1, or runtime.train.parallel: ddp"
        )
    if runtime.parallel == "fsdp" and train.optimizer == "adamw_8bit":
        return (
            "train.optimizer 'adamw_8bit' cannot keep the moments of sharded weights: "
            "use adamw with runtime.train.parallel: fsdp, or runtime.train.parallel: ddp"
        )
    return None


def check_held_out(num: int, num_real: int) -> None:
    """Refuse to keep `num` of `num_real` real clips out of training if none would be left to train on.

    Raises:
        TrainingError: none would be left.
    """
    if 0 < num >= num_real:
        raise TrainingError(
            "train.num_held_out keeps all real clips out of training",
            expected=f"fewer than the {num_real} real clips there are",
            got=num,
            next_step="lower train.num_held_out, or raise prompts.real.num_clips",
        )
