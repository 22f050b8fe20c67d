"""Probe and held-out prompts: written and screened, or from a suite. No text is in both, and none is trained on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rushes.context import Context
from rushes.dimensions import Dimension
from rushes.plugins import SUITE, WRITER, build, resolved
from rushes.prompts.briefs import Aim, plan_briefs
from rushes.prompts.enough import require_prompts
from rushes.prompts.screen import Screened, reader_of, reads_of, screen, screen_splits
from rushes.prompts.suite import guarded, suite_work
from rushes.prompts.write import CHUNK_SIZE, written
from rushes.recipe.dimensions import known, probed
from rushes.recipe.prompts import DRAFTS_PER_EVALUATION_PROMPT
from rushes.recipe.recipe import Recipe
from rushes.records import Focus, Prompt, Rejection
from rushes.roles import Part, PromptSuite
from rushes.store.advance import advance


@dataclass(frozen=True)
class Evaluation:
    """The prompts that a run measures with."""

    probes: tuple[Prompt, ...]
    """For diagnosis."""
    held_out: tuple[Prompt, ...]
    """Those that the final comparison can use, including the group dimensions'."""
    suite: tuple[Prompt, ...] = ()
    """Every prompt of the suite that they come from, used or not; empty if the writer wrote them."""
    watch: tuple[Prompt, ...] = ()
    """Those by which training is watched, of every dimension that can be in the focus; empty without `watch`."""
    reserved: tuple[Prompt, ...] = ()
    """Held-out prompts of the splits that this run does not measure with: a later one may."""
    refused: tuple[Rejection, ...] = ()
    """Texts of the writer that the screen refused."""

    @property
    def guarded(self) -> tuple[Prompt, ...]:
        """Prompts that must not be trained on."""
        return (*self.probes, *self.held_out, *self.reserved, *self.suite, *self.watch)


def evaluation(context: Context) -> Evaluation:
    """Probe and held-out prompts; no text is in both, nor in a split of held-out prompts that is not used here.

    Raises:
        RecipeError: the suite or the writer does not support a dimension.
        UserError: no prompt is left to measure the focus with, or anything at all.
    """
    found = _evaluation(context) if context.recipe.is_measured else Evaluation((), ())
    _check_enough(context, found)
    context.forecast.evaluation(found.probes, len(context.prompts) + len(context.run.prompts.failures()))
    return found


def _check_enough(context: Context, found: Evaluation) -> None:
    """Each dimension of a named focus needs prompts of both kinds; otherwise any dimension does."""
    recipe, diagnose = context.recipe, context.recipe.diagnose
    aimed = [each.name for each in probed(diagnose)]
    probes = [] if recipe.prompts.only_real else [("probe", found.probes)]
    held_out = [("held-out", found.held_out)] if recipe.is_measured else []
    for part, prompts in (*probes, *held_out):
        for names in ([name] for name in diagnose.focus):
            require_prompts(context, part, prompts, names, found.refused)
        require_prompts(context, part, prompts, aimed, found.refused)


def _evaluation(context: Context) -> Evaluation:
    recipe = context.recipe
    num_probes = 0 if recipe.prompts.only_real else recipe.diagnose.num_prompts
    probe = [Aim(each, num_probes) for each in probed(recipe.diagnose)]
    # The focus is not known yet.
    aims = [_held_out_aim(recipe, each, in_focus=True) for each in _measured_dimensions(recipe)]
    held_out = [aim for aim in aims if aim.num_prompts]
    if recipe.measure.suite is not None:
        suite: PromptSuite = build(recipe.measure.suite, SUITE, context.runtime, "measure.suite")
        probes = _from_suite(context, suite, probe, "probe")
        split = recipe.measure.split
        assert split != "seen"  # refused with the recipe
        compared = _from_suite(context, suite, held_out, split)
        return Evaluation(probes, compared, guarded(suite), _left_over(context, suite, compared))
    return _written(context, probe, held_out)


def compared(recipe: Recipe, found: Evaluation, names: Collection[str]) -> tuple[Prompt, ...]:
    """The held-out prompts that the comparison uses: all of the focus dimensions, fewer or none of the others."""
    used = [each for each in _measured_dimensions(recipe) if not recipe.measure.only_focus or each.name in names]
    return _first(found.held_out, [_held_out_aim(recipe, each, in_focus=each.name in names) for each in used])


