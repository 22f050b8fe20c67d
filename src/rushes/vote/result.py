"""What follows from a study's votes: who wins, how far raters agree, and judge and measurer beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

from rushes.audit.people import audit_labels
from rushes.errors import InputError, command
from rushes.judge.labels import COLUMNS, Item, LabelFile, key_name
from rushes.recipe.recipe import Recipe
from rushes.statistics.bootstrap import score_interval
from rushes.statistics.opinions import krippendorff_alpha
from rushes.statistics.resampling import Estimate, Resampling
from rushes.store.run import Run
from rushes.store.sums import write_summed
from rushes.vote.folder import folder_of
from rushes.vote.records import OVERALL, QuestionResult, RaterRow, Replies, Reply, ShownPair, Study, VoteResult

RESULT, LABELS = "result.json", "preferences.csv"
BY_DIMENSION: Final = "dimension"
"""Name of the votes on each pair's own dimension."""
_P_LEFT: Final = {"left": 1.0, "tie": 0.5, "right": 0.0}
_MAX_FAILED: Final = 0.25
"""Share of failed checks above which a rater is left out, if at least `_LEAST_FAILED` failed."""
_LEAST_FAILED: Final = 2
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""Characters at the start of a cell that a spreadsheet reads as a formula."""


@dataclass(frozen=True)
class _Vote:
    """One reply to a pair that counts."""

    pair: ShownPair
    rater: str
    reply: Reply


def vote_result(
    run: Run, recipe: Recipe, study: Study, replies: Sequence[Replies], how: Resampling | None = None
) -> VoteResult:
    """The result of a study.

    Args:
        run: an open run, for the scores of judge and measurer.
        recipe: what it ran.
        study: what was asked.
        replies: of all raters.
        how: resamples of the prompts; None for the usual.

    Raises:
        InputError: nobody has voted on a pair that counts.
    """
    how = how or Resampling()
    raters = [_row(study, each) for each in replies]
    left_out = {each.rater for each in raters if each.is_left_out}
    everyone = _votes(study, replies)
    votes = [each for each in everyone if each.rater not in left_out]
    if not votes:
        raise InputError(
            f"there are no votes in study {study.study} yet" + (" that count" if everyone else ""),
            expected="files that raters have saved, or votes in the browser",
            got=f"{len(replies)} raters, {len(left_out)} of them left out for failed checks",
            next_step=f"take files in with: {command('vote', 'import', run.home, 'FILE')}",
        )
    found = []
    for name in (OVERALL, BY_DIMENSION, *(each.name for each in study.questions if each.name != OVERALL)):
        own = [each for each in votes if _is_about(each, name)]
        others = name not in (OVERALL, BY_DIMENSION) and all(_is_about(each, BY_DIMENSION) for each in own)
        if own and not others:  # a dimension asked of its own prompts alone is among those by dimension
            found.append(_question(run, recipe, name, own, how))
    return VoteResult(
        study=study.study,
        of=study.of,
        num_pairs=sum(pair.check is None for pair in study.pairs),
        questions=tuple(found),
        raters=tuple(raters),
        with_all=_with_all(run, recipe, everyone, how) if left_out and study.of == "models" else None,
        notes=tuple(_notes(found, raters)),
    )


def keep_result(run: Run, study: Study, made: VoteResult, replies: Sequence[Replies]) -> None:
    """Store the result, and the votes that count as labels for a judge of people.

    Raises:
        StoreError: disk full, read-only.
    """
    folder = folder_of(run.home, study.study)
    write_summed(folder / RESULT, f"{made.model_dump_json(indent=1)}\n".encode())
    left_out = {each.rater for each in made.raters if each.is_left_out}
    votes = [each for each in _votes(study, replies) if each.rater not in left_out]
    write_summed(folder / LABELS, labels_csv(each for each in votes if _is_about(each, OVERALL)))


def labels_csv(votes: Iterable[_Vote]) -> bytes:
    """The overall votes as `rushes.judge.labels` reads them: clip, other, preferred, rater."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*COLUMNS["preferences"], "rater"])
    said = {"left": "first", "right": "second", "tie": "tie"}
    for each in votes:
        rater = f" {each.rater}" if each.rater.startswith(_FORMULA) else each.rater
        if each.reply.choice in said:
            rows.writerow([key_name(each.pair.left), key_name(each.pair.right), said[each.reply.choice], rater])
    return text.getvalue().encode("utf-8")


# ---------------------------------------------------------------------------------------------- votes


def _votes(study: Study, replies: Sequence[Replies]) -> list[_Vote]:
    counting = {pair.name: pair for pair in study.pairs if pair.check is None}
    return [
        _Vote(counting[reply.pair], each.rater, reply)
        for each in replies
        for reply in each.replies
        if reply.pair in counting
    ]


