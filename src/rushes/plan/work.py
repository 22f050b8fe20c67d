"""How much each stage of a recipe has to do: counts, by kind of work."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rushes.families.defaults import calls_per_step
from rushes.families.folder import known_family
from rushes.plan.models import REAL_MODELS
from rushes.plan.throughput import Kind, Throughput
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.dimensions import known, probed
from rushes.recipe.prompts import CLIPS_PER_REAL_CLIP, DRAFTS_PER_EVALUATION_PROMPT
from rushes.recipe.recipe import Recipe, as_draft
from rushes.records import SamplerSettings

QUESTIONS_PER_PROMPT: Final = 4
"""How many questions a prompt has, roughly; the real number is known only when they are written."""


@dataclass(frozen=True)
class StageWork:
    """What one stage has to do."""

    stage: str
    """Name of the stage."""
    items: str
    """What it makes, in words."""
    num_items: int
    """How many; an upper bound where the screen decides."""
    units: Mapping[Kind, float]
    """Work by kind."""
    tables: Mapping[str, int]
    """Records that it adds, by table of the run; upper bounds where the screen decides."""


def work_of(recipe: Recipe) -> tuple[StageWork, ...]:
    """What each stage of a recipe has to do.

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
        _measure(recipe, num_dimensions, num_groups),
    )


def planned_totals(recipe: Recipe) -> dict[str, int]:
    """Records that a whole run adds, by table; upper bounds where the screen decides.

    Raises:
        RecipeError: the recipe names a dimension that does not exist.
    """
    totals: dict[str, int] = {}
    for stage in work_of(recipe):
        for table, num in stage.tables.items():
            totals[table] = totals.get(table, 0) + num
    return totals


def calls_per_clip(sampler: SamplerSettings, base: BaseModelSpec) -> int:
    """Transformer calls that one clip takes: one a step, two with classifier-free guidance.

    Args:
        sampler: how the clip is made.
        base: the model; one whose family cannot be told from here is taken for the usual kind.
    """
    return sampler.num_steps * calls_per_step(_family(base), sampler.guidance_scale)


def _family(base: BaseModelSpec) -> str | None:
    model = REAL_MODELS.get(base.model)
    return known_family(base) if model is None else model.family


def _diagnose(recipe: Recipe, num_dimensions: int, num_groups: int) -> StageWork:
    """Probes filmed and measured. All evaluation prompts are written now: probes, and both splits of held-out ones.

    With `measure.suite` nothing is drafted: the suite's own prompts are the probes and the held-out ones.
    """
    num_probes = num_dimensions * recipe.diagnose.num_prompts * recipe.diagnose.num_takes
    probes, held_out, compared = (
        math.ceil(DRAFTS_PER_EVALUATION_PROMPT * num)
        for num in (
            recipe.diagnose.num_prompts,
            recipe.measure.num_prompts + recipe.measure.num_extra_focus_prompts,
            recipe.measure.num_diversity_prompts,
        )
    )
    num_drafts = num_dimensions * (probes + 2 * held_out) + 2 * num_groups * compared
    drafted: dict[Kind, float] = {} if recipe.measure.suite is not None else {"drafts": num_drafts}
    calls = calls_per_clip(recipe.measure.sampler, recipe.base)
    num_answers = num_probes * QUESTIONS_PER_PROMPT if recipe.diagnose.choose == "picked" else 0
    units: dict[Kind, float] = {"clip_calls": num_probes * calls, "measurements": num_probes}
    tables = {"prompts": num_drafts, "clips": num_probes, "measurements": num_probes}
    if num_answers:
        units["answers"] = tables["answers"] = num_answers
    what = "probe clips, measured and judged" if num_answers else "probe clips, measured"
    return StageWork("diagnose", what, num_probes, drafted | units, tables)


def _prompts(recipe: Recipe) -> StageWork:
    """Drafts of all rounds, and real clips with their captions; of the sandbox's own, more are rendered than used."""
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
    """Draft takes, where the recipe wants them; a call for a smaller clip counts as a part of a call."""
    if recipe.generate.draft is None:
        return ()
    draft = as_draft(recipe)
    num_prompts = recipe.num_rounds * (recipe.prompts.num_weakness + recipe.prompts.num_caption)
    num_clips = num_prompts * draft.generate.num_takes
    num_answers = num_clips * QUESTIONS_PER_PROMPT
    share = draft.shape.num_pixels / recipe.shape.num_pixels
    calls = share * calls_per_clip(draft.generate.sampler, recipe.base)
    units: dict[Kind, float] = {"clip_calls": num_clips * calls, "answers": num_answers}
    tables = {"draft_clips": num_clips, "draft_answers": num_answers}
    return (StageWork("draft", "draft clips, judged", num_clips, units, tables),)


def _per_round(recipe: Recipe) -> tuple[StageWork, StageWork, StageWork]:
    rounds = recipe.num_rounds
    num_prompts = rounds * (recipe.prompts.num_weakness + recipe.prompts.num_caption)
    num_clips = num_prompts * recipe.generate.num_takes
    num_answers = num_clips * QUESTIONS_PER_PROMPT if recipe.generate.decode else 0
    num_steps = rounds * recipe.train.num_steps
    calls = calls_per_clip(recipe.generate.sampler, recipe.base)
    generate = StageWork(
        "generate", "clips at most", num_clips, {"clip_calls": num_clips * calls}, {"clips": num_clips}
    )
    judge = StageWork("judge", "answers, about", num_answers, {"answers": num_answers}, {"answers": num_answers})
    train = StageWork(
        "train",
        f"steps of {recipe.train.batch_size} clips",
        num_steps,
        {"train_clips": num_steps * recipe.train.batch_size},
        {"checkpoints": rounds},
    )
    return generate, judge, train


def _measure(recipe: Recipe, num_dimensions: int, num_groups: int) -> StageWork:
    """Base and tuned model on the held-out prompts: measured, and judged so that the two can be compared.

    Where takes are compared (Diversity), the takes of a prompt are one measurement, and no judge is asked.
    """
    spec = recipe.measure
    num_focus = len(recipe.diagnose.focus) or min(num_dimensions, recipe.diagnose.num_focus)
    if spec.only_focus:
        num_dimensions, num_groups = num_focus, 0
    num_prompts = num_dimensions * spec.num_prompts + num_focus * spec.num_extra_focus_prompts
    num_single = 2 * num_prompts * spec.num_takes
    num_compared = 2 * num_groups * spec.num_diversity_prompts
    num_clips = num_single + num_compared * spec.num_diversity_takes
    num_answers = num_single * QUESTIONS_PER_PROMPT
    return StageWork(
        "measure",
        "clips of base and tuned, measured",
        num_clips,
        {
            "clip_calls": num_clips * calls_per_clip(spec.sampler, recipe.base),
            "measurements": num_single + num_compared,
            "answers": num_answers,
        },
        {"clips": num_clips, "measurements": num_single + num_compared, "answers": num_answers},
    )


def missing_kinds(recipe: Recipe, throughput: Throughput) -> tuple[Kind, ...]:
    """Kinds of work that the recipe has and whose pace is unknown."""
    wanted = {kind: None for work in work_of(recipe) for kind, units in work.units.items() if units}
    return tuple(kind for kind in wanted if kind not in throughput.paces)
