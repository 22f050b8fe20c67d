"""How each step of a run is put together: what to work on, with which tool, into which table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Literal

from rushes.context import Model, Workbench
from rushes.crew import Crew
from rushes.diagnose.weakest import weakest
from rushes.drafting import Drafting
from rushes.elsewhere import blobs_for_workers, executor_of, needs_of
from rushes.generate.film import Take, copied, once, takes
from rushes.judge.grade import check_unscored_share
from rushes.measure.pairs import pair_up, prompt_gains
from rushes.measure.stage import measuring, subjects
from rushes.plan.totals import Forecast
from rushes.prompts.stage import PromptDesk, runtime_of
from rushes.recipe.recipe import Recipe
from rushes.records import Clip, Focus, Measurement, Prompt, Sample, Score, Scorecard
from rushes.remembered import real_moments, unit_flops
from rushes.report.collect import Result, publish
from rushes.store.advance import Work
from rushes.store.decoded import side_by_side
from rushes.store.run import Run
from rushes.train.lesson import Lesson, check_held_out
from rushes.train.stage import train_round
from rushes.weights.report import report_weights
from rushes.weights.weigh import unjudged, weigh
from rushes_vbench.held_out import filmed_as

COPIED_AT_ONCE = 256
"""Clips per chunk that are another one's under another name."""


class Halt(Exception):
    """The run has reached the stage it was asked to stop after."""


