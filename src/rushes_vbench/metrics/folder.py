"""Scores video files: each file is read once for all its metrics, several at once, one prompt's after the other's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.execute.work import MAX_TRIES
from rushes.measure.pairs import DIVERSITY
from rushes.records import Outcome, Unscored
from rushes.roles import Failed
from rushes.store.decoding import VideoError
from rushes.store.video import read_video
from rushes_vbench.metrics.core import Profile, why_unusable
from rushes_vbench.metrics.diversity import shrunk
from rushes_vbench.metrics.scorer import Models, score_clips, score_takes
from rushes_vbench.suite import SuiteEntry

if TYPE_CHECKING:
    from rushes.roles import Video


@dataclass(frozen=True)
class ClipFile:
    """A clip of the suite on disk."""

    path: Path
    """The video file."""
    sample: int
    """Which clip of its prompt, from 0."""
    entries: tuple[SuiteEntry, ...]
    """The dimensions to score: entries of one prompt, one per dimension, at least one."""

    @property
    def prompt(self) -> str:
        """The prompt it was generated from."""
        return self.entries[0].prompt


@dataclass(frozen=True)
class Finding:
    """The outcome of one clip in one dimension, or of one prompt in Diversity."""

    prompt: str
    """The prompt."""
    dimension: str
    """Exact identifier."""
    sample: int
    """Which clip of the prompt; 0 if all its clips share one value."""
    outcome: Outcome
    """The score, or why there is none."""


@dataclass
class _Takes:
    """The clips of one prompt that Diversity compares, as far as they were read."""

    clips: list[Video] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def score_files(files: Sequence[ClipFile], profile: Profile, models: Models, num_at_once: int = 8) -> Iterator[Finding]:
    """Findings as they are ready, prompt by prompt; an unreadable file is unscored in every dimension.

    Args:
        files: any order; those of one prompt are scored together.
        profile: whose rules.
        models: do the scoring; `rushes_vbench.metrics.missing` lists in advance what is lacking.
        num_at_once: clips in memory at once, about which chat models are asked together; at least 1.
    """
    by_prompt: dict[str, list[ClipFile]] = {}
    for file in files:
        by_prompt.setdefault(file.prompt, []).append(file)
    ordered = [file for group in by_prompt.values() for file in sorted(group, key=lambda file: file.sample)]
    last = {file.prompt: number for number, file in enumerate(ordered)}
    takes = {prompt: _Takes() for prompt in by_prompt}
    for start in range(0, len(ordered), num_at_once):
        batch = ordered[start : start + num_at_once]
        read = [_read(file) for file in batch]
        for number, outcomes in enumerate(_scored(batch, read, profile, models)):
            file, of = batch[number], takes[batch[number].prompt]
            yield from (Finding(file.prompt, name, file.sample, outcome) for name, outcome in outcomes.items())
            _note(of, file, read[number], profile)
            if start + number == last[file.prompt]:
                yield from _compared(file.prompt, takes.pop(file.prompt), profile, models)


def _read(file: ClipFile) -> Video | VideoError:
    try:
        return read_video(file.path)
    except VideoError as error:
        return error


def _scored(
    files: Sequence[ClipFile], read: Sequence[Video | VideoError], profile: Profile, models: Models
) -> list[dict[str, Outcome]]:
    """The outcomes of each file by dimension, Diversity left out; what fails in passing is tried again."""
    found: list[dict[str, Outcome | Failed]] = []
    left: dict[int, tuple[Video, list[SuiteEntry]]] = {}
    for number, (file, clip) in enumerate(zip(files, read, strict=True)):
        single = [entry for entry in file.entries if entry.dimension != DIVERSITY]
        if isinstance(clip, VideoError):
            lost = Unscored(reason=f"the file is {clip.reason}: {clip.problem}")
            found.append({entry.dimension: lost for entry in single})
        else:
            found.append({})
            left[number] = clip, single
    for _ in range(MAX_TRIES):
        for number, outcomes in zip(left, score_clips(list(left.values()), profile, models), strict=True):
            found[number] |= outcomes
        failed = {
            number: (clip, [each for each in entries if isinstance(found[number][each.dimension], Failed)])
            for number, (clip, entries) in left.items()
        }
        left = {number: each for number, each in failed.items() if each[1]}
    return [{name: _without_failures(outcome) for name, outcome in each.items()} for each in found]


def _note(takes: _Takes, file: ClipFile, clip: Video | VideoError, profile: Profile) -> None:
    """Keep what Diversity needs of a clip, or why it cannot be used."""
    if all(entry.dimension != DIVERSITY for entry in file.entries):
        return
    if isinstance(clip, VideoError):
        takes.problems.append(f"clip {file.sample}: the file is {clip.reason}")
    elif unusable := why_unusable(clip, needs_fps=False):
        takes.problems.append(f"clip {file.sample}: {unusable}")
    else:
        takes.clips.append(shrunk(clip, profile))


def _compared(prompt: str, takes: _Takes, profile: Profile, models: Models) -> Iterator[Finding]:
    if takes.clips or takes.problems:
        lost = Unscored(reason="; ".join(takes.problems)) if takes.problems else None
        yield Finding(prompt, DIVERSITY, 0, lost or _without_failures(score_takes(takes.clips, profile, models)))


def _without_failures(outcome: Outcome | Failed) -> Outcome:
    """Nothing scores a file again later, so what still fails leaves its reason."""
    if isinstance(outcome, Failed):
        return Unscored(reason=f"the scoring failed {MAX_TRIES} times: {outcome.error_type}: {outcome.message}"[:500])
    return outcome
