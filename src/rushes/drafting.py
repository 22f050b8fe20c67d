"""Draft takes of a round's prompts: filmed, judged, and the prompts that are worth full-length takes picked by them.

Draft clips and their answers have tables of their own, so that nothing takes them for clips of the run's shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rushes.elsewhere import generator_builder, needs_of
from rushes.execute import Lazily
from rushes.generate.draft import as_draft, outcomes
from rushes.generate.film import PipelineGenerator, film, takes
from rushes.judge.grade import grade
from rushes.judge.stage import asking, chunk_size, questions
from rushes.prompts.desk import runtime_of
from rushes.records import Answer, Clip, Prompt, Score
from rushes.roles import Executor
from rushes.specs import Recipe
from rushes.store.blobs import Blobs
from rushes.store.run import Run
from rushes.workbench import Model, Workbench

CLIPS, ANSWERS = "draft_clips", "draft_answers"
"""Their tables."""


@dataclass(frozen=True)
class Drafting:
    """What draft takes are made with: the tools of the run."""

    recipe: Recipe
    run: Run
    bench: Workbench
    blobs: Blobs
    executor: Executor | None

    def pick(
        self, model: Model, prompts: Sequence[Prompt], by_key: Mapping[str, Prompt], number: int
    ) -> tuple[Prompt, ...]:
        """The prompts that are worth full-length takes, in order; all of them where the recipe wants no drafts.

        Args:
            model: who films.
            prompts: of the round.
            by_key: at least these.
            number: of the round; what was picked is written to `derived/drafts-<number>.json`.

        Raises:
            RecipeError: the model cannot make clips of the drafts' shape.
        """
        spec = self.recipe.generate.draft
        if spec is None or not prompts:
            return tuple(prompts)
        found = outcomes(prompts, self._scores(self._clips(model, prompts), by_key), spec)
        self.run.write_derived(f"drafts-{number}", found)
        kept = {each.prompt_key for each in found if each.is_kept}
        self.run.log.write("drafts_judged", round=number, num_prompts=len(prompts), num_kept=len(kept))
        return tuple(prompt for prompt in prompts if prompt.key in kept)

    def _clips(self, model: Model, prompts: Sequence[Prompt]) -> list[Clip]:
        draft, runtime = as_draft(self.recipe), self.recipe.runtime
        sampler, shape, stored_as = draft.generate.sampler, draft.shape, draft.generate.stored_as
        work = takes(
            prompts,
            model=model.name,
            sampler=sampler,
            shape=shape,
            num_takes=draft.generate.num_takes,
            stored_as=stored_as,
        )
        shoot = partial(
            film, blobs=self.blobs, model=model.name, sampler=sampler, shape=shape, stored_as=stored_as, latents=False
        )
        texts = [sampler.negative_prompt, *(prompt.text for prompt in prompts)]
        if self.executor is None:
            do = Lazily(lambda: PipelineGenerator(self.bench.with_weights(model, texts)), shoot)
        else:
            do = Lazily(generator_builder(self.recipe.base, runtime, model.weights, self.blobs, texts), shoot)
        return self.run.advance(
            self.run.table(CLIPS, Clip),
            work,
            do,
            chunk_size=runtime.generate_batch,
            device=runtime.device,
            executor=self.executor,
            needs=needs_of(runtime),
        )

    def _scores(self, clips: Sequence[Clip], by_key: Mapping[str, Prompt]) -> tuple[Score, ...]:
        spec, runtime = self.recipe.judge, runtime_of(self.recipe, self.run)
        work = questions(clips, by_key, spec)
        answers = self.run.advance(
            self.run.table(ANSWERS, Answer),
            work,
            asking(spec, runtime, self.blobs),
            chunk_size=chunk_size(work, runtime.judge_batch),
            device=runtime.device,
            executor=self.executor,
            needs=needs_of(runtime),
        )
        return grade(clips, by_key, answers, spec)
