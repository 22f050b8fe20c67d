"""What scoring a folder leaves: a record per clip and dimension, and the result over all of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rushes.records import KeyedRecord, Outcome, Record, Scored
from rushes.records.base import Count, Key, Share, Text
from rushes_vbench.metrics.core import Profile
from rushes_vbench.names import stem
from rushes_vbench.suite import Edition
from rushes_vbench.values import ClipValue, DimensionValues, ModelValues


class FileScore(KeyedRecord):
    """The outcome of one clip in one dimension, or of all clips of a prompt in Diversity.

    Example:
        FileScore(key="4f" * 32, dimension="Camera_Motion", prompt="A barn, zoom in.", sample=0,
                  outcome=Scored(value=1.0))
    """

    dimension: Text
    """Exact identifier."""
    prompt: Text
    """The original English prompt."""
    sample: Count
    """Which clip of the prompt; 0 where its clips share one value."""
    outcome: Outcome
    """The score, or why there is none."""


class Reason(Record):
    """Why clips have no value, and how many.

    Example:
        Reason(text="not applicable: no orbit", num=3)
    """

    text: Text
    """In words."""
    num: Count
    """Clips (Diversity: prompts) without a value for it."""


class ScoredDimension(Record):
    """One dimension of a scored folder.

    Example:
        ScoredDimension(dimension="Camera_Motion", rules="3f" * 32, score=0.5, low=0.2, high=0.8, covered=0.5,
                        num_files=4, num_files_expected=324, missing=("A barn, zoom in.-2.mp4",), num_units=4,
                        num_scored=4, num_not_applicable=0, num_failed=0, reasons=(), scores=())
    """

    dimension: Text
    """Exact identifier."""
    rules: Key
    """Hash of the profile, the models and their settings that decide its values: equal ones can be compared."""
    score: Share | None = None
    """By the official rule, the mean over clips that have a value; None if none has."""
    low: Share | None = None
    """Lower end of its 95 % interval, which resamples prompts; None with fewer than two prompts."""
    high: Share | None = None
    """Upper end of it."""
    covered: Share | None = None
    """The same mean with clips that are not applicable as 0; None if no clip was scored or not applicable."""
    num_files: Count
    """Clips that are there."""
    num_files_expected: Count
    """Clips that a complete evaluation has."""
    missing: tuple[Text, ...] = ()
    """Names of those that are not there."""
    num_units: Count
    """What gets a value: the clips that are there; in Diversity the prompts that have one."""
    num_scored: Count
    """Of these, those with a value."""
    num_not_applicable: Count
    """Those in which the dimension has nothing to measure, -1 in official files."""
    num_failed: Count
    """Those that failed in passing, which the same command tries again."""
    reasons: tuple[Reason, ...] = ()
    """Why the others have no value, the most frequent first."""
    scores: tuple[FileScore, ...] = ()
    """One per clip, in the order of the suite."""

    @property
    def num_unscored(self) -> int:
        """Clips that could not be scored: a broken file, a tool that gave no answer or was not named."""
        return self.num_units - self.num_scored - self.num_not_applicable - self.num_failed


class FolderScores(Record):
    """The result of scoring a folder.

    Example:
        FolderScores(model="my-model", folder="clips", edition="repository", profile="fixed", dimensions=())
    """

    model: Text
    """Name in tables."""
    folder: Text
    """The clips, as they were named."""
    edition: Edition
    """Edition of the suite."""
    profile: Profile
    """Whose rules."""
    dimensions: tuple[ScoredDimension, ...]
    """Those that were asked for, now or earlier, in the catalogue's order."""
    totals: tuple[tuple[Text, Annotated[float, Field(ge=0.0, le=1.0)]], ...] = ()
    """The five categories and Total by the official script, in which a dimension without a score counts as 0."""
    repaired: tuple[tuple[Text, Text], ...] = ()
    """Damaged file names that were recognised, each with its exact name."""
    doubles: tuple[Text, ...] = ()
    """Damaged names of clips that are there under their exact name or an earlier damaged one: not used."""
    unknown: tuple[Text, ...] = ()
    """Other entries of the folder: not of the suite, or not named as the benchmark names clips."""

    @property
    def num_failed(self) -> int:
        """Clips, in all dimensions, that the same command tries again."""
        return sum(each.num_failed for each in self.dimensions)

    def values(self) -> ModelValues:
        """The values of all dimensions in which a clip was scored or found not applicable."""
        return ModelValues(self.model, {each.dimension: _values(each) for each in self.dimensions if each.scores})


def _values(found: ScoredDimension) -> DimensionValues:
    values = (
        ClipValue(
            prompt=stem(each.prompt),
            sample=each.sample,
            value=each.outcome.value if isinstance(each.outcome, Scored) else None,
        )
        for each in found.scores
    )
    return DimensionValues(dimension=found.dimension, values=tuple(values))
