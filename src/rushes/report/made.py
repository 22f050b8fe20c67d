"""What a run has made so far, as a report shows it: the same before its end and at it."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from typing import Final

from rushes.prompts.clip_rows import REAL_CLIPS, ClipRow
from rushes.recipe.recipe import Recipe
from rushes.records import BlobRef, Checkpoint, Focus, Prompt, Rejection, Sample
from rushes.report.data import LossCurve, Made, Missing, NoiseLevel, Screening, SkippedSteps, Weighing
from rushes.report.previews import find_previews
from rushes.report.watched import training_keys, watched_rounds
from rushes.store.identity import content_hash
from rushes.store.recipe_copy import RECIPE
from rushes.store.run import Run
from rushes.store.sums import read_summed
from rushes.train.lesson import BIN_PREFIX, NUM_BINS, previews_in
from rushes.weights.report import WeightReport

LAST: Final = 99
"""In the place of a stage's number: the run is at its end."""


def made(
    recipe: Recipe,
    run: Run,
    rounds: Sequence[Checkpoint],
    focus: Sequence[Focus],
    screening: Screening | Missing,
    weighed: int | None,
) -> Made:
    """Everything that is there.

    Args:
        recipe, run: the recipe and its run.
        rounds: the checkpoint of each round that is trained.
        focus: the dimensions aimed at.
        screening: what the screen refused.
        weighed: the round, from 0, whose weights are there; None before the first.
    """
    curves, whole = _curves(run, rounds), training_keys(run)
    return Made(
        name=recipe.name,
        header=run.header,
        recipe_yaml=read_summed(run.home / RECIPE, run.home).decode(),
        focus=focus,
        weighing=Missing("nothing is weighed yet") if weighed is None else _weighing(run, weighed),
        losses=tuple(each for each in curves if not each.term.startswith(BIN_PREFIX))
        or Missing("the checkpoint kept no loss values" if rounds else "nothing is trained yet"),
        screening=screening,
        costs=run.costs(),
        reference=Missing("it is estimated at the end of the run"),
        skipped=skipped_steps(rounds),
        noise_levels=noise_levels(curves),
        real_clips=_real_clips(recipe, run),
        previews=find_previews(
            [previews_in(run.home, whole.get(each.key, each.unmerged or each.key)) for each in rounds], run.log.read()
        ),
        watched=watched_rounds(recipe, run, rounds),
    )


def screening_of(prompts: Mapping[str, Prompt], rejections: Sequence[Rejection] | None) -> Screening | Missing:
    """What the screen refused of the texts for training."""
    if rejections is None:
        return Missing("nothing was screened")
    return Screening(sum(each.origin in ("weakness", "caption") for each in prompts.values()), rejections)


def state_of(run: Run, number: int) -> str:
    """Names what is there: the records, the derived files, the recipe; and the stage that is reached.

    Args:
        run: the run.
        number: of the stage, or `LAST`.
    """
    names = sorted(path.name for path in (run.home / "derived").glob("*.json"))
    recipe = read_summed(run.home / RECIPE, run.home).decode()
    return f"{content_hash([run.database.counts(), names, recipe])[:16]} {number:02d}"


def _real_clips(recipe: Recipe, run: Run) -> Sequence[ClipRow] | Missing:
    """The outcome of the user's files; those that another recipe read in the same run folder do not count."""
    spec = recipe.prompts.real
    if spec.folder is None or not spec.num_wanted:
        return Missing("the run read no folder of real clips")
    return run.read_derived(REAL_CLIPS, ClipRow) or Missing("nothing was recorded about the folder of real clips")


def _weighing(run: Run, number: int) -> Weighing | Missing:
    own, num_real = array("d"), 0
    for sample in run.each_derived(f"samples-{number}", Sample):
        if sample.source == "own":
            own.append(sample.weight)
        else:
            num_real += 1
    reports = run.read_derived(f"weights-{number}", WeightReport)
    if not own and not num_real:
        return Missing("no samples were weighed")
    if not reports:
        return Missing("generate.decode is off: the model's own clips were not judged, and all have the same weight")
    return Weighing(own, num_real, reports[0])


def rounds_of(run: Run, tuned: str) -> list[Checkpoint]:
    """The checkpoints of all rounds, first to last, found by going back from the last one to the base."""
    chain: list[Checkpoint] = []
    known = {checkpoint.key: checkpoint for checkpoint in run.checkpoints.all()}
    key: str | None = tuned
    while key is not None and key in known:
        chain.insert(0, known[key])
        key = known[key].parent
    return chain


def _curves(run: Run, rounds: Sequence[Checkpoint]) -> tuple[LossCurve, ...]:
    """The loss curves of all rounds, concatenated."""
    points: dict[str, list[tuple[int, float]]] = {}
    done = 0
    for checkpoint in rounds:
        for term, values in _read_curves(run, checkpoint.curves).items():
            points.setdefault(term, []).extend((done + step, value) for step, value in values)
        done += checkpoint.step
    return tuple(
        LossCurve(term, tuple(step for step, _ in values), tuple(value for _, value in values))
        for term, values in points.items()
        if values
    )


def skipped_steps(rounds: Sequence[Checkpoint]) -> tuple[SkippedSteps, ...]:
    """The rounds with training steps that were skipped because of non-finite numbers."""
    return tuple(
        SkippedSteps(number, checkpoint.num_skipped_steps, checkpoint.step)
        for number, checkpoint in enumerate(rounds, start=1)
        if checkpoint.num_skipped_steps
    )


def noise_levels(curves: Sequence[LossCurve]) -> tuple[NoiseLevel, ...]:
    """The error by noise level, from training's curves; levels that were never drawn are left out."""
    found = []
    for curve in curves:
        if curve.term.startswith(BIN_PREFIX):
            low = float(curve.term.removeprefix(BIN_PREFIX))
            third = max(1, len(curve.values) // 3)
            first, last = sum(curve.values[:third]) / third, sum(curve.values[-third:]) / third
            found.append(NoiseLevel(low, low + 1 / NUM_BINS, first, last, len(curve.values)))
    return tuple(sorted(found, key=lambda each: each.low))


def _read_curves(run: Run, ref: BlobRef | None) -> dict[str, list[tuple[int, float]]]:
    if ref is None:
        return {}
    stored: dict[str, list[list[float]]] = json.loads(run.blobs.read_bytes(ref))
    return {term: [(int(step), float(value)) for step, value in values] for term, values in stored.items()}
