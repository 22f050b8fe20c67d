"""Scores video files: each file is read once for all its metrics, one prompt's files after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from rushes_vbench.metrics.scorer import Models, score_clip, score_takes
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


def score_files(files: Sequence[ClipFile], profile: Profile, models: Models) -> Iterator[Finding]:
    """Findings as they are ready, prompt by prompt; an unreadable file is unscored in every dimension.

    Args:
        files: any order; those of one prompt are scored together.
        profile: whose rules.
        models: do the scoring; `rushes_vbench.metrics.missing` lists in advance what is lacking.
    """
    by_prompt: dict[str, list[ClipFile]] = {}
    for file in files:
        by_prompt.setdefault(file.prompt, []).append(file)
    for prompt, group in by_prompt.items():
        yield from _score_prompt(prompt, sorted(group, key=lambda file: file.sample), profile, models)


def _score_prompt(prompt: str, files: Sequence[ClipFile], profile: Profile, models: Models) -> Iterator[Finding]:
    takes: list[Video] = []
    problems: list[str] = []
    for file in files:
        single = [entry for entry in file.entries if entry.dimension != DIVERSITY]
        compared = len(single) < len(file.entries)
        try:
            video = read_video(file.path)
        except VideoError as error:
            outcomes: dict[str, Outcome] = {
                entry.dimension: Unscored(reason=f"the file is {error.reason}: {error.problem}") for entry in single
            }
            problems += [f"clip {file.sample}: the file is {error.reason}"] if compared else []
        else:
            found = score_clip(video, single, profile, models)
            for _ in range(MAX_TRIES - 1):
                failed = [entry for entry in single if isinstance(found[entry.dimension], Failed)]
                found |= score_clip(video, failed, profile, models) if failed else {}
            outcomes = {name: _without_failures(outcome) for name, outcome in found.items()}
            unusable = why_unusable(video, needs_fps=False)
            problems += [f"clip {file.sample}: {unusable}"] if compared and unusable else []
            if compared and not unusable:
                takes.append(shrunk(video, profile))
        for dimension, outcome in outcomes.items():
            yield Finding(prompt, dimension, file.sample, outcome)
    if takes or problems:
        whole = Unscored(reason="; ".join(problems)) if problems else score_takes(takes, profile, models)
        yield Finding(prompt, DIVERSITY, 0, _without_failures(whole))


def _without_failures(outcome: Outcome | Failed) -> Outcome:
    """Nothing scores a file again later, so what still fails leaves its reason."""
    if isinstance(outcome, Failed):
        return Unscored(reason=f"the scoring failed {MAX_TRIES} times: {outcome.error_type}: {outcome.message}"[:500])
    return outcome
