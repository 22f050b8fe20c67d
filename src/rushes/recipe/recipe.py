"""The recipe: every setting of a run, stage by stage."""

from __future__ import annotations

import math
import re
from typing import ClassVar, Self

from pydantic import model_validator

from rushes.recipe.base import BaseModelSpec, ShapeSpec
from rushes.recipe.diagnose import DiagnoseSpec
from rushes.recipe.generate import GenerateSpec
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.measure import MeasureSpec
from rushes.recipe.models import ServerModelSpec, VlmJudgeSpec, models_named
from rushes.recipe.prompts import PromptsSpec
from rushes.recipe.runtime import BudgetSpec, RuntimeSpec
from rushes.recipe.train import RealismSpec, TrainSpec, parallel_problem
from rushes.recipe.watch import WatchSpec
from rushes.recipe.weights import WeightsSpec
from rushes.records import SamplerSettings
from rushes.records.base import Count, Size
from rushes.roles import Spec


class StagesSpec(Spec):
    """Everything that decides a run's results: a recipe without its name and runtime."""

    spec_name: ClassVar[str] = "stages"
    added_later: ClassVar[frozenset[str]] = frozenset({"watch"})

    seed: Count = 0
    """Root of all seeds."""
    num_rounds: Size = 1
    """Rounds of feedback; each round generates with the model of the previous one."""
    base: BaseModelSpec
    shape: ShapeSpec = ShapeSpec()
    diagnose: DiagnoseSpec
    prompts: PromptsSpec
    generate: GenerateSpec = GenerateSpec()
    judge: JudgeSpec
    weights: WeightsSpec = WeightsSpec()
    train: TrainSpec = TrainSpec()
    watch: WatchSpec | None = None
    """Watches training and keeps its best checkpoint; null trains to the last step unseen."""
    measure: MeasureSpec

    @property
    def is_measured(self) -> bool:
        """Whether base and tuned model are compared at the end."""
        return self.measure.num_prompts > 0

    @property
    def is_judged(self) -> bool:
        """Whether the judge scores the clips to train on."""
        return self.generate.decode and not self.prompts.only_real

    @property
    def training(self) -> TrainSpec:
        """How the model is trained: without a realism term where real clips are all that is trained on."""
        is_alone = self.prompts.only_real and self.train.realism.kind != "none"
        return self.train.model_copy(update={"realism": RealismSpec(kind="none")}) if is_alone else self.train

    @property
    def real_shapes(self) -> tuple[ShapeSpec, ...]:
        """The shapes that real clips may have, that of the model's own clips first."""
        others = (self.shape.model_copy(update=each.model_dump()) for each in self.prompts.real.shapes)
        return tuple(dict.fromkeys((self.shape, *others)))

    @property
    def own_sampler(self) -> SamplerSettings:
        """How the model that is tuned is sampled: as for the comparison, where another one generates the clips."""
        return self.measure.sampler if self.generate.is_by_another else self.generate.sampler

    @model_validator(mode="after")
    def _another_generates(self) -> Self:
        if not self.generate.is_by_another:
            return self
        if self.prompts.only_real:
            raise ValueError(
                "generate.model and generate.lora: nothing is generated where only real clips are trained on; leave "
                "them out, or raise prompts.num_weakness"
            )
        objective = self.train.objective
        if self.generate.model is not None and objective.kind == "art" and objective.noise == "own":
            raise ValueError(
                "train.objective.noise: own reads the noise that a clip of the tuned model began with, and "
                "generate.model names another model: set train.objective.noise: new"
            )
        return self

    @model_validator(mode="after")
    def _only_real(self) -> Self:
        if not self.is_measured and not self.prompts.only_real:
            raise ValueError(
                "measure.num_prompts: 0 measures nothing, which is for training on real clips alone: set it to 1 or "
                "more, or prompts.num_weakness and prompts.num_caption to 0 with prompts.real.folder"
            )
        if self.prompts.only_real and self.train.objective.kind in ("online", "reward_gradient"):
            raise ValueError(
                f"train.objective: {self.train.objective.kind} asks the judge in training, and no judge is asked where "
                "only real clips are trained on: choose another objective, or raise prompts.num_weakness"
            )
        if self.prompts.only_real and self.watch is not None:
            raise ValueError(
                "watch follows the judge's and the measurer's view of training, and nothing is judged where only real "
                "clips are trained on: set watch: null"
            )
        return self

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.train.realism.kind != "none" and self.prompts.real.num_wanted == 0:
            raise ValueError(
                "train.realism needs real clips: name prompts.real.folder or prompts.real.source, with num_clips "
                "above 0, or set train.realism.kind: none"
            )
        if 0 < self.train.num_held_out >= self.prompts.real.num_wanted:
            raise ValueError(
                f"train.num_held_out keeps {self.train.num_held_out} real clips out of training, and there are "
                f"{self.prompts.real.num_wanted}: lower it, or raise prompts.real.num_clips"
            )
        objective = self.train.objective
        if self.weights.kind == "contrast" and objective.kind == "flow":
            raise ValueError(
                "weights.kind: contrast draws bad clips as often as good ones, to move away from them: set "
                "train.objective: {kind: nft}, or choose another weighting"
            )
        num_takes = math.inf if self.prompts.only_real else self.generate.num_takes  # of a folder: told when read
        if objective.kind == "crd" and objective.num_takes > num_takes:
            raise ValueError(
                f"train.objective.num_takes compares {objective.num_takes} takes of a prompt, and there are "
                f"{self.generate.num_takes}: lower it, or raise generate.num_takes"
            )
        if objective.kind == "art" and num_takes < 2:
            raise ValueError(
                "train.objective: art compares the takes of a prompt, and there is one: raise generate.num_takes"
            )
        if not self.generate.decode and (
            self.weights.kind != "uniform" or objective.kind != "flow" or self.generate.latents != "sampler"
        ):
            raise ValueError(
                "generate.decode: false leaves no frames to judge or to encode again: set weights.kind: uniform, "
                "train.objective: {kind: flow} and generate.latents: sampler, or generate.decode: true"
            )
        if problem := precision_problem(self):
            raise ValueError(problem)
        judge = self.judge.judge
        if (
            objective.kind == "reward_gradient"
            and isinstance(judge, VlmJudgeSpec)
            and isinstance(judge.model, ServerModelSpec)
        ):
            raise ValueError(
                f"train.objective: reward_gradient needs the gradient of judge.judge, and {judge.model.model!r} is on "
                "a server, which returns probabilities alone: name a judge that runs in this process (judge.judge: "
                "{kind: vlm, model: {kind: transformers, ...}}), or set train.objective: {kind: online}, which needs "
                "only scores"
            )
        for setting, each in ({} if self.prompts.only_real else self.judge.named).items():
            same = models_named(each) & models_named(self.measure.measurer)
            if same and not self.measure.same_model_as_judge:
                raise ValueError(
                    f"measure.measurer names the model of {setting}, {min(same)!r}: it would measure its own rewards. "
                    "Name another model there, or set measure.same_model_as_judge: true"
                )
        return self


