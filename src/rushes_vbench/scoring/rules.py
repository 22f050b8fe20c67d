"""With what a folder is scored: the measurer and the runtime of a recipe, and which of its settings decide a dimension.

Scores of a dimension are kept under what decides them and nothing else: to name a model for one dimension later, or to
move the copy of the suite, scores no clip of another again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.errors import RecipeError
from rushes.plugins import MEASURER, resolved
from rushes.recipe.load import load_recipe, parse_recipe
from rushes.recipe.runtime import RuntimeSpec
from rushes.store.identity import content_hash
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
from rushes_vbench.metrics.scorer import NEEDS

BARE: Final = "from: sandbox\nmeasure: {measurer: {use: vbench2}}\n"
"""The recipe that is scored by where none is named: the two dimensions that need no weights."""

SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "judge": ("judge", "negated_twins"),
    "teller": ("teller", "num_told", "least_told"),
    "text_judge": ("text_judge",),
    "tracker": ("tracker", "cotracker_folder"),
    "flow": ("flow",),
    "detector": ("detector",),
    "anomaly": ("anomaly", "crops_together"),
    "face_finder": ("face_finder",),
    "face_embedder": ("face_embedder",),
    "features": ("vgg19",),
}
"""Settings that choose each model of `rushes_vbench.metrics.scorer.Models`. A setting that stands nowhere here, but for
`suite`, decides every dimension."""


@dataclass(frozen=True)
class Scoring:
    """What scores, and where it runs."""

    measurer: VBenchMeasurerSpec
    """Rules and models."""
    runtime: RuntimeSpec
    """Device, servers."""


def read_scoring(recipe: str | None, overrides: Sequence[str] = (), suite: str | None = None) -> Scoring:
    """The measurer and the runtime of a recipe; the rest of it has no effect.

    Args:
        recipe: a file or a packaged recipe; None for one that names no models.
        overrides: `a.b=value` each, as `--set` of every command takes them.
        suite: the user's copy of the suite; None for that of the recipe.

    Raises:
        RecipeError: the recipe cannot be read, or its measurer is another one.
    """
    if recipe is None:
        found = parse_recipe(BARE, source="the settings", overrides=overrides)
    else:
        found = load_recipe(recipe, overrides)
    measurer = resolved(found.measure.measurer, MEASURER)
    if not isinstance(measurer, VBenchMeasurerSpec):
        raise RecipeError(
            "the measurer of this recipe is not VBench-2.0's own scoring",
            expected="measure.measurer: {use: vbench2, options: {...}}",
            got=measurer.spec_name,
            next_step="name another recipe with --recipe, or leave --recipe out to score what needs no weights",
        )
    if suite is not None:
        measurer = measurer.model_copy(update={"suite": suite})
    return Scoring(measurer, found.runtime)


def deciding(spec: VBenchMeasurerSpec, dimension: str) -> VBenchMeasurerSpec:
    """The same measurer with the default of every setting that has no effect on this dimension.

    Args:
        spec: rules and models.
        dimension: exact identifier.
    """
    needed = {*NEEDS[dimension], *(("detector",) if dimension == "Instance_Preservation" else ())}
    if dimension == "Human_Anatomy" and spec.anomaly == "judge":
        needed.add("judge")
    without = {name for need, names in SETTINGS.items() if need not in needed for name in names}
    fields = VBenchMeasurerSpec.model_fields
    return spec.model_copy(update={name: fields[name].default for name in (*without, "suite")})


def rules_of(spec: VBenchMeasurerSpec, dimension: str) -> str:
    """Hash of what decides the values of a dimension: 64 hex digits."""
    return content_hash(deciding(spec, dimension))
