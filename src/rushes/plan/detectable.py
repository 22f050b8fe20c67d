"""The smallest gain that a recipe's final comparison can be expected to show: before anything is spent. Pure.

The assumptions are those of `rushes.statistics.power`: clips are right or wrong, half of them right (the worst case),
with the correlations `LIKENESS` and `SAME_SEED`, and all prompts of a dimension gain alike. A single dimension is
decided together with all others of the scorecard, at Holm's strictest step; the mean of the focus is decided alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from rushes.plan.counts import num_focused
from rushes.recipe.dimensions import known, probed
from rushes.recipe.recipe import Recipe
from rushes.statistics.comparison import ALPHA
from rushes.statistics.power import fewest_prompts, smallest_gain

REPORTED: Final = 0.04
"""The largest mean gain that is usually reported for tuning of this kind: 4 points of 100."""
_MOST_PROMPTS: Final = 100_000


@dataclass(frozen=True)
class Detectable:
    """What a comparison can see in one place."""

    what: str
    """A dimension or several alike, or the mean of the focus."""
    num_prompts: int
    """Held-out prompts behind it."""
    num_takes: int
    """Clips of each prompt and model."""
    num_compared: int
    """Dimensions that are decided together."""

    @property
    def gain(self) -> float | None:
        """The smallest gain found with 80 % probability, 0 to 1; None if no gain at all could pass the test."""
        if self.num_prompts < self.fewest:
            return None
        found = smallest_gain(self.num_prompts, self.num_takes, num_compared=self.num_compared)
        return found if found <= 1.0 else None

    @property
    def fewest(self) -> int:
        """Prompts below which nothing is a measurement."""
        return fewest_prompts(ALPHA / self.num_compared)


def detectable(recipe: Recipe) -> tuple[Detectable, ...]:
    """What a recipe can see: the mean of the focus first, then the focus dimensions, then the others.

    Nothing if it measures nothing.

    Raises:
        RecipeError: the recipe names a dimension that does not exist.
    """
    spec, names = recipe.measure, [each.name for each in probed(recipe.diagnose)]
    focus = recipe.diagnose.focus
    if not recipe.is_measured:
        return ()
    num_focus = num_focused(recipe, len(names))
    groups = 0 if spec.only_focus else sum(each.group for each in known(recipe.diagnose))
    compared = (num_focus if spec.only_focus else len(names)) + (groups if spec.num_diversity_prompts else 0)
    in_focus = spec.num_prompts + spec.num_extra_focus_prompts
    rows = [Detectable(f"the mean of the {num_focus} focus dimensions", num_focus * in_focus, spec.num_takes, 1)]
    if num_focus == 1:
        rows = [Detectable("the focus dimension", in_focus, spec.num_takes, 1)]
    each_one = ", ".join(focus) or "each focus dimension"
    rows.append(Detectable(f"{each_one}, decided among {compared}", in_focus, spec.num_takes, compared))
    if not spec.only_focus and len(names) > num_focus:
        others = f"each other dimension, decided among {compared}"
        rows.append(Detectable(others, spec.num_prompts, spec.num_takes, compared))
    return tuple(rows)


def in_words(recipe: Recipe) -> str:
    """One sentence on what a recipe can see, as its file says it.

    Raises:
        RecipeError: the recipe names a dimension that does not exist.
    """
    if not recipe.is_measured:
        return "It measures nothing."
    whole, each = detectable(recipe)[:2]
    if whole.gain is None:
        return f"It can see no gain: {whole.num_prompts} prompts are no measurement."
    alone = "none" if each.gain is None else points(each.gain)
    return (
        f"The smallest gain that it can see is {points(whole.gain)} points in {whole.what}, and {alone} in a single "
        "dimension."
    )


def points(gain: float) -> str:
    """A gain in points of 100."""
    return f"{100 * gain:.0f}"


def prompts_for(gain: float, row: Detectable) -> int | None:
    """Prompts that a place needs to show a gain; None if that takes more than anybody has.

    Args:
        gain: 0 to 1.
        row: takes and number of comparisons are its own.
    """
    low, high = max(2, row.fewest) - 1, _MOST_PROMPTS
    if smallest_gain(high, row.num_takes, num_compared=row.num_compared) > gain:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        enough = smallest_gain(middle, row.num_takes, num_compared=row.num_compared) <= gain
        low, high = (low, middle) if enough else (middle, high)
    return high


def per_dimension(num_prompts: int, recipe: Recipe) -> int:
    """Prompts of each focus dimension that make up a number of prompts for their mean."""
    num_focus = num_focused(recipe, len(probed(recipe.diagnose)))
    return math.ceil(num_prompts / num_focus)
