"""Checks of the judges: dimensions and scales that exist, settings that fit what they give, a measurer that is another.

A judge that gives values or preferences has no scores from 0 to 1, and some settings read those.
"""

from __future__ import annotations

from collections.abc import Iterator

from rushes.errors import UserError, nearest
from rushes.feedback import gives, scales_of, sees_with
from rushes.findings import Finding
from rushes.judge.ratings import gives_shares, weights_of_scales
from rushes.plugins import JUDGE, MEASURER, objective_needs, resolved
from rushes.recipe.dimensions import known
from rushes.recipe.judge import JudgeSpec
from rushes.recipe.recipe import Recipe
from rushes.roles import Spec


def judges_of(recipe: Recipe) -> dict[str, Spec]:
    """The own Spec of every judge that is asked, by the setting that names it.

    Those that cannot be used are not among them: `check_plugins` has a finding for each.
    """
    found: dict[str, Spec] = {}
    for setting, judge in ({} if recipe.prompts.only_real else recipe.judge.named).items():
        try:
            spec = resolved(judge, JUDGE)
            scales_of(spec)
        except UserError:
            continue
        found[setting] = spec
    return found


def check_dimensions_of_judges(recipe: Recipe) -> Iterator[Finding]:
    """The dimensions that have a judge of their own exist."""
    try:
        names = [each.name for each in known(recipe.diagnose) if not each.group]
    except UserError:  # see `check_coverage`
        return
    for name in recipe.judge.by_dimension:
        if name not in names:
            near = nearest(name, names)
            yield Finding(
                "judge.by_dimension",
                f"there is no dimension {name!r}, so its judge would judge nothing",
                expected=f"one of {', '.join(names)}",
                got=repr(name),
                next_step=f"did you mean {near!r}?" if near else "add your own with diagnose.extra",
            )


def check_scales(recipe: Recipe) -> Iterator[Finding]:
    """The scales that the recipe weighs exist, and every judge that gives scores has one that counts."""
    judges = judges_of(recipe)
    names = [scale.name for spec in judges.values() for scale in scales_of(spec)]
    for name in recipe.judge.scales if judges else ():
        if name not in names:
            near = nearest(name, names)
            yield Finding(
                "judge.scales",
                f"no judge of this recipe has a scale {name!r}",
                expected=f"one of {', '.join(names)}" if names else "a judge that gives scores",
                got=repr(name),
                next_step=f"did you mean {near!r}?" if near else "--set judge.scales={}, which counts all scales alike",
            )
    for setting, spec in judges.items():
        if gives(spec) == "scores":
            try:
                weights_of_scales(alone(setting, recipe))
            except UserError as error:
                yield Finding.of(setting, error)


def check_uses_of_scores(recipe: Recipe) -> Iterator[Finding]:
    """Nothing reads scores from 0 to 1 where a judge has none, and nothing asks in training what no judge answers."""
    judges = judges_of(recipe)
    others = {setting: spec for setting, spec in judges.items() if gives(spec) != "answers"}
    try:
        needs = objective_needs(recipe.train)
    except UserError:  # see `check_plugins`
        return
    if needs.judge != "none" and len(judges) > 1:
        yield _asked_in_training("asks one judge in training, and the recipe has several", "judge.by_dimension: {}")
    if others and needs.judge != "none" and recipe.generate.decode:
        setting, spec = next(iter(others.items()))
        told = f"{setting} gives {gives(spec)}"
        yield _asked_in_training(f"asks its judge questions in training, and {told}", "a judge that answers questions")
    others = {setting: spec for setting, spec in others.items() if not _gives_shares(setting, recipe)}
    if not others or not recipe.generate.decode:
        return
    setting, spec = next(iter(others.items()))
    told = f"{setting} gives {gives(spec)}"
    if recipe.weights.kind in ("raw", "filter"):
        yield Finding(
            "weights.kind",
            f"{recipe.weights.kind} takes scores from 0 to 1, and {told}, which have no common scale",
            expected="exponential, rank, centred or contrast; or uniform for an objective that reads preferences",
            got=repr(recipe.weights.kind),
            next_step="--set 'weights={kind: exponential, temperature: 1.0}'",
        )
    reads = recipe.weights.kind != "uniform" or bool(needs.columns)
    if reads and recipe.generate.num_takes < 2:
        yield Finding(
            "generate.num_takes",
            f"{told}, which only compare takes of one prompt, and there is one",
            expected="generate.num_takes: 2 or more",
            got=str(recipe.generate.num_takes),
            next_step="--set generate.num_takes=4",
        )
    if recipe.generate.draft is not None:
        yield Finding(
            "generate.draft",
            f"drafts are picked by scores from 0 to 1, and {told}",
            expected="generate.draft: null",
            got="draft takes",
            next_step="--set generate.draft=null",
        )


def _gives_shares(setting: str, recipe: Recipe) -> bool:
    try:
        return gives_shares(alone(setting, recipe))
    except UserError:  # see `check_scales`
        return True


def alone(setting: str, recipe: Recipe) -> JudgeSpec:
    """The recipe's settings with one of its judges as the only one."""
    return recipe.judge.model_copy(update={"judge": recipe.judge.named[setting], "by_dimension": {}})


def _asked_in_training(problem: str, expected: str) -> Finding:
    return Finding(
        "train.objective",
        f"the objective {problem}",
        expected=f"{expected}, or an objective that reads stored scores",
        next_step="--set 'train.objective={kind: nft}' --set 'weights={kind: contrast}'",
    )


def check_independence(recipe: Recipe) -> Iterator[Finding]:
    """In no dimension does the measurer see with what the judge sees with: it would measure its own rewards.

    Models that the settings name are compared when the recipe is read; here it is what plug-ins say of themselves.
    """
    if recipe.measure.same_model_as_judge:
        return
    try:
        dimensions = [each.name for each in known(recipe.diagnose)]
        measurer = resolved(recipe.measure.measurer, MEASURER)
    except UserError:  # see `check_coverage`, `check_plugins`
        return
    judges = judges_of(recipe)
    for dimension in dimensions:
        own = f"judge.by_dimension.{dimension}"
        setting = own if own in recipe.judge.named else "judge.judge"
        if setting in judges and (same := sees_with(judges[setting], dimension) & sees_with(measurer, dimension)):
            yield Finding(
                "measure.measurer",
                f"in {dimension} it sees with {min(same)}, as {setting} does: it would measure its own rewards",
                expected="a measurer that sees with something else in every dimension",
                got=", ".join(sorted(same)),
                next_step=f"name another judge for {dimension} in judge.by_dimension, another measurer, "
                "or --set measure.same_model_as_judge=true",
            )
