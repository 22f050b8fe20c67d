"""How much work each stage of a recipe has, and how much a run has done: units of work, by kind.

What a unit costs is in `prices`. Totals that become exact during a run are in `totals`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from rushes.plan.calls import calls_done, calls_per_clip
from rushes.plan.judged import QUESTIONS_PER_PROMPT, Replies, about_replies
from rushes.plan.kinds import Kind, ReplyKind, StageWork
from rushes.plan.models import num_tuned_experts
from rushes.plan.stored import num_drafted
from rushes.plugins import objective_needs
from rushes.recipe.dimensions import known, probed
from rushes.recipe.prompts import CLIPS_PER_REAL_CLIP, DRAFTS_PER_EVALUATION_PROMPT
from rushes.recipe.recipe import Recipe, as_generating
from rushes.recipe.train import in_steps, num_own_rows
from rushes.records import (
    Answer,
    Clip,
    KeyedRecord,
    Measurement,
    Rating,
    Sample,
    Vote,
    WatchPoint,
)
from rushes.store.run import Run

_NUM_SPLITS: Final = 3
"""Splits of the held-out prompts: development, test, seen. All are written, so that none is trained on."""

WATCH_TABLES: Final[Mapping[str, type[KeyedRecord]]] = {
    "watch_clips": Clip,
    "watch_answers": Answer,
    "watch_ratings": Rating,
    "watch_votes": Vote,
    "watch_measurements": Measurement,
    "watch_points": WatchPoint,
}
"""Tables of the watch over training, each with its kind of record."""


def work_of(recipe: Recipe) -> tuple[StageWork, ...]:
    """The work of each stage of a recipe.

    Raises:
        RecipeError: the recipe names a dimension that does not exist.
    """
    num_dimensions = len(probed(recipe.diagnose))
    num_groups = sum(dimension.group for dimension in known(recipe.diagnose))
    return (
        _diagnose(recipe, num_dimensions, num_groups),
        _prompts(recipe),
        *_draft(recipe),
        *_per_round(recipe),
        *_watch(recipe, num_dimensions, num_groups),
        _measure(recipe, num_dimensions, num_groups),
    )


def planned_totals(recipe: Recipe) -> dict[str, int]:
    """Records that a whole run adds, by table; upper bounds if the screen decides.

    Raises:
        RecipeError: the recipe names a dimension that does not exist.
    """
    totals: dict[str, int] = {}
    for stage in work_of(recipe):
        for table, num in stage.tables.items():
            totals[table] = totals.get(table, 0) + num
    return totals


def num_focused(recipe: Recipe, num_dimensions: int) -> int:
    """Dimensions in the focus, at most.

    Args:
        recipe: real clips alone are aimed at nothing, so that every dimension is.
        num_dimensions: those of single clips that are probed.
    """
    most = num_dimensions if recipe.prompts.only_real else recipe.diagnose.num_focus
    return len(recipe.diagnose.focus) or min(num_dimensions, most)


def _diagnose(recipe: Recipe, num_dimensions: int, num_groups: int) -> StageWork:
    """Probe clips, measured. All evaluation prompts are written in this stage: probes and all held-out splits.

    With `measure.suite` nothing is drafted: probes and held-out prompts come from the suite.
    """
    # Real clips alone are trained on as they are: nothing is to be diagnosed, and perhaps nothing measured.
    per_dimension = 0 if recipe.prompts.only_real else recipe.diagnose.num_prompts
    num_probes = num_dimensions * per_dimension * recipe.diagnose.num_takes
    probes, held_out, compared = (
        math.ceil(DRAFTS_PER_EVALUATION_PROMPT * num)
        for num in (
            per_dimension,
            recipe.measure.num_prompts + recipe.measure.num_extra_focus_prompts,
            recipe.measure.num_diversity_prompts,
        )
    )
    num_drafts = num_dimensions * probes + _NUM_SPLITS * (num_dimensions * held_out + num_groups * compared)
    num_drafts += _num_watch_drafts(recipe, num_dimensions, num_groups)
    num_drafts *= recipe.is_measured
    drafted: dict[Kind, float] = {} if recipe.measure.suite is not None else {"drafts": num_drafts}
    calls = calls_per_clip(recipe.measure.sampler, recipe.base)
    is_judged = recipe.diagnose.choose == "picked"
    num_prompts = num_dimensions * per_dimension if is_judged else 0
    names = [each.name for each in probed(recipe.diagnose)]
    replies = about_replies(num_prompts, names, recipe.judge, recipe.diagnose.num_takes)
    units: dict[Kind, float] = {"clip_calls": num_probes * calls, "decodes": num_probes, **replies.units}
    tables = {"prompts": num_drafts, "clips": num_probes, "measurements": num_probes, **replies.tables()}
    units["measurements"] = num_probes
    what = "probe clips, measured and judged" if replies.nums else "probe clips, measured"
    return StageWork("diagnose", what, num_probes, drafted | units, tables)


def _prompts(recipe: Recipe) -> StageWork:
    """Drafts of all rounds, and real clips with their captions; a plug-in renders more clips than are used."""
    spec, rounds = recipe.prompts, recipe.num_rounds
    num_drafts = rounds * math.ceil(spec.num_weakness * spec.oversample)
    # Each focus dimension rounds its own share up, so there may be a few more records than drafts counted at once.
    num_most = num_drafts + rounds * (max(len(recipe.diagnose.focus), recipe.diagnose.num_focus) - 1)
    num_real = spec.real.num_wanted
    num_captions = math.ceil(CLIPS_PER_REAL_CLIP * num_real) if spec.real.source is not None else num_real
    return StageWork(
        "prompts",
        f"drafts, and {num_real} real clips" if num_real else "drafts",
        num_drafts,
        {"drafts": num_drafts},
        {"prompts": num_most + num_captions, "clips": num_real},
    )


def _draft(recipe: Recipe) -> tuple[StageWork, ...]:
    """Draft takes, if the recipe has them."""
    if recipe.generate.draft is None:
        return ()
    num_prompts = recipe.num_rounds * (recipe.prompts.num_weakness + recipe.prompts.num_caption)
    num_clips = num_prompts * recipe.generate.draft.num_takes
    replies = about_replies(num_prompts, _aimed(recipe), recipe.judge, recipe.generate.draft.num_takes)
    units: dict[Kind, float] = {"draft_clips": num_clips, **replies.units}
    tables = {"draft_clips": num_clips, **replies.tables("draft_")}
    return (StageWork("draft", "draft clips, judged", num_clips, units, tables),)


def _per_round(recipe: Recipe) -> tuple[StageWork, StageWork, StageWork]:
    rounds = recipe.num_rounds
    num_prompts = rounds * (recipe.prompts.num_weakness + recipe.prompts.num_caption)
    num_clips = num_prompts * recipe.generate.num_takes
    replies = about_replies(
        num_prompts * recipe.generate.decode, _aimed(recipe), recipe.judge, recipe.generate.num_takes
    )
    num_steps = rounds * num_tuned_experts(recipe) * _steps_per_round(recipe)
    calls = calls_per_clip(recipe.generate.sampler, as_generating(recipe).base)
    kind: Kind = "clip_calls" if recipe.generate.model is None else "other_calls"
    units: dict[Kind, float] = {kind: num_clips * calls, "decodes": num_clips * recipe.generate.decode}
    generate = StageWork("generate", "clips at most", num_clips, units, {"clips": num_clips})
    replies = replies if replies.nums else Replies({"answers": 0})
    said = f"{' and '.join(replies.nums)}, about"
    judge = StageWork("judge", said, sum(replies.nums.values()), replies.units, replies.tables())
    trained: dict[Kind, float] = {"train_clips": num_steps * recipe.train.batch_size}
    train = StageWork(
        "train",
        f"steps of {recipe.train.batch_size} clips",
        num_steps,
        {
            **trained,
            "encodes": _num_encoded(recipe, num_clips),
            **_judged_in_training(recipe, [_steps_per_round(recipe)] * rounds * num_tuned_experts(recipe)),
        },
        {"checkpoints": rounds * _num_kept(recipe)},
    )
    return generate, judge, train


def _judged_in_training(recipe: Recipe, steps: Sequence[int]) -> dict[Kind, float]:
    """What an objective asks the judge, at most: own clips decoded, and their questions answered.

    With a gradient each costs as much as three without.

    Args:
        recipe: says which objective.
        steps: how many of each training.
    """
    needs = objective_needs(recipe.train)
    if needs.judge == "none":
        return {}
    num_asking = sum(math.ceil(each / needs.judge_every) for each in steps)
    num = num_asking * num_own_rows(recipe.train, needs) * (3 if needs.judge == "gradient" else 1)
    return {"decodes": num, "answers": num * QUESTIONS_PER_PROMPT}


def _aimed(recipe: Recipe) -> list[str]:
    """Names of the dimensions that prompts of a round may be of: the focus, where the recipe names it."""
    return list(recipe.diagnose.focus) or [each.name for each in probed(recipe.diagnose)]


def num_looks(recipe: Recipe) -> int:
    """Looks of one round, at most: training may stop early. The one before all training is not counted."""
    return 0 if recipe.watch is None else math.ceil(_steps_per_round(recipe) / recipe.watch.every)


def _steps_per_round(recipe: Recipe) -> int:
    num_clips = (recipe.prompts.num_weakness + recipe.prompts.num_caption) * recipe.generate.num_takes
    num_clips = num_clips or recipe.prompts.real.num_wanted
    return in_steps(recipe.training, num_clips, objective_needs(recipe.train)).steps


def _num_kept(recipe: Recipe) -> int:
    """Checkpoints that are kept of one round."""
    return 1 if recipe.watch is None else min(recipe.watch.keep, num_looks(recipe))


def _num_watch_drafts(recipe: Recipe, num_dimensions: int, num_groups: int) -> int:
    """Drafts of watch prompts: of each dimension that can be in the focus, which is known only later."""
    if recipe.watch is None:
        return 0
    single, several = (
        math.ceil(DRAFTS_PER_EVALUATION_PROMPT * num)
        for num in (recipe.watch.num_prompts, recipe.watch.num_diversity_prompts)
    )
    return (len(recipe.diagnose.focus) or num_dimensions) * single + num_groups * several


def _watch(recipe: Recipe, num_dimensions: int, num_groups: int) -> tuple[StageWork, ...]:
    """Clips of the watch prompts, judged and measured at every look, if the recipe has a watch."""
    watch = recipe.watch
    if watch is None:
        return ()
    num = 1 + recipe.num_rounds * num_looks(recipe)
    num_focus = len(recipe.diagnose.focus) or min(num_dimensions, recipe.diagnose.num_focus)
    num_single = num * num_focus * watch.num_prompts * watch.num_takes
    num_compared = num * num_groups * watch.num_diversity_prompts
    num_clips = num_single + num_compared * recipe.measure.num_diversity_takes
    replies = _watched_replies(recipe, num_focus * watch.num_prompts, num)
    units: dict[Kind, float] = {
        "clip_calls": num_clips * calls_per_clip(recipe.measure.sampler, recipe.base),
        "decodes": num_clips,
        **replies.units,
        "measurements": num_single + num_compared,
    }
    tables = {
        "watch_clips": num_clips,
        **replies.tables("watch_"),
        "watch_measurements": num_single + num_compared,
        "watch_points": num,
    }
    return (StageWork("watch", f"clips in {num} looks at most", num_clips, units, tables),)


def _watched_replies(recipe: Recipe, num_prompts: int, num: int) -> Replies:
    """What judges say in so many looks; preferences are asked of every look but the first, beside its takes."""
    assert recipe.watch is not None
    names, takes = _aimed(recipe), recipe.watch.num_takes
    own = about_replies(num * num_prompts, names, recipe.judge, takes)
    beside = about_replies((num - 1) * num_prompts, names, recipe.judge, takes, num_models=2)
    votes: dict[ReplyKind, int] = {"votes": beside.nums.get("votes", 0)}
    return Replies({kind: num for kind, num in {**own.nums, **votes}.items() if num})


def _measure(recipe: Recipe, num_dimensions: int, num_groups: int) -> StageWork:
    """Base and tuned model on the held-out prompts: measured, and judged so that the two can be compared.

    If takes are compared (Diversity), the takes of a prompt are one measurement and are not judged.
    """
    spec, num_focus = recipe.measure, num_focused(recipe, num_dimensions)
    if not recipe.is_measured:
        num_dimensions = num_focus = num_groups = 0
    elif spec.only_focus:
        num_dimensions, num_groups = num_focus, 0
    num_prompts = num_dimensions * spec.num_prompts + num_focus * spec.num_extra_focus_prompts
    num_single = 2 * num_prompts * spec.num_takes
    num_compared = 2 * num_groups * spec.num_diversity_prompts
    num_clips = num_single + num_compared * spec.num_diversity_takes
    names = _aimed(recipe) if spec.only_focus else [each.name for each in probed(recipe.diagnose)]
    replies = about_replies(
        0 if recipe.prompts.only_real else num_prompts, names, recipe.judge, spec.num_takes, num_models=2
    )
    return StageWork(
        "measure",
        "clips of base and tuned, measured",
        num_clips,
        {
            "clip_calls": num_clips * calls_per_clip(spec.sampler, recipe.base),
            "decodes": num_clips,
            **replies.units,
            "measurements": num_single + num_compared,
        },
        {"clips": num_clips, "measurements": num_single + num_compared, **replies.tables()},
    )


def _num_encoded(recipe: Recipe, num_clips: int) -> int:
    """Clips encoded for training: the real ones in every round, and the model's own if they are encoded again."""
    own = num_clips if recipe.generate.latents == "reencoded" else 0
    return recipe.num_rounds * recipe.prompts.real.num_wanted + own


