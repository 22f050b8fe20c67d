"""Results published by others, as data with their source; for orientation only, never mixed with our own."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import Field, model_validator

from rushes.records import Record
from rushes.records.base import Text

WARNING: Final = "published by others, not measured here; other clips, seeds and versions of the official code"
"""Printed wherever one of these numbers is shown."""


class Published(Record):
    """A table of scores from a publication.

    Example:
        Published(source="A paper (2025)", address="https://arxiv.org/abs/2506.10639", note="one dimension",
                  unit="percent", base="A", tuned="B", columns=("A", "B"), rows={"Material": (50.0, 52.5)})
    """

    source: Text
    """Who published it, and where."""
    address: Text
    """Web address."""
    note: str
    """What a reader must know about it."""
    unit: Literal["percent"]
    """Unit of the numbers."""
    base: Text
    """Column of the untouched model."""
    tuned: Text
    """Column of the tuned model."""
    columns: tuple[Text, ...]
    """Names of the models."""
    rows: dict[str, tuple[Annotated[float, Field(ge=0.0, le=100.0)], ...]]
    """Exact identifier -> one number per column."""

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        if any(len(row) != len(self.columns) for row in self.rows.values()) or not {
            self.base,
            self.tuned,
        } <= set(self.columns):
            raise ValueError(f"expected one number per column, base and tuned among the columns {self.columns!r}")
        return self

    def score(self, dimension: str, column: str) -> float | None:
        """A number as a score from 0 to 1; None if the table has none."""
        row = self.rows.get(dimension)
        return None if row is None else row[self.columns.index(column)] / 100.0


@cache
def published() -> Published:
    """The table of the paper whose method this project implements."""
    text = files("rushes_vbench").joinpath("published.yaml").read_text(encoding="utf-8")
    return Published.model_validate(yaml.safe_load(text))