def _written(context: Context, probe: Sequence[Aim], held_out: Sequence[Aim]) -> Evaluation:
    recipe, watched = context.recipe, watch_aims(context.recipe)
    # Evaluation prompts do not depend on the recipe's seed: every seed of a recipe is measured on the same ones.
    order = partial(
        plan_briefs,
        writer=resolved(recipe.prompts.writer, WRITER),
        oversample=DRAFTS_PER_EVALUATION_PROMPT,
        questions=recipe.prompts.questions,
    )
    drafts = {
        "development": written(context, order(held_out, origin="held_out", split="development")),
        "seen": written(context, order(held_out, origin="held_out", split="test")),
        "probe": written(context, order(probe, origin="probe")),
        "test": written(context, order(held_out, origin="held_out", split="test-2")),
        # Last, so that the others are the same with and without it.
        "watch": written(context, order(watched, origin="held_out", split="watch")),
    }
    aims = dict.fromkeys(drafts, held_out) | {"probe": probe, "watch": watched}
    splits = _screened(context, drafts, aims)
    used = {name: _first(found.accepted, aims[name]) for name, found in splits.items()}
    parts = ("probe", recipe.measure.split, "watch")
    return Evaluation(
        probes=used["probe"],
        held_out=used[recipe.measure.split],
        watch=used["watch"],
        reserved=tuple(prompt for name, prompts in used.items() if name not in parts for prompt in prompts),
        refused=tuple(each for name in parts for each in splits[name].rejections),
    )


def _screened(
    context: Context, drafts: Mapping[str, Sequence[Prompt]], aims: Mapping[str, Sequence[Aim]]
) -> dict[str, Screened]:
    """Every split, without what repeats an earlier one."""
    spec, reads, reader = context.recipe.prompts.screen, reads_of(context), reader_of(context.recipe.prompts)
    # The first three as in earlier releases, which compared with spare prompts as well: they must stay the same.
    first = {name: drafts[name] for name in ("development", "seen", "probe")}
    found = screen_splits(first, spec=spec, reads=reads, reader=reader)
    taken = [prompt for name, each in found.items() for prompt in _first(each.accepted, aims[name])]
    for name in ("test", "watch"):
        found[name] = screen(drafts[name], evaluation=taken, spec=spec, reads=reads, reader=reader)
        taken += _first(found[name].accepted, aims[name])
    return found


def _from_suite(context: Context, suite: PromptSuite, aims: Sequence[Aim], part: Part) -> tuple[Prompt, ...]:
    """Prompts of a suite, unchanged and unscreened."""
    work = suite_work(suite, {aim.dimension.name: aim.num_prompts for aim in aims}, part)
    made = advance(
        context.run.prompts,
        work,
        lambda chunk: [piece.payload for piece in chunk],
        chunk_size=CHUNK_SIZE,
        place=context.here,
    )
    context.prompts.update({prompt.key: prompt for prompt in made})
    return tuple(made)


def _left_over(context: Context, suite: PromptSuite, compared: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Watch prompts from a suite: those of its probes that the comparison does not use."""
    aims, used = watch_aims(context.recipe), {prompt.text for prompt in compared}
    more = [Aim(each.dimension, each.num_prompts + len(used)) for each in aims]
    found = _from_suite(context, suite, more, "probe")
    return _first([prompt for prompt in found if prompt.text not in used], aims)


def watch_aims(recipe: Recipe) -> list[Aim]:
    """The number of watch prompts of each dimension that can be in the focus, and of those of several takes."""
    watch = recipe.watch
    if watch is None:
        return []
    names = set(recipe.diagnose.focus)
    single = [each for each in probed(recipe.diagnose) if not names or each.name in names]
    aims = [Aim(each, watch.num_prompts) for each in single]
    aims += [Aim(each, watch.num_diversity_prompts) for each in known(recipe.diagnose) if each.group]
    return [aim for aim in aims if aim.num_prompts]


def watched(context: Context, found: Evaluation, focus: Sequence[Focus]) -> tuple[Prompt, ...]:
    """The watch prompts of the focus, and those of several takes; empty without `watch`.

    Raises:
        UserError: a dimension of the focus has none.
    """
    if context.recipe.watch is None:
        return ()
    names = [each.dimension for each in focus]
    for name in names:
        require_prompts(context, "watch", found.watch, [name], found.refused)
    return tuple(each for each in found.watch if each.dimension in {*names, *context.group_dimensions})


def _measured_dimensions(recipe: Recipe) -> tuple[Dimension, ...]:
    """The measured dimensions: those of single clips, then those of several takes."""
    diagnose = recipe.diagnose
    return (*probed(diagnose), *(each for each in known(diagnose) if each.group))


def _held_out_aim(recipe: Recipe, dimension: Dimension, *, in_focus: bool) -> Aim:
    """The number of held-out prompts of a dimension."""
    measure = recipe.measure
    if dimension.group:
        return Aim(dimension, measure.num_diversity_prompts)
    return Aim(dimension, measure.num_prompts + in_focus * measure.num_extra_focus_prompts)


def _first(prompts: Sequence[Prompt], aims: Sequence[Aim]) -> tuple[Prompt, ...]:
    """The first prompts of each dimension, as many as needed."""
    return tuple(
        prompt
        for aim in aims
        for prompt in [each for each in prompts if each.dimension == aim.dimension.name][: aim.num_prompts]
    )
