"""One round of automatic feedback, start to end: diagnose, write, generate, judge, weigh, train, measure, compare.

Every expensive step goes through `advance`, which skips it if its records exist; everything else is a pure function
of records. Each call below is a stage, implemented in `stage.py` in the folder of that name; `report` writes a page of
what is there so far, and returns the stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rushes.context import Context
from rushes.diagnose.stage import diagnose
from rushes.execute.progress import OnProgress
from rushes.generate.stage import generate
from rushes.judge.draft import pick
from rushes.judge.stage import judge
from rushes.measure.stage import measure
from rushes.preflight import check, check_base
from rushes.prompts.evaluation import compared, evaluation, watched
from rushes.prompts.real import real_material
from rushes.prompts.stage import write
from rushes.recipe.recipe import Recipe
from rushes.records import Clip, Focus, Sample, Score, Scorecard
from rushes.report.so_far import report
from rushes.report.stage import compare
from rushes.store.done import is_done
from rushes.store.heal import healing, result
from rushes.store.run import Run
from rushes.train.rounds import Round, keep_round, keep_samples, known_round, known_samples
from rushes.watch.stage import watched_train
from rushes.weights.stage import weigh

STAGES = ("prompts", "generate", "judge", "train", "measure")
"""Names that `until` accepts, in order."""


def improve(
    recipe: Recipe,
    home: Path,
    *,
    until: str | None = None,
    on_progress: OnProgress | None = None,
    allow_change: bool = False,
    check_first: bool = True,
) -> Scorecard | None:
    """Run a recipe in a run folder; again to resume. On a finished run it does nothing.

    Returns the scorecard; None if `until` stopped the run before there was one, or if the recipe measures nothing.

    Args:
        recipe: what to do.
        home: the run folder, which is created if missing.
        until: one of `STAGES`: stop after that stage; None goes to the end.
        on_progress: called after every finished chunk.
        allow_change: continue in a folder that another recipe made; only what depends on the change is made again.
        check_first: False skips `rushes.preflight.check`, if it was called before or its findings are to be ignored.

    Raises:
        UserError: the recipe, an input or the run folder cannot be used, or the base model has changed since then.
        Stopped: the user asked to stop, and the current work is stored.
    """
    if check_first and (allow_change or not is_done(home)):
        check(recipe, home)
    with Run.open(home, recipe, allow_change=allow_change) as run, run.stop.listening():
        check_base(recipe, run, allow_change=allow_change)
        if not allow_change and (scorecard := result(run)) is not None:
            return scorecard
        run.on_progress = on_progress
        for attempt in healing(run):
            with attempt:
                context = Context(recipe, run)
                model, prompts = context.base, evaluation(context)
                report(context, "diagnose", focus := diagnose(context, prompts), model)
                watch, real = watched(context, prompts, focus), real_material(context, prompts)
                for number in range(recipe.num_rounds):
                    written = write(context, focus, prompts, real.captions, number)
                    if report(context, "prompts", focus, model, number, written) == until:
                        return None
                    if known := known_round(context, begun := Round(number, model, written, real.clips, watch), until):
                        model = known
                        break
                    made = Made(known_samples(context, begun, until))
                    if made.samples is None:
                        made = _made(context, focus, begun, until)
                    if (samples := made.samples) is None:
                        return None
                    model = keep_round(context, begun, watched_train(context, samples, model, watch, number))
                    if report(context, "train", focus, model, number, written, made.clips, made.scores) == until:
                        return None
                if not recipe.is_measured:
                    return None
                held_out = compared(recipe, prompts, [each.dimension for each in focus])
                before, after = (measure(context, each, held_out, "held_out") for each in (context.base, model))
                return compare(context, focus, model, real.clips, before, after)
    raise AssertionError("healing never runs out of attempts")


@dataclass(frozen=True)
class Made:
    """What a round has made before its training."""

    samples: tuple[Sample, ...] | None
    """Clips and their weights; None if the run stops before they are there."""
    clips: Sequence[Clip] = ()
    """The model's own; empty if the samples are those of an earlier session, which are trained on as they are."""
    scores: Sequence[Score] = ()
    """The judge's, one per clip and dimension; empty like `clips`, and in a recipe without a judge."""


def _made(context: Context, focus: Sequence[Focus], begun: Round, until: str | None) -> Made:
    """Generate, judge and weigh the clips of a round, with a report after each stage."""
    number, model, written = begun.number, begun.start, begun.prompts
    clips = generate(context, model, pick(context, model, written, number))
    if report(context, "generate", focus, model, number, written, clips) == until:
        return Made(None)
    scores = judge(context, clips) if context.recipe.is_judged else ()
    if report(context, "judge", focus, model, number, written, clips, scores) == until:
        return Made(None)
    samples = keep_samples(context, begun, weigh(context, clips, begun.real, scores, number))
    report(context, "weigh", focus, model, number, written, clips, scores)
    return Made(samples, clips, scores)


__all__ = ["STAGES", "improve"]
