"""Checks of the plug-ins that a recipe names: imported, given their options, built where that is cheap."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from pydantic import BaseModel

from rushes.errors import RecipeError, UserError
from rushes.feedback import scales_of
from rushes.findings import Checkable, Finding
from rushes.judge.gradient import gradient_problem
from rushes.plugins import (
    ANY,
    CLIP_SOURCE,
    JUDGE,
    MEASURER,
    OBJECTIVE,
    QUESTION_WRITER,
    SUITE,
    WEIGHTING,
    WRITER,
    Role,
    build,
    name_of,
    objective_needs,
    resolved,
)
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import TrainSpec, unit_problem
from rushes.roles import ObjectiveNeeds, Runtime, Spec


def named(recipe: Recipe) -> Iterator[tuple[str, Spec, Role]]:
    """Each role that a recipe fills: the setting that names it, its Spec, the role."""
    specs: tuple[tuple[str, Spec | None, Role], ...] = (
        ("prompts.writer", recipe.prompts.writer, WRITER),
        ("prompts.questions", recipe.prompts.questions, QUESTION_WRITER),
        ("prompts.real.source", recipe.prompts.real.source, CLIP_SOURCE),
        *((where, judge, JUDGE) for where, judge in recipe.judge.named.items()),
        ("weights.plugin", recipe.weights.plugin, WEIGHTING),
        ("train.objective", recipe.train.objective, OBJECTIVE),
        ("measure.measurer", recipe.measure.measurer, MEASURER),
        ("measure.suite", recipe.measure.suite, SUITE),
    )
    for where, spec, role in specs:
        if spec is not None:
            yield where, spec, role


def usable(recipe: Recipe) -> Iterator[tuple[str, Spec]]:
    """The setting and the own Spec of each role and of the critic, without plug-ins that cannot be used.

    `check_plugins` has a finding for each of those.
    """
    for where, spec, role in named(recipe):
        try:
            yield where, resolved(spec, role)
        except UserError:
            continue
    if recipe.prompts.screen.critic is not None:
        yield "prompts.screen.critic", recipe.prompts.screen.critic


def check_plugins(recipe: Recipe) -> Iterator[Finding]:
    """Every plug-in can be imported and takes its options."""
    for where, spec, role in named(recipe):
        try:
            chosen = resolved(spec, role)
            if role is JUDGE:
                scales_of(chosen)
            if role is OBJECTIVE:
                train, needs, num = recipe.train, objective_needs(recipe.train), recipe.runtime.train.num_processes
                problem = unit_problem(train, needs, num)
                if problem is not None:
                    size = f"--set train.batch_size={_fitting_batch(train, needs, num)}"
                    yield Finding(where, problem, next_step=f"{size}, or lower train.num_accumulation")
        except UserError as error:
            yield Finding.of(where, error)


def _fitting_batch(train: TrainSpec, needs: ObjectiveNeeds, num_processes: int) -> int:
    """The next larger batch size that keeps an objective's units whole."""
    share = train.num_accumulation * num_processes
    sizes = count(-(-train.batch_size // share) * share, share)
    return next(
        size
        for size in sizes
        if unit_problem(train.model_copy(update={"batch_size": size}), needs, num_processes) is None
    )


def check_judge_gradient(recipe: Recipe) -> Iterator[Finding]:
    """A judge whose gradient training needs gives one; no weights are loaded."""
    try:
        needed = objective_needs(recipe.train).judge == "gradient"
        problem = gradient_problem(recipe.judge) if needed else None
    except UserError:  # see `check_plugins`
        return
    if problem is not None:
        yield Finding(
            "train.objective",
            f"the objective needs the gradient of judge.judge: {problem}",
            expected="a judge that runs in this process and has margins(), see rushes.judge.gradient",
            got=name_of(recipe.judge.judge, JUDGE),
            next_step="--set 'train.objective={kind: online}', which needs only scores, or another judge.judge",
        )


def check_plugin_findings(recipe: Recipe) -> Iterator[Finding]:
    """What the plug-ins themselves find."""
    for where, spec in usable(recipe):
        if isinstance(spec, Checkable):
            for each in spec.findings(recipe.runtime):
                yield replace(each, setting=f"{where}.options.{each.setting}")


def check_builds(recipe: Recipe, found: Sequence[Finding]) -> Iterator[Finding]:
    """Every plug-in can be built, unless that would load weights; then those inside it can.

    A suite is built and read by `check_suite`. What the core has built in has checks of its own.

    Args:
        recipe: the resolved recipe.
        found: by the other checks; what they told is not told again.
    """
    own, told = dict(usable(recipe)), {each.problem for each in found}
    for where, spec, role in named(recipe):
        is_faulty = any(each.setting == where or each.setting.startswith(f"{where}.options") for each in found)
        if isinstance(spec, PluginSpec) and where in own and role is not SUITE and not is_faulty:
            yield from (each for each in _unbuilt(spec, role, where, recipe) if each.problem not in told)


def _unbuilt(spec: PluginSpec, role: Role, where: str, recipe: Recipe) -> Iterator[Finding]:
    try:
        chosen = resolved(spec, role)
        if chosen.loads_when_built:
            for inside, each in _plugins_in(chosen, f"{where}.options"):
                yield from _unbuilt(each, ANY, inside, recipe)
        else:
            built(spec, role, recipe, where)
    except UserError as error:
        # Other machines of a cluster may have what this one lacks.
        yield Finding.of(where, error, is_certain=recipe.runtime.executor == "local")


def built(spec: PluginSpec, role: Role, recipe: Recipe, where: str) -> Any:
    """The working object of a plug-in, with no cache of its own.

    Args:
        spec: what the recipe names.
        role: what it must be.
        recipe: whose runtime it is given, where a run gives it one.
        where: the setting that names it.

    Raises:
        RecipeError: it cannot be used, or its code raised anything.
    """
    chosen: Any = resolved(spec, role)
    is_pure = role in (WEIGHTING, OBJECTIVE)
    runtime = Runtime() if is_pure else recipe.runtime.model_copy(update={"cache_folder": None})
    try:
        return chosen.build(runtime) if role is ANY else build(spec, role, runtime, where)
    except UserError:
        raise
    except Exception as error:
        *_, last = traceback.extract_tb(error.__traceback__)
        raise RecipeError(
            f"the plug-in {spec.use} cannot be built: {type(error).__name__}: {error}",
            expected="a build(runtime) that raises nothing",
            got=f"{type(error).__name__} in {last.filename}, line {last.lineno}",
            next_step=f"correct {where}.options, or build() of that Spec",
        ) from error


def _plugins_in(spec: BaseModel, where: str) -> Iterator[tuple[str, PluginSpec]]:
    """The plug-ins that the options of another name, each with its setting."""
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if isinstance(value, PluginSpec):
            yield f"{where}.{name}", value
        elif isinstance(value, BaseModel):
            yield from _plugins_in(value, f"{where}.{name}")