class Recipe(StagesSpec):
    """One run: the stages' specs, its name, and how it is executed."""

    spec_name: ClassVar[str] = "recipe"

    name: str = "run"
    """Shown in the report."""
    runtime: RuntimeSpec = RuntimeSpec()
    budget: BudgetSpec = BudgetSpec()
    """Fits prompts, clips, frames and steps into a number of GPU-hours; only for the real models of the packaged
    recipes."""

    @property
    def folder_name(self) -> str:
        """Its name as one of a folder: letters, digits, `_`, `.` and `-`; neither hidden nor empty."""
        return re.sub(r"[^\w.-]+", "-", self.name).strip(".-") or "run"

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if problem := parallel_problem(self.train, self.runtime.train):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _of_one_shape(self) -> Self:
        if len(self.real_shapes) == 1:
            return self
        if self.train.realism.kind == "moments":
            raise ValueError(
                "train.realism: moments compares latents position by position, and prompts.real.shapes makes real "
                "clips of several shapes: set train.realism.kind: real_flow, or leave prompts.real.shapes empty"
            )
        if self.runtime.train.num_processes > 1:
            raise ValueError(
                "prompts.real.shapes gives a step several passes of different sizes, which several training processes "
                "cannot share: set runtime.train.num_processes: 1, or leave prompts.real.shapes empty"
            )
        return self


def precision_problem(stages: StagesSpec) -> str | None:
    """Why a number format of transformers' weights does not go with that of a pass or an adapter; None if it does."""
    other, sampler = stages.generate.model, ("generate.sampler.precision", stages.generate.sampler.precision)
    measuring = ("measure.sampler.precision", stages.measure.sampler.precision)
    passes = {"base": (stages.base, [sampler, measuring, ("train.precision", stages.train.precision)])}
    if other is not None:
        passes["generate.model"] = (other, [sampler])
    for where, (model, each) in passes.items():
        odd = [name for name, value in each if value != "bfloat16"]
        if model.transformer_precision is not None and odd:
            return (
                f"{where}.transformer_precision: {model.transformer_precision} computes in bfloat16: set "
                f"{' and '.join(odd)} to bfloat16, or {where}.transformer_precision: null"
            )
    where, (model, _) = list(passes.items())[-1]
    if stages.generate.lora is not None and model.transformer_precision == "float8":
        return f"generate.lora cannot be added to weights in 8 bits: set {where}.transformer_precision: bfloat16"
    return None


def as_draft(recipe: Recipe) -> Recipe:
    """The recipe with the shape, sampler and takes of its draft takes; unchanged if it has no drafts."""
    draft = recipe.generate.draft
    if draft is None:
        return recipe
    sides = {name: getattr(draft, name) for name in ("num_frames", "height_px", "width_px")}
    shape = recipe.shape.model_copy(update={name: value for name, value in sides.items() if value is not None})
    sampler = recipe.generate.sampler
    if draft.num_steps is not None:
        sampler = sampler.model_copy(update={"num_steps": draft.num_steps})
    generate = recipe.generate.model_copy(update={"sampler": sampler, "num_takes": draft.num_takes})
    return recipe.model_copy(update={"shape": shape, "generate": generate})


def as_trained(recipe: Recipe) -> Recipe:
    """The recipe with the largest shape that training reads; unchanged if that is the model's own clips'."""
    largest = max(recipe.real_shapes, key=lambda each: each.num_pixels)
    return recipe if largest == recipe.shape else recipe.model_copy(update={"shape": largest})


def as_generating(recipe: Recipe) -> Recipe:
    """The recipe with the model that generates clips to train on as its base; unchanged if that is the tuned one."""
    other = recipe.generate.model
    return recipe if other is None else recipe.model_copy(update={"base": other})
