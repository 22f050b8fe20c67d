"""Two scored folders, two runs, or one of each, compared on what both were scored on by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.plugins import MEASURER, resolved
from rushes.store.recipe_copy import recipe_of
from rushes_vbench.catalogue import facts
from rushes_vbench.export import Which
from rushes_vbench.measured import measured_in
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
from rushes_vbench.scorecard import VBenchScorecard, compare_models
from rushes_vbench.scoring.records import FolderScores
from rushes_vbench.scoring.rules import rules_of
from rushes_vbench.scoring.shelf import read_scores
from rushes_vbench.values import ModelValues

_WHICH: Final[Mapping[str, Which]] = {"base": "base", "tuned": "tuned"}


@dataclass(frozen=True)
class Side:
    """One model to compare, from wherever it was scored."""

    values: ModelValues
    """Its values."""
    rules: Mapping[str, str]
    """Per dimension, the hash of what scored it."""
    notes: tuple[str, ...] = ()
    """What a reader must know about it."""


def read_side(name: str) -> Side:
    """A model's scores.

    Args:
        name: a folder of clips that was scored, its scores, a run, or RUN@base or RUN@tuned; a run alone is its tuned
            model.

    Raises:
        InputError: it was never scored, or not to the end.
    """
    home, which = _run_of(name)
    return _of_folder(read_scores(Path(name))) if home is None else run_sides(home)[which]


def _run_of(name: str) -> tuple[Path | None, Which]:
    path, _, which = name.rpartition("@")
    if which in _WHICH and (Path(path) / "header.json").exists():
        return Path(path), _WHICH[which]
    return (Path(name) if (Path(name) / "header.json").exists() else None), "tuned"


def _of_folder(found: FolderScores) -> Side:
    notes = [f"{found.model}: {num} clips failed and have no score yet" for num in (found.num_failed,) if num]
    return Side(found.values(), {each.dimension: each.rules for each in found.dimensions}, tuple(notes))


def run_sides(home: Path) -> Mapping[Which, Side]:
    """Both models of a run, by its own measurements of the suite's held-out prompts.

    Raises:
        InputError: it has not measured both.
        StoreError: it is no run, or damaged.
    """
    found = measured_in(home)
    spec = resolved(recipe_of(home).measure.measurer, MEASURER)
    # Another measurer's values are compared with its own alone.
    rules = {
        name: rules_of(spec, name) if isinstance(spec, VBenchMeasurerSpec) else f"{spec.spec_name} of {home.resolve()}"
        for name in facts()
    }
    return {which: Side(own, rules, found.notes) for which, own in found.sides.items()}


def compare_sides(a: Side, b: Side, names: tuple[str, str]) -> VBenchScorecard:
    """B against A, over the dimensions that both were scored in by the same rules and models.

    Args:
        a: in the place of the untouched model.
        b: in the place of the tuned one.
        names: of the two in tables.
    """
    differ = {
        name: "not scored by the same rules, models and settings"
        for name in a.rules.keys() & b.rules.keys()
        if a.rules[name] != b.rules[name]
    }
    one, other = (ModelValues(name, side.values.dimensions) for name, side in zip(names, (a, b), strict=True))
    notes = tuple(dict.fromkeys((*a.notes, *b.notes)))
    return compare_models(one, other, measurer="own scoring", notes=notes, apart=differ)
