"""The record of one look at a model while it is trained: see `rushes.watch`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from rushes.records.base import Count, Key, KeyedRecord, Record, Share, Text

Amount = Annotated[float, Field(ge=0.0)]


class WatchedPrompt(Record):
    """One watch prompt: the mean scores of its takes.

    Example:
        WatchedPrompt(prompt_key="1c" * 32, judge=0.8, measurer=0.5)
    """

    prompt_key: Key
    """The prompt."""
    judge: float | None
    """Mean score by the training judge, 0 to 1 or in `unit`; None if no take was scored. Of a judge that gives
    preferences, the share of comparisons with the base's takes of the same seeds that are won: 1/2 for the base."""
    unit: Text | None = None
    """Unit of the judge's score, in words; None for a share of 1."""
    measurer: Share | None
    """Mean score by the independent measurer; None if no take was measured."""


class WatchPoint(KeyedRecord):
    """The model after some steps of training, on the watch prompts: always the same prompts and seeds.

    Example:
        WatchPoint(key="8b" * 32, model="5a" * 32, training="5a" * 32, step=100,
                   prompts=(WatchedPrompt(prompt_key="1c" * 32, judge=0.8, measurer=0.5),), diversity=0.4, motion=2.4,
                   saturation=0.18, velocity_norm=1.02)
    """

    model: Text
    """Key of the checkpoint; the fingerprint of the base for the point before all training."""
    training: Key | None = None
    """Key of the training that it is part of; None for the base."""
    round_index: Count = 0
    """Round of that training, from 0."""
    step: Count = 0
    """Optimiser steps of that training."""
    asked: Key | None = None
    """Key of the look at the base with the same prompts, seeds, sampler, judge and measurer: looks that share it can be
    compared. None in looks of earlier versions."""
    prompts: tuple[WatchedPrompt, ...]
    """Judge and measurer, by prompt."""
    diversity: Share | None
    """Mean measurement of the dimensions that compare takes of one prompt; None if there are none."""
    motion: Amount | None
    """Mean absolute change of brightness between neighbouring frames, levels of 255; None without clips."""
    saturation: Share | None
    """Mean saturation; None without clips."""
    velocity_norm: Amount | None
    """Root mean square of the velocity on the base's watch clips at fixed noise; None if it could not be computed."""

    @property
    def judge(self) -> float | None:
        """Mean score by the judge over the prompts that it scored; None if it scored none, or on several scales."""
        return _mean(each.judge for each in self.prompts) if len(self._units) == 1 else None

    @property
    def judge_unit(self) -> str | None:
        """Unit of `judge`, in words; None for a share of 1, and where there is no such mean."""
        return next(iter(self._units)) if len(self._units) == 1 else None

    @property
    def _units(self) -> set[str | None]:
        return {each.unit for each in self.prompts if each.judge is not None}

    @property
    def measurer(self) -> float | None:
        """Mean score by the measurer over the prompts that it measured; None if it measured none."""
        return _mean(each.measurer for each in self.prompts)


class WatchSet(Record):
    """What the recipe in use asks at its looks: a folder may hold looks of recipes that ran in it before.

    Example:
        WatchSet(asked="8b" * 32)
    """

    asked: Key
    """`asked` of its looks."""


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
