"""One round of automatic feedback, start to end: diagnose, write, film, judge, weigh, train, measure, compare.

Every expensive step goes through `advance` and is skipped where its records are there; everything else is a pure
function of records. `steps.py` holds how each step is put together.
"""

from __future__ import annotations

from pathlib import Path

from rushes.execute.progress import OnProgress
from rushes.recipe.recipe import Recipe
from rushes.records import Scorecard
from rushes.steps import Halt, Steps
from rushes.store.heal import with_healing
from rushes.store.run import Run

STAGES = ("prompts", "generate", "judge", "train", "measure")
"""Names that `until` understands, in order."""


def improve(
    recipe: Recipe,
    home: Path,
    *,
    until: str | None = None,
    on_progress: OnProgress | None = None,
    allow_change: bool = False,
) -> Scorecard | None:
    """Run a recipe in a run folder. Run it again to resume; on a finished run it does nothing.

    Args:
        recipe: what to do.
        home: the run folder; made where it is missing.
        until: one of `STAGES`: stop after that stage; None goes to the end.
        on_progress: told about every chunk that landed.
        allow_change: go on in a folder that another recipe made; exactly what depends on the change is made anew.

    Returns:
        The scorecard, or None when `until` ended the run before there was one.
    """
    with Run.open(home, recipe, allow_change=allow_change) as run:
        if run.is_done and not allow_change:
            return run.scorecard()
        run.on_progress = on_progress
        with run.stop.listening():
            return with_healing(run, lambda: _improve(Steps(recipe, run, until)))


def _improve(steps: Steps) -> Scorecard | None:
    try:
        focus = steps.probe()
        model, real = steps.base, steps.real_clips()
        for number in range(steps.recipe.num_rounds):
            prompts = steps.write(focus, number)
            steps.after("prompts")
            prompts = steps.draft(model, prompts, number)
            clips = steps.film(model, prompts)
            steps.after("generate")
            scores = steps.judge(clips) if steps.recipe.generate.decode else ()
            steps.after("judge")
            samples = steps.weigh([*clips, *real], scores, number)
            model = steps.train(samples, start=model)
            steps.after("train")
        compared = steps.desk.compared(focus)
        before = steps.look(steps.base, compared, "held_out")
        after = steps.look(model, compared, "held_out")
        return steps.finish(focus, model, real, before, after)
    except Halt:
        return None


__all__ = ["STAGES", "improve"]