def _is_about(vote: _Vote, name: str) -> bool:
    return vote.reply.question == (vote.pair.dimension if name == BY_DIMENSION else name)


def _labels(votes: Iterable[_Vote]) -> LabelFile:
    """Votes as labels: what each rater says of each two clips."""
    said: dict[Item, dict[str, float]] = {}
    for each in votes:
        if each.reply.choice == "cannot_tell":
            continue
        p, left, right = _P_LEFT[each.reply.choice], key_name(each.pair.left), key_name(each.pair.right)
        said.setdefault((min(left, right), max(left, right)), {})[each.rater] = p if left < right else 1.0 - p
    return LabelFile("votes", "preferences", {item: tuple(each.items()) for item, each in said.items()})


def _question(run: Run, recipe: Recipe, name: str, votes: Sequence[_Vote], how: Resampling) -> QuestionResult:
    sides = [each for each in votes if each.reply.choice in ("left", "right")]
    clusters = [each.pair.text for each in sides]
    is_left = [float(each.reply.choice == "left") for each in sides]
    num = sum(each.reply.choice != "cannot_tell" for each in votes)
    return QuestionResult(
        name=name,
        audit=audit_labels(run, recipe, _labels(votes), [], how),
        alpha=_alpha(votes, how),
        num_votes=num,
        num_cannot_tell=len(votes) - num,
        share_left=score_interval(is_left, clusters, how) if len(set(clusters)) > 1 else None,
    )


def _alpha(votes: Sequence[_Vote], how: Resampling) -> Estimate | None:
    by_pair: dict[str, list[int]] = {}
    texts: dict[str, str] = {}
    for each in votes:
        if each.reply.choice != "cannot_tell":
            by_pair.setdefault(each.pair.name, [0, 0, 0])[("left", "tie", "right").index(each.reply.choice)] += 1
            texts[each.pair.name] = each.pair.text
    if not by_pair:
        return None
    return krippendorff_alpha(np.array(list(by_pair.values()), float), [texts[name] for name in by_pair], how)


def _with_all(run: Run, recipe: Recipe, votes: Sequence[_Vote], how: Resampling) -> float | None:
    wins = audit_labels(run, recipe, _labels(each for each in votes if _is_about(each, OVERALL)), [], how).wins
    rate = wins[0].win_rate if wins else None
    return None if rate is None else rate.value


# ---------------------------------------------------------------------------------------------- raters


def _row(study: Study, replies: Replies) -> RaterRow:
    pairs = {pair.name: pair for pair in study.pairs}
    overall = {each.pair: each.choice for each in replies.replies if each.question == OVERALL}
    counting = [each for each in replies.replies if pairs[each.pair].check is None]
    checks = [(pairs[name], choice) for name, choice in overall.items() if pairs[name].check not in (None, "again")]
    again = [(name, pair.repeats) for name, pair in pairs.items() if pair.repeats and name in overall]
    both = [(name, first) for name, first in again if first in overall]
    failed = sum(not _passes(pair, choice) for pair, choice in checks)
    seconds = [each.seconds for each in replies.replies if each.seconds is not None]
    return RaterRow(
        rater=replies.rater,
        num_replies=len(counting),
        num_pairs=len({each.pair for each in counting}),
        num_checks=len(checks),
        num_passed=len(checks) - failed,
        num_again=len(both),
        num_consistent=sum(overall[name] == _exchanged(overall[first]) for name, first in both),
        seconds=median(seconds) if seconds else None,
        is_left_out=failed >= _LEAST_FAILED and failed > _MAX_FAILED * len(checks),
    )


def _passes(pair: ShownPair, choice: str) -> bool:
    """Whether an attentive person says this: noise is the worse one, and a clip is as good as itself."""
    right = {"noise_left": ("right",), "noise_right": ("left",), "same": ("tie", "cannot_tell")}
    return choice in right[pair.check or "same"]


_EXCHANGED: Final[Mapping[str, str]] = {"left": "right", "right": "left"}


def _exchanged(choice: str) -> str:
    return _EXCHANGED.get(choice, choice)


def _notes(found: Sequence[QuestionResult], raters: Sequence[RaterRow]) -> Iterable[str]:
    left_out = [each for each in raters if each.is_left_out]
    if left_out:
        names = ", ".join(each.rater for each in left_out)
        yield f"left out, since they failed checks of attention: {names}"
    for each in found:
        if each.share_left is not None and not each.share_left.low <= 0.5 <= each.share_left.high:
            side = "left" if each.share_left.value > 0.5 else "right"
            yield f"{each.name}: people chose the {side} side more often: a habit, since sides are even"
            break
    if sum(not each.is_left_out for each in raters) < 2:
        yield "one rater: there is no agreement among raters to report"