class Steps:
    """The steps of one run; `pipeline.improve` puts them in order."""

    def __init__(self, recipe: Recipe, run: Run, until: str | None) -> None:
        """Prepare; nothing is loaded before it is needed."""
        self.recipe = recipe
        self.run = run
        self.until = until
        self.bench = Workbench(recipe, run)
        self.desk = PromptDesk(recipe, run, self.bench)
        self.clips: dict[str, Clip] = {}
        """Every clip met so far, by key."""
        self.films: dict[str, Clip] = {}
        """The same by what came out of the camera, see `rushes.generate.film.Take.film`."""
        self.forecast = Forecast(recipe, run.log)
        """What the event log is told about the totals."""
        self.executor = executor_of(recipe.runtime)
        """Where clips are filmed, judged and measured; None for this process."""
        self.blobs = blobs_for_workers(run.blobs)
        self.crew = Crew(recipe, run, self.bench, self.blobs, self.executor)

    @cached_property
    def base(self) -> Model:
        """The model to improve."""
        return self.bench.base

    def after(self, stage: str) -> None:
        """Stop here when the user asked for the stages up to this one.

        Raises:
            Halt: this is that stage.
        """
        if stage == self.until:
            raise Halt

    # ---------------------------------------------------------------- diagnosis

    def probe(self) -> tuple[Focus, ...]:
        """The dimensions to aim at: the untouched model's weakest on probe prompts, or those the user names."""
        self.forecast.evaluation(self.desk, len(self.run.prompts.failures()))
        found = self.look(self.base, self.desk.probes, "probe")
        spec = self.recipe.diagnose
        clips = [self.clips[key] for each in found for key in each.subject]
        scores = self.judge(clips) if spec.choose == "picked" else ()
        focus = weakest(found, spec, self.recipe.prompts.num_weakness, scores)
        self.run.write_derived("focus", focus)
        self.forecast.comparison(self.desk.compared(focus), self.desk.group_dimensions)
        return focus

    # ---------------------------------------------------------------- prompts

    def real_clips(self) -> list[Clip]:
        """The real clips as records.

        Raises:
            TrainingError: training would have none; said now, before anything is filmed for it.
        """
        real = self.desk.real_clips()
        check_held_out(self.recipe.train.num_held_out, len(real))
        self.forecast.real_clips(len(real))
        return real

    def write(self, focus: Sequence[Focus], number: int) -> tuple[Prompt, ...]:
        """The prompts of a round, screened."""
        prompts = self.desk.write(focus, number)
        num_written = len(self.desk.by_key) + len(self.run.prompts.failures())
        self.forecast.round(number, prompts, num_written)
        return prompts

    # ---------------------------------------------------------------- filming

    def draft(self, model: Model, prompts: Sequence[Prompt], number: int) -> tuple[Prompt, ...]:
        """The prompts of a round that are worth full-length takes, by cheap ones where the recipe wants them."""
        picked = Drafting(self.crew).pick(model, prompts, self.desk.by_key, number)
        if len(picked) < len(prompts):
            self.forecast.filmed(number, picked)
        return picked

    def film(self, model: Model, prompts: Sequence[Prompt]) -> list[Clip]:
        """The takes of a round's prompts, with latents for training."""
        generate = self.recipe.generate
        return self._film(model, prompts, "generate", generate.num_takes)

    def _film(
        self, model: Model, prompts: Sequence[Prompt], purpose: Literal["generate", "measure"], num_takes: int
    ) -> list[Clip]:
        shape = self.recipe.shape
        sampler = self.recipe.generate.sampler if purpose == "generate" else self.recipe.measure.sampler
        shared = {prompt.key: name for prompt in prompts if (name := filmed_as(prompt)) is not None}
        wanted = partial(
            takes,
            prompts,
            model=model.name,
            sampler=sampler,
            shape=shape,
            num_takes=num_takes,
            filmed_as=shared,
            stored_as=self.recipe.generate.stored_as,
        )
        decode = purpose == "measure" or self.recipe.generate.decode
        whole = wanted(decode=decode)
        if decode and purpose == "generate":
            self._develop(model, whole, wanted(decode=False))
        missing = set(self.run.clips.missing([piece.key for piece in whole]))
        work, again = once(whole, self.films, {piece.key for piece in whole} - missing)
        made = self.crew.film(model, work, prompts, self.run.clips, sampler=sampler, shape=shape, decode=decode)
        self._keep(made, whole)
        if again:
            copy = partial(copied, films=self.films)
            made += self.run.advance(self.run.clips, again, copy, chunk_size=COPIED_AT_ONCE)
            self._keep(made, whole)
        place = {piece.key: number for number, piece in enumerate(whole)}
        return sorted(made, key=lambda clip: place[clip.key])

    def _develop(self, model: Model, whole: Sequence[Work[Take]], undecoded: Sequence[Work[Take]]) -> None:
        """Decode takes that an earlier recipe kept as latents alone; `undecoded` are the same takes, in order."""
        missing = set(self.run.clips.missing([piece.key for piece in whole]))
        there = self.run.clips.get_many([piece.key for piece in undecoded])
        found = {
            piece.key: there[same.key]
            for piece, same in zip(whole, undecoded, strict=True)
            if piece.key in missing and same.key in there
        }
        if found:
            self.crew.develop(model, [piece for piece in whole if piece.key in found], found)

    def _keep(self, made: Sequence[Clip], work: Sequence[Work[Take]]) -> None:
        """Remember clips by their keys and by their films."""
        self.clips.update({clip.key: clip for clip in made})
        films = {piece.key: piece.payload.film for piece in work}
        self.films.update({films[clip.key]: clip for clip in made})

    # ---------------------------------------------------------------- judging and weighing

    def judge(self, clips: Sequence[Clip]) -> tuple[Score, ...]:
        """The frozen judge's scores of clips."""
        return self.crew.judge(clips, self.desk.by_key, self.run.answers)

    def weigh(self, clips: Sequence[Clip], scores: Sequence[Score], number: int) -> tuple[Sample, ...]:
        """Clips as training material, with what their weights amount to written down before training."""
        self.clips.update({clip.key: clip for clip in clips})
        if self.recipe.generate.decode:
            check_unscored_share(scores, self.recipe.judge.max_unscored)
            samples = weigh(clips, scores, self.recipe.weights)
            reports = [report_weights(samples, scores, self.recipe.weights)]
        else:
            samples, reports = unjudged(clips), []
        self.run.write_derived(f"weights-{number}", reports)
        self.run.write_derived(f"samples-{number}", samples)
        self.run.write_derived(f"scores-{number}", scores)
        return samples

    # ---------------------------------------------------------------- training

    def train(self, samples: Sequence[Sample], start: Model) -> Model:
        """Fine-tune `start` on weighted samples."""
        lesson = Lesson(
            samples=tuple(samples),
            parent=start.name,
            start=start.weights,
            spec=self.recipe.train,
            reencode=self.recipe.generate.latents == "reencoded",
        )
        return Model.of(train_round(self.run, self.bench, lesson, self.clips, self.desk.by_key))

    # ---------------------------------------------------------------- measuring

    def look(self, model: Model, prompts: Sequence[Prompt], purpose: Literal["probe", "held_out"]) -> list[Measurement]:
        """What the independent measurer finds on a model's clips of evaluation prompts."""
        spec, runtime = self.recipe.measure, runtime_of(self.recipe, self.run)
        groups = self.desk.group_dimensions
        single = [prompt for prompt in prompts if prompt.dimension not in groups]
        several = [prompt for prompt in prompts if prompt.dimension in groups]
        clips = self._film(
            model, single, "measure", spec.num_takes if purpose == "held_out" else self.recipe.diagnose.num_takes
        )
        clips += self._film(model, several, "measure", spec.num_diversity_takes) if several else []
        work = subjects(clips, self.desk.by_key, spec, groups)
        found = self.run.advance(
            self.run.measurements,
            # A clip of several dimensions is measured in each: it is read once.
            side_by_side(work, lambda piece: piece.payload.clips[0]),
            measuring(spec, runtime, self.blobs),
            chunk_size=runtime.judge_batch,
            device=runtime.device,
            executor=self.executor,
            needs=needs_of(runtime),
        )
        place = {piece.key: number for number, piece in enumerate(work)}
        return sorted(found, key=lambda measurement: place[measurement.key])

    # ---------------------------------------------------------------- the end

    def finish(
        self,
        focus: Sequence[Focus],
        model: Model,
        real: Sequence[Clip],
        before: Sequence[Measurement],
        after: Sequence[Measurement],
    ) -> Scorecard:
        """Let the judge look at the held-out clips too, compare, write the report, and mark the run as done."""
        looked_at = [self.clips[key] for each in (*before, *after) for key in each.subject]
        single = [clip for clip in looked_at if clip.dimension not in self.desk.group_dimensions]
        judged = self.judge(single)
        result = Result(
            focus=tuple(focus),
            base=self.base.name,
            tuned=model.name,
            before=tuple(before),
            after=tuple(after),
            clips=self.clips,
            real=tuple(real),
            judged=judged,
            real_moments=real_moments(self.run, self.bench, real),
            unit_flops=unit_flops(self.run, self.bench, single, self.desk.by_key),
        )
        self.run.write_derived("gains", prompt_gains(pair_up(before, after, self.clips.values())))
        scorecard = result.scorecard(self.recipe, self.run)
        publish(self.recipe, self.run, result, scorecard, self.desk.by_key)
        return self.run.finish(scorecard)
