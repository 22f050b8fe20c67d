"""One look at a model: clips of the watch prompts, judged and measured, and what they say in a few numbers.

Clips, answers and measurements are ordinary records in tables of their own, under the keys of the weights that made
them. So a killed look resumes, its costs are separate, and training is the same with and without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Final

from rushes.context import Context
from rushes.families.models import Model
from rushes.feedback import gives
from rushes.generate.stage import WATCH_CLIPS, evaluation_how, watch_clips
from rushes.generate.takes import Take, takes
from rushes.judge.key import scoring_identity
from rushes.judge.stage import judge
from rushes.judge.votes import WINS
from rushes.measure.drift import frame_stats
from rushes.measure.stage import measurements_of, measurer_identity
from rushes.plugins import JUDGE, resolved
from rushes.records import (
    Clip,
    Measurement,
    Outcome,
    Prompt,
    Score,
    Scored,
    WatchedPrompt,
    WatchPoint,
    WatchSet,
)
from rushes.store.advance import Work, advance
from rushes.store.identity import work_key
from rushes.store.run import Run
from rushes.store.table import Table

WATCH_PREFIX: Final = "watch_"
"""Of the tables of what the judge says about watch clips."""
WATCH_MEASUREMENTS: Final = "watch_measurements"
"""Table of the measurer's results on watch clips."""
WATCH_POINTS: Final = "watch_points"
"""Table of the looks."""
NUM_AT_NOISE: Final = 16
"""The base's watch clips on which the norm of the velocity is computed, at most."""


@dataclass(frozen=True)
class When:
    """When a look takes place."""

    training: str | None = None
    """Key of the training; None for the look before all training."""
    round_index: int = 0
    """Its round."""
    step: int = 0
    """Optimiser steps of it."""


