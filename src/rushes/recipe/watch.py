"""Recipe settings for watching a training: how often, on how many prompts, and the rules of its alarms."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from rushes.records.base import Count, Share, Size
from rushes.roles import Spec


class WatchSpec(Spec):
    """Training is watched: every few steps, judge and measurer score takes of prompts that are used for nothing else.
    Alarms are raised, training may stop early, and the best checkpoint becomes the result."""

    spec_name: ClassVar[str] = "watch"

    every: Size = 50
    """Optimiser steps between looks; there is one before step 1 and one after the last."""
    num_prompts: Annotated[int, Field(ge=2)] = 8
    """Watch prompts per focus dimension."""
    num_takes: Size = 1
    """Seeds per watch prompt, the same at every look."""
    num_diversity_prompts: Count = 4
    """Watch prompts for Diversity, with `measure.num_diversity_takes` takes each; 0 leaves it out."""
    keep: Size = 1
    """Checkpoints that are kept: the best ones by the rule in docs/hacking.md, of each round."""
    stop_after: Size | None = 2
    """Looks in a row with an alarm after which training stops early; null always trains to the last step."""
    judge_rise: Share = 0.05
    """Alarm if the judge's mean score has clearly risen, by at least this, and clearly more than the measurer's, which
    has not clearly risen."""
    max_diversity_loss: Share = 0.1
    """Alarm if Diversity has lost more than this share of its value before training."""
    max_motion_loss: Share = 0.25
    """Alarm if the amount of motion has lost more than this share of its value before training."""
    max_norm_rise: Annotated[float, Field(ge=0)] = 0.1
    """Alarm if the norm of the velocity has grown by more than this share of its value before training."""
