"""The nouns: frozen records that cross a stage or a process boundary, the expensive ones and those derived from them.

Every part may use them. They know nothing but errors.
"""

from rushes.records.base import BlobRef, Key, KeyedRecord, Record
from rushes.records.derived import (
    Change,
    CostEntry,
    Criterion,
    DimensionRow,
    DraftOutcome,
    DriftRow,
    Focus,
    Leniency,
    PromptGain,
    Rejection,
    RunHeader,
    Score,
    Scorecard,
    UnmeasuredDimension,
    Verdict,
)
from rushes.records.expensive import (
    Answer,
    Checkpoint,
    Clip,
    Failure,
    LossSummary,
    MadeBy,
    Measurement,
    Origin,
    Outcome,
    Part,
    Prompt,
    Question,
    SamplerSettings,
    Scored,
    Unscored,
)
from rushes.records.feedback import Rating, Scale, Vote
from rushes.records.rounds import FinishedRound, Removed
from rushes.records.sample import UNSTATED, Sample, Stated
from rushes.records.sampled import SampledClip
from rushes.records.stated import AccuracyRow, Column, ObjectiveNeeds, OldPolicy
from rushes.records.watched import WatchedPrompt, WatchPoint, WatchSet

__all__ = [
    "UNSTATED",
    "AccuracyRow",
    "Answer",
    "BlobRef",
    "Change",
    "Checkpoint",
    "Clip",
    "Column",
    "CostEntry",
    "Criterion",
    "DimensionRow",
    "DraftOutcome",
    "DriftRow",
    "Failure",
    "FinishedRound",
    "Focus",
    "Key",
    "KeyedRecord",
    "Leniency",
    "LossSummary",
    "MadeBy",
    "Measurement",
    "ObjectiveNeeds",
    "OldPolicy",
    "Origin",
    "Outcome",
    "Part",
    "Prompt",
    "PromptGain",
    "Question",
    "Rating",
    "Record",
    "Rejection",
    "Removed",
    "RunHeader",
    "Sample",
    "SampledClip",
    "SamplerSettings",
    "Scale",
    "Score",
    "Scorecard",
    "Scored",
    "Stated",
    "UnmeasuredDimension",
    "Unscored",
    "Verdict",
    "Vote",
    "WatchPoint",
    "WatchSet",
    "WatchedPrompt",
]
