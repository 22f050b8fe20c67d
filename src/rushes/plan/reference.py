"""What a run would have cost on the reference GPU: the work done, times prices by arithmetic. An estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rushes.plan.arithmetic import UnitFlops, arithmetic_of, prices_on
from rushes.plan.gpus import find_gpu
from rushes.plan.kinds import Units
from rushes.plan.prices import cost
from rushes.recipe.recipe import Recipe

GPU: Final = find_gpu("H200")
NAME: Final = f"NVIDIA {GPU.name}"
SMALL_CALL: Final = 1e12
"""A transformer call with fewer FLOPs takes under 4 ms there: launching its kernels then takes as long as computing, so
the estimate is only a lower bound."""

_BASIS: Final[Mapping[str, str]] = {
    "prompts": "the language model that writes",
    "clips": "transformer calls and decoding",
    "draft_clips": "transformer calls and decoding",
    "answers": "the judge's network",
    "ratings": "the judge's network",
    "votes": "the judge's network",
    "draft_answers": "the judge's network",
    "draft_ratings": "the judge's network",
    "draft_votes": "the judge's network",
    "measurements": "the chat models of the measurer",
    "watch_clips": "transformer calls and decoding",
    "watch_answers": "the judge's network",
    "watch_ratings": "the judge's network",
    "watch_votes": "the judge's network",
    "watch_measurements": "the chat models of the measurer",
    "checkpoints": "forward and backward passes, encoding of the clips",
}
"""What is counted, by table."""
_NO_BASIS: Final[Mapping[str, str]] = {
    "prompts": "no count: these prompts are not written by a language model",
    "answers": "this judge's arithmetic cannot be counted",
    "ratings": "this judge's arithmetic cannot be counted",
    "votes": "this judge's arithmetic cannot be counted",
    "draft_answers": "this judge's arithmetic cannot be counted",
    "draft_ratings": "this judge's arithmetic cannot be counted",
    "draft_votes": "this judge's arithmetic cannot be counted",
    "measurements": "no count: the measurer is a separate program",
    "watch_answers": "this judge's arithmetic cannot be counted",
    "watch_ratings": "this judge's arithmetic cannot be counted",
    "watch_votes": "this judge's arithmetic cannot be counted",
    "watch_measurements": "no count: the measurer is a separate program",
}
"""Why nothing is counted, by table."""


@dataclass(frozen=True)
class ReferenceCost:
    """One stage on the reference GPU."""

    stage: str
    """Table of the run, as in the cost ledger."""
    seconds: float | None
    """Estimated seconds; None if there is nothing to estimate from."""
    is_at_least: bool
    """True if the estimate is a lower bound: the model is too small to fill the GPU, or a part is not counted."""
    basis: str
    """What was counted, or why nothing was."""


def reference_costs(done: Mapping[str, Units], unit: UnitFlops, recipe: Recipe) -> tuple[ReferenceCost, ...]:
    """Each table of the cost ledger on the reference GPU; work that is not counted has no number.

    Args:
        done: units of work by table, see `counts.units_done`.
        unit: arithmetic of one unit, of this recipe's base.
        recipe: the run's recipe.

    Raises:
        RecipeError: the writer, the judge or the measurer is a plug-in that cannot be used.
    """
    prices = prices_on(recipe, arithmetic_of(recipe, unit), GPU)
    is_small = unit.call < SMALL_CALL
    found = []
    for table, units in done.items():
        each = cost(units, prices)
        if each.unknown:
            found.append(ReferenceCost(table, None, False, _NO_BASIS.get(table, "this stage is not counted")))
        else:
            is_at_least = is_small or bool(each.left_out)
            basis = "; without ".join([_BASIS.get(table, "counted work"), *each.left_out])
            found.append(ReferenceCost(table, each.seconds, is_at_least, basis))
    return tuple(found)
