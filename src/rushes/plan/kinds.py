"""Kinds of work, each with its own price, and how much of them a stage has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ReplyKind = Literal["answers", "ratings", "votes"]
"""Kinds of records of what a judge says; the tables of a run that hold them have the same names."""
Kind = (
    Literal["drafts", "clip_calls", "other_calls", "decodes", "draft_clips", "measurements", "train_clips", "encodes"]
    | ReplyKind
)
"""Kinds of work, each with its own price: drafts written; transformer calls for one clip while sampling (guidance needs
two per step), and those of another model that generates in place of the tuned one; clips decoded; draft clips sampled
and decoded; clips (or groups) measured; clips in a batch of one optimiser step; clips encoded for training; questions
answered, values on scales and preferences given by judges."""

Units = Mapping[Kind, float]
"""An amount of work: units by kind."""


@dataclass(frozen=True)
class StageWork:
    """The work of one stage."""

    stage: str
    """Name of the stage."""
    items: str
    """What it produces, in words."""
    num_items: int
    """How many; an upper bound if the screen decides."""
    units: Units
    """Work by kind."""
    tables: Mapping[str, int]
    """Records that it adds, by table of the run; upper bounds if the screen decides."""
