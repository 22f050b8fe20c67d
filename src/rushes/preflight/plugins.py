"""Checks of the plug-ins that a recipe names: imported, given their options, built where that is cheap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rushes.errors import UserError
from rushes.findings import Checkable, Finding
from rushes.judge.gradient import gradient_problem
from rushes.plugins import (
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
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import unit_problem
from rushes.roles import Spec


def named(recipe: Recipe) -> Iterator[tuple[str, Spec, Role]]:
    """Each role that a recipe fills: the setting that names it, its Spec, the role."""
    specs: tuple[tuple[str, Spec | None, Role], ...] = (
        ("prompts.writer", recipe.prompts.writer, WRITER),
        ("prompts.questions", recipe.prompts.questions, QUESTION_WRITER),
        ("prompts.real.source", recipe.prompts.real.source, CLIP_SOURCE),
        ("judge.judge", recipe.judge.judge, JUDGE),
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
    """Every plug-in can be imported and takes its options; a weighting, which is pure arithmetic, is also built."""
    for where, spec, role in named(recipe):
        try:
            resolved(spec, role)
            if role is WEIGHTING and recipe.weights.plugin is not None:
                build(recipe.weights.plugin, role, recipe.runtime, where)
            if role is OBJECTIVE:
                problem = unit_problem(recipe.train, objective_needs(recipe.train), recipe.runtime.train.num_processes)
                if problem is not None:
                    yield Finding(where, problem, next_step="set train.batch_size so, or lower train.num_accumulation")
        except UserError as error:
            yield Finding.of(where, error)


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
