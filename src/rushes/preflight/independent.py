"""Checks that the measurer does not see with what the judge sees with: it would measure its own rewards."""

from __future__ import annotations

from collections.abc import Iterator

from rushes.errors import UserError
from rushes.findings import Finding, LooksWith, model_name
from rushes.plugins import JUDGE, MEASURER, resolved
from rushes.recipe.dimensions import known
from rushes.recipe.models import models_named
from rushes.recipe.recipe import Recipe
from rushes.roles import Spec


def check_independence(recipe: Recipe) -> Iterator[Finding]:
    """In no dimension do judge and measurer share a tracker, detector, reward model or chat model.

    The recipe itself refuses one chat model as both, where the fields of both name it.
    """
    if recipe.measure.same_model_as_judge:
        return
    try:
        names = [each.name for each in known(recipe.diagnose)]
        measurer = resolved(recipe.measure.measurer, MEASURER)
        judges = {name: resolved(recipe.judge.of(name).judge, JUDGE) for name in names}
    except UserError:  # see `check_plugins`, `check_coverage`
        return
    shared = {name: eyes(judge, name) & eyes(measurer, name) for name, judge in judges.items()}
    for same in dict.fromkeys(each for each in shared.values() if each):
        dimensions = [name for name, each in shared.items() if each == same]
        yield _shared(sorted(same), dimensions, recipe)


def eyes(spec: Spec, dimension: str) -> frozenset[str]:
    """Names of everything that decides a judge's or measurer's numbers in a dimension, as far as its Spec says."""
    chat = frozenset(model_name(each) for each in models_named(spec))
    return chat | (spec.looks_with(dimension) if isinstance(spec, LooksWith) else frozenset())


def _shared(names: list[str], dimensions: list[str], recipe: Recipe) -> Finding:
    own = [name for name in dimensions if name in recipe.judge.by_dimension]
    setting = f"judge.by_dimension.{own[0]}" if own else "judge.judge"
    more = f" and {len(dimensions) - 1} more dimensions" if len(dimensions) > 1 else ""
    return Finding(
        setting,
        f"judge and measurer of {dimensions[0]}{more} see with the same {', '.join(names)}: what training gains by its "
        "mistakes would be measured as a gain",
        expected="another tracker, detector or model in one of the two",
        got=", ".join(names),
        next_step=f"change it in {setting} or measure.measurer; or, for a comparison that shows only how well the "
        "judge was pleased, --set measure.same_model_as_judge=true",
    )
