"""What is kept of a finished arm: one small file for each seed, from which pages and pictures are made without runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Final

from pydantic import ValidationError

from lab.budgets import Budget, Equal
from rushes.errors import InputError
from rushes.measure.pairs import DIVERSITY
from rushes.recipe.measure import Split
from rushes.records import DriftRow, Key, PromptGain, Record
from rushes.records.base import Count, Share, Text
from rushes.statistics.bootstrap import mean_of
from rushes.statistics.comparison import Comparison, paired_gains
from rushes.statistics.resampling import Resampling
from rushes.statistics.seeds import DIFFERENCE_BOUNDS, SeedGains, SeedSpread, compare_seeds, differences, pooled_spread
from rushes.store.files import write_atomic

FOLDER: Final = Path("lab/outcomes")
"""Where they lie, in version control: SPLIT/EQUAL/ARM.SEED.json."""
HOW: Final = Resampling(num_resamples=5000)
"""Resamples of every table and picture."""
_CLUSTER_DIGITS: Final = 12
_DECIMALS: Final = 6


class Measured(Record):
    """One dimension, before and after.

    Example: `Measured(before=0.64, after=0.69, gains={"1c2d3e4f5a6b": 1.0})`.
    """

    before: Share
    """Mean score of the base model over prompts."""
    after: Share
    """The same of the tuned model."""
    gains: dict[str, float]
    """The gain of each prompt, by the first digits of the hash of its text."""


class Result(Record):
    """A finished arm with one seed. All that tables and pictures read of it.

    Example:
        Result(arm="nft", seed=1, split="development", equal="own", recipe_hash="1c" * 32, focus=("Composition",),
               dimensions={}, budget=Budget(clips_judged=1008, steps=400, forwards=41_760), commit=None,
               machine="2 cores of AMD EPYC", command="python -m lab.results --arms nft --seeds 1")
    """

    arm: Text
    """Name of the arm."""
    seed: Count
    """Of its recipe and its training."""
    split: Split
    """Held-out prompts that it was measured on."""
    equal: Equal
    """What it has in common with the arms of its table."""
    recipe_hash: Key
    """Of all that decides it, see `lab.runs.hash_of`."""
    focus: tuple[str, ...]
    """Dimensions that it aimed at."""
    dimensions: dict[str, Measured]
    """Every dimension that was compared."""
    budget: Budget
    """What it cost."""
    drift: tuple[DriftRow, ...] = ()
    """Motion, saturation and the like before and after, on the held-out clips; empty where it was not kept."""
    commit: str | None
    """Of the checkout that ran; None if unknown."""
    machine: Text
    """Cores, memory, accelerator."""
    command: Text
    """What was typed."""

    @property
    def gains(self) -> SeedGains:
        """Per dimension, the gain of every prompt."""
        return {name: each.gains for name, each in self.dimensions.items()}

    @property
    def focus_gains(self) -> SeedGains:
        """The gains in the dimensions that it aimed at; those that could not be measured are left out."""
        return {name: each.gains for name, each in self.dimensions.items() if name in self.focus}

    @property
    def focus_gain(self) -> float | None:
        """Mean gain over the focus, -1 to 1; None unless all of it was measured."""
        found = self.focus_gains
        return fmean(mean_of(each) for each in found.values()) if found and len(found) == len(self.focus) else None


def measured(gains: Iterable[PromptGain], clusters: Mapping[str, str]) -> dict[str, Measured]:
    """Every dimension's prompts, as `Result.dimensions` has them.

    Args:
        gains: of all prompts.
        clusters: key of each prompt -> its text, see `rushes.measure.pairs.clusters_of`.
    """
    by_name: dict[str, list[PromptGain]] = {}
    for each in gains:
        by_name.setdefault(each.dimension, []).append(each)
    return {name: _of_dimension(found, clusters) for name, found in by_name.items()}


def _of_dimension(found: Sequence[PromptGain], clusters: Mapping[str, str]) -> Measured:
    names = [_short(clusters[each.prompt_key]) for each in found]
    before, after = [each.before for each in found], [each.after for each in found]
    gains = paired_gains(before, after, names)
    return Measured(
        before=mean_of(paired_gains([0.0] * len(before), before, names)),
        after=mean_of(paired_gains([0.0] * len(after), after, names)),
        gains={name: round(gain, _DECIMALS) for name, gain in gains.items()},
    )


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_CLUSTER_DIGITS]


FOCUS: Final = ""
"""The name of the mean over the focus, beside those of dimensions."""
UNAIMED: Final = "other dimensions"
"""The name of the mean over the others, without Diversity."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """An arm over all seeds."""

    name: str
    """Name of the arm."""
    results: tuple[Result, ...]
    """One per seed."""
    spreads: Mapping[str, SeedSpread] = field(default_factory=dict[str, SeedSpread])
    """By dimension and for `FOCUS`, how far seeds lie apart in other arms: read where this one has a single seed."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that measured any of the focus, ascending."""
        return tuple(sorted(self.focus))

    @property
    def focus(self) -> Mapping[int, SeedGains]:
        """Per seed, the gains in the dimensions that it aimed at; seeds without any are left out."""
        return {each.seed: each.focus_gains for each in self.results if each.focus_gains}

    @property
    def gain(self) -> Comparison:
        """Mean gain over the focus dimensions and seeds.

        Raises:
            ValueError: no focus dimension was measured.
        """
        return compare_seeds(list(self.focus.values()), HOW, spread=self.spreads.get(FOCUS))

    @property
    def unaimed(self) -> Comparison | None:
        """Mean gain over the dimensions that it did not aim at, Diversity left out; None if none was measured."""
        runs = self.unaimed_runs
        return compare_seeds(runs, HOW, spread=self.spreads.get(UNAIMED)) if runs else None

    @property
    def unaimed_runs(self) -> list[SeedGains]:
        """The gains of these dimensions, of every seed that measured any."""
        found: list[SeedGains] = [
            {name: gains for name, gains in each.gains.items() if name not in each.focus and name != DIVERSITY}
            for each in self.results
        ]
        return [run for run in found if run]

    @property
    def by_dimension(self) -> dict[str, Comparison]:
        """Mean gain of every dimension over the seeds that measured it."""
        return {
            name: compare_seeds(runs, HOW, spread=self.spreads.get(name))
            for name, runs in self.runs_by_dimension.items()
        }

    @property
    def runs_by_dimension(self) -> dict[str, list[SeedGains]]:
        """Per dimension, the gains of every seed that measured it."""
        names = dict.fromkeys(name for each in self.results for name in each.gains)
        return {name: [{name: each.gains[name]} for each in self.results if name in each.gains] for name in names}


