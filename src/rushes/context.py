"""What every stage of a run receives: the recipe, the run folder, the executor, the models, the clips so far.

Stages are functions of it. It loads nothing until a stage needs it, and knows no stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from rushes.errors import RecipeError
from rushes.execute.work import Executor, Needs
from rushes.families.folder import word_level_vocabulary
from rushes.families.models import Model, Models
from rushes.families.tokens import CountTokens, token_counter
from rushes.plan.totals import Forecast
from rushes.recipe.dimensions import known
from rushes.recipe.recipe import Recipe, as_draft
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Clip, Prompt, Rejection, Stated
from rushes.store.advance import Place
from rushes.store.blobs import Blobs
from rushes.store.remembered import Remembered
from rushes.store.run import Run

if TYPE_CHECKING:
    from rushes.families.family import Conditions


class Context:
    """One run in progress."""

    def __init__(self, recipe: Recipe, run: Run) -> None:
        """Prepare; nothing is loaded before it is needed.

        Args:
            recipe: what to do.
            run: the open run folder.
        """
        self.recipe = recipe
        self.run = run
        self.doing = ""
        """The stage that works now, see `during`."""
        self.prompts: dict[str, Prompt] = {}
        """Every prompt seen so far, by key."""
        self.clips: Remembered[Clip] = Remembered(run.clips)
        """Every clip seen so far, by key; those of a round that is resumed in training are read when they are used."""
        self.stated: dict[str, Stated] = {}
        """What their owner says about real clips, by key, where they are trained on; it names clips by their keys."""
        self.outputs: dict[str, Clip] = {}
        """Clips by the output of the model, see `rushes.generate.takes.Take.output`."""
        self.rejections: list[Rejection] = []
        """Texts that the screen has rejected in all rounds so far: drafts, and captions of real clips."""
        self.forecast = Forecast(recipe, run.log)
        """The expected totals; changes are written to the event log."""
        shapes = [each.shape for each in (recipe, as_draft(recipe))]
        self.models = Models(recipe.base, recipe.runtime, shapes, run.blobs, run.log)
        """The base model with the weights that a stage requests."""
        other = recipe.generate.model
        self.generators = self.models if other is None else Models(other, recipe.runtime, shapes, run.blobs, run.log)
        """The model that generates clips to train on: the same, or the one that the recipe names for it."""

    # ---------------------------------------------------------------- where work runs

    @cached_property
    def runtime(self) -> RuntimeSpec:
        """The recipe's runtime; if it names no folder for replies of language models, they go to the run folder."""
        runtime = self.recipe.runtime
        if runtime.cache_folder is not None:
            return runtime
        # An absolute path: a worker has another working directory.
        return runtime.model_copy(update={"cache_folder": str((self.run.home / "llm").resolve())})

    @cached_property
    def blobs(self) -> Blobs:
        """The run's stored files by absolute path, for workers."""
        return Blobs(self.run.blobs.folder.resolve())

    @property
    def here(self) -> Place:
        """This process, for work that is light or needs what is already loaded here."""
        return self.run.place(during=self.doing)

    @property
    def workers(self) -> Place:
        """Where clips are generated, judged and measured: this process, or a Ray cluster."""
        runtime = self.recipe.runtime
        return self.run.place(self._executor, needs_of(runtime), runtime.device, self.doing)

    @contextmanager
    def during(self, stage: str) -> Iterator[None]:
        """Meanwhile, progress is shown as that stage's; inside another stage, as part of that one."""
        before, self.doing = self.doing, self.doing or stage
        try:
            yield
        finally:
            self.doing = before

    @cached_property
    def _executor(self) -> Executor | None:
        return executor_of(self.recipe.runtime)

    # ---------------------------------------------------------------- what the recipe means

    @cached_property
    def group_dimensions(self) -> frozenset[str]:
        """Dimensions measured over several takes of a prompt."""
        return frozenset(each.name for each in known(self.recipe.diagnose) if each.group)

    @cached_property
    def vocabulary(self) -> frozenset[str] | None:
        """The words in a word-level tokenizer's vocabulary; None for models that can read any word."""
        return word_level_vocabulary(self.recipe.base)

    @cached_property
    def count_tokens(self) -> CountTokens | None:
        """Counts the tokens of a text as the model reads it; None if its tokenizer is not to be had."""
        return token_counter(self.recipe.base)

    @property
    def base(self) -> Model:
        """The base model, before any training."""
        return self.models.base

    @property
    def conditions(self) -> Conditions:
        """The transformer's inputs in generation besides latents, timestep and text."""
        from rushes.families.family import Conditions

        return Conditions(fps=self.recipe.shape.fps, guidance=self.recipe.own_sampler.guidance_scale)

    @property
    def training_conditions(self) -> Conditions:
        """The same in training, with a guidance scale of its own."""
        guidance = self.recipe.train.guidance
        return self.conditions if guidance == "sampler" else replace(self.conditions, guidance=guidance)


def executor_of(runtime: RuntimeSpec) -> Executor | None:
    """The executor that a recipe names for generating, judging and measuring; None for this process.

    Raises:
        RecipeError: the recipe names one GPU by number, but Ray assigns a GPU to each worker.
    """
    if runtime.executor == "local":
        return None
    if runtime.device not in ("cuda:0", "cuda") and runtime.device.startswith("cuda"):
        raise RecipeError(
            "Ray's workers are given one GPU each, which is the only one they see",
            expected="runtime.device: cuda",
            got=runtime.device,
            next_step="--set runtime.device=cuda",
        )
    from rushes.execute.ray import RayExecutor

    return RayExecutor(runtime.num_workers, runtime.ray_address)


def needs_of(runtime: RuntimeSpec) -> Needs:
    """What one worker needs: the recipe's threads, and a GPU if the recipe's device is one."""
    return Needs(num_cpus=runtime.num_threads, num_gpus=1.0 if runtime.device.startswith("cuda") else 0.0)
