"""The nouns of Rushes: frozen records that cross a stage or a process boundary. One word for one thing.

*Expensive* records (`expensive.py`) are appended once and never rewritten; *derived* ones (`derived.py`) can always be
recomputed from them, so a better rubric re-reads old answers and re-judges nothing.
"""

from rushes.records.base import BlobRef, FileRef, FolderRef, Key, KeyedRecord, Record
from rushes.records.derived import (
    CostEntry,
    Criterion,
    DimensionRow,
    DraftOutcome,
    DriftRow,
    Focus,
    Rejection,
    RunHeader,
    Sample,
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

__all__ = [
    "Answer",
    "BlobRef",
    "Checkpoint",
    "Clip",
    "CostEntry",
    "Criterion",
    "DimensionRow",
    "DraftOutcome",
    "DriftRow",
    "Failure",
    "FileRef",
    "Focus",
    "FolderRef",
    "Key",
    "KeyedRecord",
    "LossSummary",
    "Measurement",
    "Origin",
    "Outcome",
    "Part",
    "Prompt",
    "Question",
    "Record",
    "Rejection",
    "RunHeader",
    "Sample",
    "SamplerSettings",
    "Score",
    "Scorecard",
    "Scored",
    "UnmeasuredDimension",
    "Unscored",
    "Verdict",
]
