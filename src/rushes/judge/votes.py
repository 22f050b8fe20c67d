"""A judge that gives preferences: votes between takes of one prompt, and the share of them that a take wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Final

from rushes.execute.batch import batch_or_alone
from rushes.feedback import PreferenceJudge, PreferenceRequest, has_position_bias
from rushes.judge.asking import Asking
from rushes.judge.check import checked_preference
from rushes.judge.key import vote_key
from rushes.plugins import JUDGE, resolved
from rushes.recipe.judge import JudgeSpec
from rushes.records import Clip, Outcome, Prompt, Score, Scored, Unscored, Vote
from rushes.roles import Failed
from rushes.store.advance import Work
from rushes.store.decoded import Decoded

WINS: Final = "share of comparisons won"
"""Unit of a take's score."""


@dataclass(frozen=True)
class Compared:
    """Two takes of one prompt, in the order in which they are shown."""

    first: Clip
    second: Clip
    prompt: Prompt


def asking_for_votes(
    clips: Sequence[Clip], prompts: Mapping[str, Prompt], spec: JudgeSpec, num_pairs: int
) -> Asking[Compared, Vote]:
    """What a judge that gives preferences is asked; see `Asking`."""
    both = has_position_bias(resolved(spec.judge, JUDGE))
    work = [
        Work(vote_key(first, second, prompt, spec), Compared(first, second, prompt))
        for first, second in pairs(clips, both=both)
        for prompt in [prompts[first.prompt_key]]
    ]
    return Asking("votes", Vote, work, ask_for_preferences, max(1, num_pairs), lambda votes: grade_votes(clips, votes))


def pairs(clips: Iterable[Clip], *, both: bool) -> list[tuple[Clip, Clip]]:
    """What is compared: every two takes of each prompt; where several models made them, those of the same seed.

    Args:
        clips: takes of any prompts.
        both: whether each pair is to be shown in both orders, one after the other.
    """
    takes: dict[str, list[Clip]] = {}
    for clip in clips:
        takes.setdefault(clip.prompt_key, []).append(clip)
    found: list[tuple[Clip, Clip]] = []
    for group in takes.values():
        one_model = len({clip.model for clip in group}) == 1
        found += [(a, b) for a, b in combinations(group, 2) if one_model or a.seed_index == b.seed_index]
    return [each for one, other in found for each in ([(one, other), (other, one)] if both else [(one, other)])]


def ask_for_preferences(
    judge: PreferenceJudge, chunk: Sequence[Work[Compared]], *, videos: Decoded, name: str
) -> list[Vote | Failed]:
    """Compare the pairs of one chunk: a `Vote`, or `Failed`, per piece of work in order.

    Raises:
        BlobCorrupt: a clip's video is damaged.
        UserError, Stopped: raised by the judge.
    """
    shown = videos.of([clip for piece in chunk for clip in (piece.payload.first, piece.payload.second)])
    requests = [
        PreferenceRequest(first, second, each.prompt.text, each.first.dimension, each.first.key, each.second.key)
        for each, first, second in zip([piece.payload for piece in chunk], shown[::2], shown[1::2], strict=True)
    ]
    given = batch_or_alone(judge.prefer, requests)
    return [_vote(piece, reply, name) for piece, reply in zip(chunk, given, strict=True)]


def _vote(piece: Work[Compared], given: object, name: str) -> Vote | Failed:
    if isinstance(given, Failed):
        return given
    found = checked_preference(given)
    return Vote(
        key=piece.key,
        clip_key=piece.payload.first.key,
        other_key=piece.payload.second.key,
        p_first=found.value,
        unscored_reason=found.unscored_reason,
        judge=name,
    )


def grade_votes(clips: Sequence[Clip], votes: Iterable[Vote]) -> tuple[Score, ...]:
    """One score per clip, in order: the share of comparisons with other takes of its prompt that it wins."""
    won = wins(votes)
    return tuple(
        Score(
            clip_key=clip.key,
            prompt_key=clip.prompt_key,
            dimension=clip.dimension,
            outcome=_outcome(won.get(clip.key, ())),
        )
        for clip in clips
    )


def _outcome(won: Sequence[float | str]) -> Outcome:
    values = [each for each in won if isinstance(each, float)]
    if values:
        return Scored(value=fmean(values), unit=WINS)
    reasons = [each for each in won if isinstance(each, str)]
    return Unscored(reason=reasons[0] if reasons else "it was compared with no other take of its prompt")


def wins(votes: Iterable[Vote]) -> dict[str, list[float | str]]:
    """For each clip, for each other take: the probability that it is the better one, or why that is unknown.

    It is the mean of the two orders where both were asked: a judge that favours the place, not the take, gives 1/2.
    """
    asked: dict[frozenset[str], list[Vote]] = {}
    for vote in votes:
        asked.setdefault(frozenset((vote.clip_key, vote.other_key)), []).append(vote)
    found: dict[str, list[float | str]] = {}
    for pair, orders in asked.items():
        reasons = [vote.unscored_reason for vote in orders if vote.unscored_reason is not None]
        for clip_key in sorted(pair):
            p = [
                vote.p_first if vote.clip_key == clip_key else 1.0 - vote.p_first
                for vote in orders
                if vote.p_first is not None
            ]
            found.setdefault(clip_key, []).append(reasons[0] if reasons else fmean(p))
    return found
