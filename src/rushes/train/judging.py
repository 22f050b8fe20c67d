"""Which judge a training asks, and what about each clip: plain data, for every process that trains.

Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from rushes.context import Context
from rushes.judge.key import scoring_identity
from rushes.plugins import objective_needs
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.objectives import RewardGradientSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import RuntimeSpec
from rushes.recipe.train import TrainSpec
from rushes.records import Prompt, Question, Sample
from rushes.store.identity import content_hash, spec_part


class AskedClip(BaseModel):
    """What is asked about a clip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    """The prompt."""
    questions: tuple[Question, ...]
    """Its questions."""


class JudgeOrder(BaseModel):
    """The judge, and what to ask it about each row of the training data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: JudgeSpec
    runtime: RuntimeSpec
    fps: float
    """Frames per second of the clips."""
    prompts: tuple[AskedClip, ...]
    """Each prompt once."""
    row_prompt: tuple[int, ...]
    """For each row its prompt's position."""

    def of_row(self, row: int) -> AskedClip:
        """What is asked about a row."""
        return self.prompts[self.row_prompt[row]]


def judge_order(context: Context, spec: TrainSpec, samples: tuple[Sample, ...]) -> JudgeOrder | None:
    """The order of a training; None if its objective does not ask the judge.

    Args:
        context: the run in progress, with the samples' prompts.
        spec: how the model is trained.
        samples: the rows of the training data, in order.
    """
    if objective_needs(spec).judge == "none":
        return None
    keys = list(dict.fromkeys(sample.prompt_key for sample in samples))
    place = {key: number for number, key in enumerate(keys)}
    prompts = [context.prompts[key] for key in keys]
    return JudgeOrder(
        spec=context.recipe.judge,
        runtime=context.runtime,
        fps=context.recipe.shape.fps,
        prompts=tuple(AskedClip(text=prompt.text, questions=prompt.questions) for prompt in prompts),
        row_prompt=tuple(place[sample.prompt_key] for sample in samples),
    )


def asked_identity(recipe: Recipe, samples: tuple[Sample, ...], prompts: Mapping[str, Prompt]) -> str | None:
    """Hash of what decides the judge's answers in training, for its key; None if its objective does not ask."""
    spec = recipe.train
    if objective_needs(spec).judge == "none":
        return None
    asked = {
        sample.prompt_key: [each.model_dump(mode="json") for each in prompts[sample.prompt_key].questions]
        for sample in samples
        if sample.source == "own"
    }
    dimensions = {question["dimension"] for questions in asked.values() for question in questions}
    last = isinstance(spec.objective, RewardGradientSpec) and spec.objective.at == "last_step"
    return content_hash(
        {
            **scoring_identity(recipe.judge, dimensions),
            "fps": recipe.shape.fps,
            "questions": asked,
            "sampler": spec_part(recipe.own_sampler) if last else None,
        }
    )
