"""Draft takes of a round's prompts: filmed, judged, and the prompts that are worth full-length takes picked by them.

Draft clips and their answers have tables of their own, so that nothing takes them for clips of the run's shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rushes.context import Model
from rushes.crew import Crew
from rushes.generate.draft import outcomes
from rushes.generate.film import takes
from rushes.recipe.recipe import as_draft
from rushes.records import Answer, Clip, Prompt, Score

CLIPS, ANSWERS = "draft_clips", "draft_answers"
"""Their tables."""


@dataclass(frozen=True)
class Drafting:
    """What draft takes are made with: the tools of the run."""

    crew: Crew

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
        spec = self.crew.recipe.generate.draft
        if spec is None or not prompts:
            return tuple(prompts)
        found = outcomes(prompts, self._scores(self._clips(model, prompts), by_key), spec)
        self.crew.run.write_derived(f"drafts-{number}", found)
        kept = {each.prompt_key for each in found if each.is_kept}
        self.crew.run.log.write("drafts_judged", round=number, num_prompts=len(prompts), num_kept=len(kept))
        return tuple(prompt for prompt in prompts if prompt.key in kept)

    def _clips(self, model: Model, prompts: Sequence[Prompt]) -> list[Clip]:
        draft = as_draft(self.crew.recipe)
        sampler, shape = draft.generate.sampler, draft.shape
        work = takes(
            prompts,
            model=model.name,
            sampler=sampler,
            shape=shape,
            num_takes=draft.generate.num_takes,
            stored_as=draft.generate.stored_as,
        )
        table = self.crew.run.table(CLIPS, Clip)
        return self.crew.film(model, work, prompts, table, sampler=sampler, shape=shape, latents=False)

    def _scores(self, clips: Sequence[Clip], by_key: Mapping[str, Prompt]) -> tuple[Score, ...]:
        return self.crew.judge(clips, by_key, self.crew.run.table(ANSWERS, Answer))