@dataclass(frozen=True, eq=False)
class Watch:
    """Looks at models, always on the same prompts and seeds."""

    context: Context
    """The run in progress."""
    prompts: tuple[Prompt, ...]
    """The watch prompts."""

    @property
    def table(self) -> Table[WatchPoint]:
        """Where the looks are stored."""
        return points_of(self.context.run)

    def key(self, model: str) -> str:
        """Work key of the look at the weights with that name."""
        recipe = self.context.recipe
        names = {question.dimension for prompt in self.prompts for question in prompt.questions}
        spec = {
            **scoring_identity(recipe.judge, names),
            "measurer": measurer_identity(recipe.measure, names),
            "precision": recipe.train.precision,
            "base": self.context.base.name,
        }
        return work_key("watch_point", spec, [piece.key for piece in self._work(model)])

    @property
    def asked(self) -> str:
        """What all looks of the recipe share: the key of the look at the base."""
        return self.key(self.context.base.name)

    def seen(self, model: str) -> WatchPoint | None:
        """The look at those weights, if there has been one; the weights are not needed."""
        key = self.key(model)
        return self.table.get_many([key]).get(key)

    def look(self, model: Model, when: When) -> WatchPoint:
        """Look at a model, unless that has been done.

        Raises:
            Stopped: stopped by the user; what is done is stored.
            StageFailed: nothing could be generated, judged or measured.
        """
        if (seen := self.seen(model.name)) is not None:
            return seen
        run, groups = self.context.run, self.context.group_dimensions
        clips = watch_clips(self.context, model, self._work(model.name))
        single = [clip for clip in clips if clip.dimension not in groups]
        scores = self._judged(model.name, single)
        measured = measurements_of(self.context, clips, run.table(WATCH_MEASUREMENTS, Measurement))
        make = partial(self._point, model=model, clips=single, scores=scores, measured=measured)
        work = [Work(self.key(model.name), when)]
        (point,) = advance(self.table, work, make, chunk_size=1, place=self.context.here, must_finish=True)
        return point

    def _judged(self, model: str, clips: Sequence[Clip]) -> list[Score]:
        """The judge's scores of a look's clips; where it gives preferences, the base's takes are shown beside them.

        The base itself is not asked about there: against itself every model wins half.
        """
        voted = [clip for clip in clips if self._is_voted(clip.dimension)]
        rated = [clip for clip in clips if not self._is_voted(clip.dimension)]
        beside: list[Clip] = []
        if voted and model == self.context.base.name:
            voted = []
        elif voted:
            keys = [piece.key for piece in self._work(self.context.base.name)]
            base = self.context.run.table(WATCH_CLIPS, Clip).get_many(keys).values()
            beside = [clip for clip in base if self._is_voted(clip.dimension)]
        own = {clip.key for clip in clips}
        found = judge(self.context, [*beside, *voted, *rated], WATCH_PREFIX)
        return [score for score in found if score.clip_key in own]

    def _is_voted(self, dimension: str) -> bool:
        one = self.context.recipe.judge.of(dimension).judge
        return gives(resolved(one, JUDGE)) == "preferences" and dimension not in self.context.group_dimensions

    def _work(self, model: str) -> list[Work[Take]]:
        recipe, groups = self.context.recipe, self.context.group_dimensions
        assert recipe.watch is not None
        how = evaluation_how(self.context, Model(model, None))
        single = [prompt for prompt in self.prompts if prompt.dimension not in groups]
        several = [prompt for prompt in self.prompts if prompt.dimension in groups]
        return [
            *takes(single, recipe.watch.num_takes, how),
            *takes(several, recipe.measure.num_diversity_takes, how),
        ]

    def _point(
        self,
        chunk: Sequence[Work[When]],
        *,
        model: Model,
        clips: Sequence[Clip],
        scores: Sequence[Score],
        measured: Sequence[Measurement],
    ) -> list[WatchPoint]:
        """The only point of a chunk; called by `advance`."""
        ((key, when),) = ((piece.key, piece.payload) for piece in chunk)
        context = self.context
        stats = [frame_stats(context.blobs.read_video(clip.frames)) for clip in clips]
        several = [_value(each.outcome) for each in measured if each.dimension in context.group_dimensions]
        return [
            WatchPoint(
                key=key,
                model=model.name,
                training=when.training,
                round_index=when.round_index,
                step=when.step,
                asked=self.asked,
                prompts=tuple(
                    self._watched(prompt, model.name, scores, measured)
                    for prompt in self.prompts
                    if prompt.dimension not in context.group_dimensions
                ),
                diversity=_mean(several),
                motion=_mean([each.motion for each in stats]),
                saturation=_mean([each.saturation for each in stats]),
                velocity_norm=self._velocity_norm(model),
            )
        ]

    def _watched(
        self, prompt: Prompt, model: str, scores: Sequence[Score], measured: Sequence[Measurement]
    ) -> WatchedPrompt:
        found = [each.outcome for each in scores if each.prompt_key == prompt.key]
        judged, unit = _mean([_value(each) for each in found]), _unit(found)
        if self._is_voted(prompt.dimension):
            judged, unit = 0.5 if model == self.context.base.name else judged, WINS
        return WatchedPrompt(
            prompt_key=prompt.key,
            judge=judged,
            unit=unit,
            measurer=_mean([_value(each.outcome) for each in measured if each.prompt_key == prompt.key]),
        )

    def _velocity_norm(self, model: Model) -> float | None:
        """Root mean square of a model's velocity on the base's watch clips at fixed noise; None if it is offloaded."""
        from rushes.watch.norm import velocity_norm

        context = self.context
        keys = [piece.key for piece in self._work(context.base.name)]
        clips = list(context.run.table(WATCH_CLIPS, Clip).get_many(keys).values())[:NUM_AT_NOISE]
        texts = [context.prompts[clip.prompt_key].text for clip in clips]
        family = context.models.with_weights(model, texts)
        if not clips or family.placement.offload != "none":
            return None
        is_autocast = context.recipe.train.precision == "bfloat16"
        return velocity_norm(family, clips, texts, context.blobs, context.conditions, autocast=is_autocast)


def points_of(run: Run) -> Table[WatchPoint]:
    """All looks of a run, those of recipes that ran in its folder before too."""
    return run.table(WATCH_POINTS, WatchPoint)


def current(run: Run) -> list[WatchPoint]:
    """The looks that ask what the recipe in use asks; all while that is not known."""
    asked = {each.asked for each in run.read_derived(WATCH_POINTS, WatchSet) or ()}
    return [each for each in points_of(run).all() if not asked or each.asked in asked]


def _value(outcome: Outcome) -> float | None:
    return outcome.value if isinstance(outcome, Scored) else None


def _unit(outcomes: Sequence[Outcome]) -> str | None:
    return next((each.unit for each in outcomes if isinstance(each, Scored)), None)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
