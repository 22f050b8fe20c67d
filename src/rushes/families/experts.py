"""Two transformers by noise level, as Wan2.2's A14B has them: what they are called, and whose weights are whose.

The first, the high-noise expert, predicts at noise levels from the model's `boundary_ratio` on, the second below it. In
a file or a dictionary the weights of the first have their own names and those of the second begin with
`transformer_2.`, so names tell the expert, and models with one transformer are as they always were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from rushes.families.family import Conditions, Family
    from rushes.families.texts import TextStates

Expert = Literal["high", "low"]
"""By the noise levels at which it predicts."""
PartName = Literal["transformer", "transformer_2"]
"""Names of transformers in a diffusers pipeline."""
PARTS: Final[Mapping[Expert, PartName]] = {"high": "transformer", "low": "transformer_2"}
"""Where a pipeline has each expert."""
PREFIX: Final = "transformer_2."
"""Begins the names of the second transformer's weights."""

Value = TypeVar("Value")


def named(weights: Mapping[str, Value], part: PartName) -> dict[str, Value]:
    """A transformer's weights under the names that tell which transformer they are of."""
    return {f"{PREFIX}{name}": value for name, value in weights.items()} if part == "transformer_2" else dict(weights)


def of_part(weights: Mapping[str, Value], part: PartName) -> dict[str, Value]:
    """One transformer's weights under its own names; empty if there are none of it."""
    if part == "transformer":
        return {name: value for name, value in weights.items() if not name.startswith(PREFIX)}
    return {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}


def transformers_of(pipeline: Any) -> dict[PartName, Any]:
    """Every transformer of a diffusers pipeline by its name there: one, or two by noise level."""
    found: dict[PartName, Any] = {name: getattr(pipeline, name, None) for name in PARTS.values()}
    return {name: part for name, part in found.items() if part is not None}


def velocity_at(family: Family, z_t: Tensor, sigma_B: Tensor, text: TextStates, conditions: Conditions) -> torch.Tensor:
    """The velocity that a family's own transformers predict, each item by the one for its noise level; BCThw.

    Args:
        family: the loaded model.
        z_t: noisy latents, BCThw.
        sigma_B: noise level of each item, 0 to 1.
        text: B texts.
        conditions: other inputs of the transformers.
    """
    timestep = family.path.timestep(sigma_B)
    velocity: Tensor | None = None
    for part, transformer in family.transformers.items():
        low, high = family.levels_of(part)
        rows = ((sigma_B >= low) & ((sigma_B < high) | (high == 1.0))).nonzero()[:, 0]
        if len(rows) == len(sigma_B):
            return family.predict(transformer, z_t, timestep, text, conditions)
        if len(rows):
            found = family.predict(transformer, z_t[rows], timestep[rows], text[rows], conditions)
            velocity = found.new_zeros(z_t.shape) if velocity is None else velocity
            velocity = velocity.index_copy(0, rows, found)
    assert velocity is not None
    return velocity