# ---------------------------------------------------------------------------------------------- what a run has done


def units_done(run: Run, recipe: Recipe) -> dict[str, dict[Kind, float]]:
    """The work behind a run's records, by table, as in the cost ledger. Work that left no record is not included."""
    steps = trained_steps(run)
    # Captions come with their clips, and a suite's prompts with the suite: they are not drafted.
    given = {"caption"} if recipe.measure.suite is None else {"caption", "probe", "held_out"}
    samples = (each for n in range(recipe.num_rounds) for each in run.each_derived(f"samples-{n}", Sample))
    found: dict[str, dict[Kind, float]] = {
        "prompts": {"drafts": num_drafted(run.prompts, given)},
        "clips": calls_done(run.clips, recipe),
        **_replies_done(run, ""),
        "measurements": {"measurements": run.measurements.num_records()},
        "checkpoints": {
            "train_clips": steps * recipe.train.batch_size,
            "encodes": sum(each.source == "real" or recipe.generate.latents == "reencoded" for each in samples),
            **_judged_in_training(recipe, steps_of_trainings(run)),
        },
    }
    tables = run.tables()
    if "draft_clips" in tables:
        found |= {"draft_clips": {"draft_clips": tables["draft_clips"].num_records()}, **_replies_done(run, "draft_")}
    if recipe.watch is None:
        return found
    return found | {
        "watch_clips": calls_done(run.table("watch_clips", Clip), recipe),
        **_replies_done(run, "watch_"),
        "watch_measurements": {"measurements": run.table("watch_measurements", Measurement).num_records()},
    }


