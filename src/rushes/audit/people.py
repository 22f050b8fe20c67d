"""What people say of a run's clips, beside what its judge and its measurer say, and which model they prefer.

Nothing is asked: scores of judge and measurer are those that the run has stored.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from rushes.errors import InputError, command
from rushes.judge.labels import LabelFile, key_name, read_label_file
from rushes.judge.stored import stored_scores
from rushes.plugins import MEASURER, name_of
from rushes.recipe.recipe import Recipe
from rushes.records import Clip, Record, Scored
from rushes.records.base import Count, Text
from rushes.statistics.bootstrap import score_interval
from rushes.statistics.opinions import cohen_kappa, fleiss_kappa, pairs_of, pairwise_accuracy, spearman
from rushes.statistics.resampling import TINY, Estimate, Resampling
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run

PEOPLE_FILE: Final = "people.json"
"""Name of the result in the folder of the audit."""
ALL: Final = "all"
"""Name of all dimensions together."""


class WinRow(Record):
    """How often people prefer the tuned model's clip to the base's, of the same prompt and seed.

    Example:
        WinRow(dimension="Mechanics", num_pairs=20, num_prompts=20, num_won=11, num_tied=4, num_lost=5,
               win_rate=Estimate(value=0.65, low=0.47, high=0.81))
    """

    dimension: Text
    """Quality dimension, or `all`."""
    num_pairs: Count
    """Pairs that people compared."""
    num_prompts: Count
    """Their prompts."""
    num_won: Count
    """Pairs in which more people prefer the tuned model's clip."""
    num_tied: Count
    """Pairs in which as many people prefer either, or all see no difference."""
    num_lost: Count
    """The other pairs."""
    win_rate: Estimate | None
    """Share of people who prefer the tuned model, a tie counting half, as a mean over prompts; 0.5 is no difference.
    None with fewer than two prompts."""


class OpinionRow(Record):
    """The judge or the measurer beside people in one dimension.

    Example:
        OpinionRow(dimension="Mechanics", who="judge", source="sandbox-vqa", num_clips=40, num_left_out=0,
                   spearman=None, num_pairs=20, num_ties=4, accuracy=Estimate(value=0.7, low=0.5, high=0.86), tie=0.05)
    """

    dimension: Text
    """Quality dimension, or `all`."""
    who: Literal["judge", "measurer"]
    source: Text
    """Its name."""
    num_clips: Count
    """Labelled clips that it has scored."""
    num_left_out: Count
    """Labelled clips without a score of it."""
    spearman: Estimate | None
    """Correlation of ranks with people's scores; None for preferences, with fewer than two prompts, or where one side
    is constant."""
    num_pairs: Count
    """Pairs of clips of one prompt about which both say something."""
    num_ties: Count
    """Those in which people see no difference."""
    accuracy: Estimate | None
    """Share of those about which both say the same, ties included (`rushes.statistics.opinions.pairwise_accuracy`)."""
    tie: Annotated[float, Field(ge=0)]
    """Differences of its scores up to this count as a tie: calibrated on these pairs."""
    kappa: Estimate | None = None
    """Cohen's kappa of the two verdicts (first, second, tie) on these pairs: their agreement beyond chance."""
    num_decided: Count = 0
    """Pairs in which more people prefer one of the clips."""
    decided: Estimate | None = None
    """Share of those in which it prefers the same clip, equal scores counting half; 0.5 is chance."""


class PeopleAudit(Record):
    """What people say, beside judge and measurer.

    Example:
        PeopleAudit(kind="preferences", files=("study.csv",), num_raters=3, num_items=40, raters_agree=None, wins=(),
                    opinions=(), notes=())
    """

    kind: Literal["scores", "preferences"]
    """What people gave."""
    files: tuple[Text, ...]
    """Names of the files."""
    num_raters: Count
    """People; a row without a name counts as one."""
    num_items: Count
    """Clips scored, or pairs compared."""
    raters_agree: Estimate | None
    """Agreement among people: Fleiss' kappa of preferences; for scores the mean over two people of the share of pairs
    of one prompt's clips about which they say the same, ties included. None where no two people said something about
    the same."""
    wins: tuple[WinRow, ...]
    """Of the tuned model against the base, all dimensions together first; empty without such pairs."""
    opinions: tuple[OpinionRow, ...]
    """Judge and measurer, all dimensions together first."""
    notes: tuple[str, ...]
    """Rows that could not be used."""


@dataclass(frozen=True)
class _Clip:
    """A labelled clip."""

    name: str
    prompt: str
    """Text of its prompt: what may be compared with each other, and what is resampled as one."""
    dimension: str
    model: str