def difference(one: Outcome, other: Outcome, spread: SeedSpread | None = None) -> Comparison | None:
    """The focus gain of one arm less that of another, paired by seed, dimension and prompt.

    Args:
        one: the arm.
        other: what it is compared with.
        spread: of such differences between seeds, read where they share one seed.

    Returns:
        None where they share no seed, or fewer than two prompts in some dimension.
    """
    runs = differences(one.focus, other.focus)
    if not runs or any(len(means) < 2 for run in runs for means in run.values()):
        return None
    return compare_seeds(runs, HOW, bounds=DIFFERENCE_BOUNDS, spread=spread)


def all_differences(versus: Mapping[str, tuple[Outcome, Outcome]]) -> dict[str, Comparison | None]:
    """The difference of every pair, those of one shared seed with the spread that the others show.

    Args:
        versus: by name, an arm and the one that it is compared with.
    """
    spread = pooled_spread(differences(one.focus, other.focus) for one, other in versus.values())
    return {name: difference(one, other, spread) for name, (one, other) in versus.items()}


# ---------------------------------------------------------------------------------------------- files


def write(result: Result, folder: Path) -> Path:
    """Keep a result; what was kept of the same arm and seed is replaced.

    Raises:
        StoreError: the folder cannot be written.
    """
    name = re.sub(r"[^a-z0-9_]+", "-", result.arm.lower()).strip("-")
    path = folder / result.split / result.equal / f"{name}.{result.seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, f"{result.model_dump_json(indent=1)}\n".encode())
    return path


def read(folder: Path, split: Split) -> list[Result]:
    """All results on a split, in the order of their paths; none if there is no such folder.

    Raises:
        InputError: a file is not a result, with the file to remove.
    """
    found = []
    for path in sorted((folder / split).glob("*/*.json")):
        try:
            found.append(Result.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            raise InputError(
                f"{path} is not an outcome of this version",
                expected="a file that python -m lab.results has written",
                got=error.errors()[0]["msg"],
                next_step=f"remove it and run that arm again: rm '{path}'",
            ) from error
    return found


def together(results: Iterable[Result], equal: Equal) -> dict[str, Outcome]:
    """The results of one comparison by arm, seeds in order."""
    by_arm: dict[str, list[Result]] = {}
    for each in results:
        if each.equal == equal:
            by_arm.setdefault(each.arm, []).append(each)
    found = [Outcome(name, tuple(sorted(own, key=lambda each: each.seed))) for name, own in by_arm.items()]
    runs: dict[str, list[list[SeedGains]]] = {
        FOCUS: [[*arm.focus.values()] for arm in found],
        UNAIMED: [arm.unaimed_runs for arm in found],
    }
    for arm in found:
        for name, of_dimension in arm.runs_by_dimension.items():
            runs.setdefault(name, []).append(of_dimension)
    pooled = {name: pooled_spread(recipes) for name, recipes in runs.items()}
    spreads = {name: spread for name, spread in pooled.items() if spread is not None}
    return {arm.name: replace(arm, spreads=spreads) for arm in found}
