"""Made-up results of arms."""

from __future__ import annotations

import numpy as np

from lab.budgets import Budget
from lab.outcomes import Measured, Outcome, Result
from rushes.statistics.seeds import SeedGains

BUDGET = Budget(clips_judged=1008, steps=400, forwards=41_760, seconds=300.0)


def result(arm: str, seed: int, gains: SeedGains, **changes: object) -> Result:
    """A result in which the dimension A was aimed at."""
    dimensions = {name: Measured(before=0.5, after=0.6, gains=dict(means)) for name, means in gains.items()}
    made = Result(
        arm=arm, seed=seed, split="development", equal="own", recipe_hash="1c" * 32, focus=("A",),
        dimensions=dimensions, budget=BUDGET, commit="c0ffee", machine="2 cores", command="python -m lab.results",
    )  # fmt: skip
    return made.model_copy(update=changes)


def outcome(name: str, *seeds: SeedGains) -> Outcome:
    """An arm over seeds 1, 2, ..."""
    return Outcome(name, tuple(result(name, seed, gains) for seed, gains in enumerate(seeds, 1)))


def spread(mean: float, num: int = 40, seed: int = 0) -> dict[str, float]:
    """Gains of prompts, which vary with the prompt more than with the arm."""
    own = np.random.default_rng(round(100 * abs(mean))).choice([-0.02, 0.02], num)
    drawn = mean + own - own.mean() + np.random.default_rng(seed).uniform(-0.4, 0.4, num)
    return {f"p{i}": float(v) for i, v in enumerate(drawn)}


def cells(table: str, arm: str) -> list[str]:
    """The cells of an arm's row in a Markdown table."""
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {arm} |")]
    return [cell.strip() for cell in line.split("|")[1:-1]]


def exactly(mean: float, num: int = 40, seed: int = 0) -> dict[str, float]:
    """The same with a mean of just that."""
    found = spread(mean, num, seed)
    off = sum(found.values()) / num - mean
    return {name: value - off for name, value in found.items()}