def audit_people(home: Path, files: Sequence[Path], how: Resampling | None = None) -> PeopleAudit:
    """Read labels of people about a run's clips, and compare.

    Args:
        home: the run folder.
        files: CSV files of scores, or of preferences; of several people each.
        how: resamples of the prompts; None for the usual.

    Raises:
        InputError: a file cannot be used, or they hold different kinds of labels, or answers.
        StoreError: the run folder cannot be read.
    """
    with Run.view(home) as run:
        names = {key_name(clip.key) for clip in run.clips.all() if clip.video is not None}
        labels = _together([read_label_file(path, names) for path in files], home)
        return audit_labels(run, recipe_of(home), labels, [path.name for path in files], how)


def audit_labels(
    run: Run, recipe: Recipe, labels: LabelFile, sources: Sequence[str], how: Resampling | None = None
) -> PeopleAudit:
    """The same of labels in memory.

    Args:
        run: an open run.
        recipe: what it ran.
        labels: scores or preferences of its clips.
        sources: names of the files that they are from.
        how: resamples of the prompts; None for the usual.
    """
    how = how or Resampling()
    prompts = {prompt.key: prompt for prompt in run.prompts.all()}
    named = {name for item in labels.said for name in item}
    clips = [clip for clip in run.clips.all() if clip.video is not None and key_name(clip.key) in named]
    scorecard = run.scorecard()
    others = _others(run, recipe, clips)
    seen = {
        key_name(clip.key): _Clip(key_name(clip.key), prompts[clip.prompt_key].text, clip.dimension, clip.model)
        for clip in clips
    }
    models = (scorecard.base_model, scorecard.tuned_model) if scorecard is not None else None
    return PeopleAudit(
        kind="scores" if labels.kind == "scores" else "preferences",
        files=tuple(sources),
        num_raters=len({rater for said in labels.said.values() for rater, _ in said}),
        num_items=len(labels.said),
        raters_agree=_raters_agree(labels, seen, how),
        wins=tuple(_wins(labels, seen, models, how)) if models is not None else (),
        opinions=tuple(_opinions(labels, seen, others, how)),
        notes=labels.problems,
    )


def _together(files: Sequence[LabelFile], home: Path) -> LabelFile:
    """Several files as one. A person who said the same thing in an earlier file counts once."""
    kinds = {each.kind for each in files}
    if len(kinds) != 1 or kinds == {"answers"}:
        raise InputError(
            "these files hold " + " and ".join(sorted(kinds)),
            expected="files of scores alone, or of preferences alone",
            got=[each.source for each in files],
            next_step="name files of one kind; answers to questions are for: "
            + command("judge", "audit", home, "--labels", "FILE"),
        )
    said: dict[tuple[str, str], dict[str, float]] = {}
    problems = [problem for each in files for problem in each.problems]
    for each in files:
        for item, votes in each.said.items():
            for rater, value in votes:
                name = f"{each.source} {rater}" if rater.startswith("line ") else rater
                if name in said.setdefault(item, {}):
                    problems.append(f"{each.source}: {rater[:40]!r} has labelled {item[0]!r} in an earlier file too")
                said[item].setdefault(name, value)
    return LabelFile(
        ", ".join(each.source for each in files),
        kinds.pop(),
        {item: tuple(votes.items()) for item, votes in said.items()},
        tuple(problems),
    )


# ---------------------------------------------------------------------------------------------- judge and measurer

_Other = tuple[Literal["judge", "measurer"], str, Mapping[str, float]]
"""Who, its name, and its score of each clip by name."""


def _others(run: Run, recipe: Recipe, clips: Sequence[Clip]) -> list[_Other]:
    measurer = name_of(recipe.measure.measurer, MEASURER) if recipe.is_measured else ""
    measured = {
        key_name(each.subject[0]): each.outcome.value
        for each in run.measurements.all()
        if len(each.subject) == 1 and isinstance(each.outcome, Scored) and each.measurer == measurer
    }
    judged, name = ({}, "") if recipe.prompts.only_real else stored_scores(run, recipe.judge, clips)
    found: list[_Other] = []
    if judged:
        found.append(("judge", name, {key_name(key): value for key, value in judged.items()}))
    if measured:
        found.append(("measurer", measurer, measured))
    return found


def _opinions(
    labels: LabelFile, seen: Mapping[str, _Clip], others: Sequence[_Other], how: Resampling
) -> Iterable[OpinionRow]:
    for name in _dimensions(seen.values()):
        own = {key: clip for key, clip in seen.items() if name in (ALL, clip.dimension)}
        for who, source, scores in others:
            yield _opinion(labels, own, (who, source, scores), name, how)


def _dimensions(clips: Iterable[_Clip]) -> list[str]:
    names = sorted({clip.dimension for clip in clips})
    return [ALL, *names] if len(names) > 1 else names