def _replies_done(run: Run, prefix: str) -> dict[str, dict[Kind, float]]:
    """What judges said; a kind of reply that there is none of is left out, unless it is answers."""
    nums: dict[Kind, int] = {
        "answers": run.table(f"{prefix}answers", Answer).num_records(),
        "ratings": run.table(f"{prefix}ratings", Rating).num_records(),
        "votes": run.table(f"{prefix}votes", Vote).num_records(),
    }
    others = sum(nums.values()) - nums["answers"]
    return {f"{prefix}{kind}": {kind: num} for kind, num in nums.items() if num or (kind == "answers" and not others)}


def trained_steps(run: Run) -> int:
    """Optimiser steps of all trainings, also of those whose last checkpoint was not kept."""
    return sum(steps_of_trainings(run))


def steps_of_trainings(run: Run) -> list[int]:
    """Optimiser steps of each."""
    points = run.table("watch_points", WatchPoint).all()
    watched = {point.model for point in points}
    last: dict[str, int] = {}
    for point in points:
        if point.training is not None:
            last[point.training] = max(point.step, last.get(point.training, 0))
    # Several shares of one training, see `train.merge`, are one training.
    others = dict[str, int]()
    kept = run.checkpoints.all()
    for each in kept:
        if each.key not in watched:
            others |= dict.fromkeys(each.parts or (each.unmerged or each.key,), each.step)
    num = 1 + any(each.parts for each in kept)  # two experts are trained up to every look
    return [*(step for step in last.values() for _ in range(num)), *others.values()]
