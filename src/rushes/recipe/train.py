"""Recipe settings for training: what affects the weights."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rushes.errors import TrainingError
from rushes.recipe.runtime import TrainRuntime
from rushes.records.base import Count, Share, Size
from rushes.roles import Spec


class RealismSpec(Spec):
    """The realism constraint: which loss term ties the model to real clips, and how strongly."""

    spec_name: ClassVar[str] = "realism"

    kind: Literal["none", "real_flow", "moments"] = "real_flow"
    """`real_flow`: flow matching on real clips; `moments`: predicted clean latents distributed as real ones."""
    coefficient: Annotated[float, Field(ge=0)] = 1.0
    """Factor of the term in the loss."""
    share: Share = 0.25
    """Share of real clips in each batch."""


class LoraSpec(Spec):
    """A low-rank adapter instead of full fine-tuning."""

    spec_name: ClassVar[str] = "lora"

    rank: Size = 16
    """Rank r."""
    alpha: Size = 16
    """Numerator of the scale alpha / rank; alpha = rank means scale 1, which all LoRA loaders read alike."""


class TrainSpec(Spec):
    """How the model is fine-tuned."""

    spec_name: ClassVar[str] = "train"

    lora: LoraSpec | None = None
    """A low-rank adapter; null for full fine-tuning."""
    num_steps: Size = 200
    """Optimiser steps per round."""
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
    shift: Annotated[float, Field(gt=0)] = 2.0
    """Timestep shift s: sigma = s u / (1 + (s - 1) u)."""
    sigma_density: Literal["uniform", "logit_normal", "mixed"] = "logit_normal"
    """Density of u before the shift: `logit_normal` as in the training of most flow models, `uniform`, or `mixed`,
    which alternates the two."""
    caption_drop: Share = 0.1
    """Share of captions replaced by the empty caption."""
    anchor: Annotated[float, Field(ge=0)] = 0.0
    """Coefficient of the squared distance to the frozen base's velocity."""
    negative: Annotated[float, Field(ge=0)] = 0.0
    """Weight of a negative-aware term that pushes away from the worst clips; 0 for none."""
    realism: RealismSpec = RealismSpec()
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    """Number format of the forward and backward pass; weights, optimiser and average are always float32."""
    checkpoint_every: Size = 50
    """Steps between resumable states."""
    seed: Count = 0
    """Seed of order, noise and noise levels."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """`adamw_8bit` stores the moments in 8 bits, in a quarter of the memory; it needs a GPU and bitsandbytes."""
    num_held_out: Count = 0
    """Real clips kept out of training, to measure the loss on them at fixed noise before step 1 and at every
    checkpoint."""

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
        return self

    @property
    def needs_reference(self) -> bool:
        """Whether the loss compares with the frozen base: a forward pass more in every step."""
        return self.anchor > 0 or self.negative > 0


def micro_batch_size(spec: TrainSpec, num_processes: int) -> int:
    """Clips that one process computes at once; a recipe whose batch cannot be split this way is refused on reading.

    Args:
        spec: how the model is trained.
        num_processes: training processes, at least 1.
    """
    return spec.batch_size // (spec.num_accumulation * num_processes)


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
    if train.realism.kind == "moments":
        return (
            "train.realism.kind 'moments' compares a whole batch with the real clips, but several processes split "
            "the batch: use real_flow, or runtime.train.num_processes: 1"
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