def _opinion(labels: LabelFile, own: Mapping[str, _Clip], other: _Other, dimension: str, how: Resampling) -> OpinionRow:
    who, source, scores = other
    both = sorted(name for name in own if name in scores)
    ranks = None
    if labels.kind == "scores":
        people = {name: value for name in both if (value := labels.value((name, ""))) is not None}
        clusters = [own[name].prompt for name in people]
        ranks = spearman([scores[name] for name in people], list(people.values()), clusters, how) if people else None
        pairs = [(i, j, people[i] - people[j]) for i, j in _pairs(list(people), own)]
    else:
        pairs = [
            (i, j, (labels.value((i, j)) or 0.0) - 0.5)
            for i, j in labels.said
            if i in scores and j in scores and i in own and j in own
        ]
    tested, said = [scores[i] - scores[j] for i, j, _ in pairs], [each for _, _, each in pairs]
    clusters = [own[i].prompt for i, _, _ in pairs]
    found = pairwise_accuracy(tested, said, clusters, how)
    decided = [k for k in range(len(pairs)) if abs(said[k]) > TINY]
    right = [0.5 * (1.0 + np.sign(said[k]) * np.sign(tested[k])) for k in decided]
    return OpinionRow(
        dimension=dimension,
        who=who,
        source=source,
        num_clips=len(both),
        num_left_out=len(own) - len(both),
        spearman=ranks,
        num_pairs=found.num_pairs,
        num_ties=found.num_ties,
        accuracy=found.accuracy,
        tie=found.tie,
        kappa=cohen_kappa(_verdicts(tested, found.tie), _verdicts(said, 0.0), clusters, how),
        num_decided=len(decided),
        decided=_mean(right, [clusters[k] for k in decided], how),
    )


def _verdicts(differences: Sequence[float], tie: float) -> list[int]:
    """1 for the first, -1 for the second, 0 for a tie."""
    return [0 if abs(each) <= tie + TINY else int(np.sign(each)) for each in differences]


def _mean(values: Sequence[float], clusters: Sequence[str], how: Resampling) -> Estimate | None:
    return score_interval(values, clusters, how) if len(set(clusters)) > 1 else None


def _pairs(names: Sequence[str], seen: Mapping[str, _Clip]) -> list[tuple[str, str]]:
    """Every two clips of one prompt."""
    pairs = pairs_of([0.0] * len(names), [seen[name].prompt for name in names])
    return [(names[i], names[j]) for i, j in pairs]


# ---------------------------------------------------------------------------------------------- who wins


def _wins(labels: LabelFile, seen: Mapping[str, _Clip], models: tuple[str, str], how: Resampling) -> Iterable[WinRow]:
    if labels.kind != "preferences":
        return
    base, tuned = models
    p_tuned: dict[tuple[str, str], float] = {}
    for one, other in labels.said:
        for first, second in ((one, other), (other, one)):
            if seen[first].model == tuned and seen[second].model == base and seen[first].prompt == seen[second].prompt:
                p_tuned[first, second] = labels.p_first(first, second) or 0.0
    for name in _dimensions(seen[first] for first, _ in p_tuned) if p_tuned else ():
        own = {pair: p for pair, p in p_tuned.items() if name in (ALL, seen[pair[0]].dimension)}
        clusters = [seen[first].prompt for first, _ in own]
        p = list(own.values())
        yield WinRow(
            dimension=name,
            num_pairs=len(p),
            num_prompts=len(set(clusters)),
            num_won=sum(each > 0.5 + TINY for each in p),
            num_tied=sum(abs(each - 0.5) <= TINY for each in p),
            num_lost=sum(each < 0.5 - TINY for each in p),
            win_rate=_mean(p, clusters, how),
        )


# ---------------------------------------------------------------------------------------------- among people


def _raters_agree(labels: LabelFile, seen: Mapping[str, _Clip], how: Resampling) -> Estimate | None:
    if labels.kind == "preferences":
        counts = [
            [sum(value == each for _, value in said) for each in (0.0, 0.5, 1.0)] for said in labels.said.values()
        ]
        return fleiss_kappa(np.array(counts, float), [seen[first].prompt for first, _ in labels.said], how)
    by_rater: dict[str, dict[str, float]] = {}
    for (clip, _), said in labels.said.items():
        for rater, value in said:
            by_rater.setdefault(rater, {})[clip] = value
    agreed: list[float] = []
    clusters: list[str] = []
    for one, other in itertools.combinations(by_rater.values(), 2):
        for i, j in _pairs(sorted(one.keys() & other.keys()), seen):
            agreed.append(float(np.sign(one[i] - one[j]) == np.sign(other[i] - other[j])))
            clusters.append(seen[i].prompt)
    return _mean(agreed, clusters, how)
