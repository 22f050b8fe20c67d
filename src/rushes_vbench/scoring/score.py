"""Scores a folder of clips: missing scores are made and kept one batch at a time, then summed up by dimension."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rushes.errors import InputError
from rushes.execute.local import Lazily
from rushes.execute.progress import OnProgress
from rushes.execute.stop import StopSignal
from rushes.plan.chat_models import chat_models
from rushes.plugins import ANY
from rushes.recipe.models import ServerModelSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Failure, Outcome, Unscored
from rushes.roles import Failed
from rushes.store.advance import Place, advance
from rushes.store.shortfall import may_try_again, reason_of
from rushes.store.work import Work
from rushes_vbench.catalogue import facts
from rushes_vbench.metrics.aggregate import dimension_score
from rushes_vbench.metrics.core import Profile
from rushes_vbench.metrics.folder import Piece, score_pieces
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
from rushes_vbench.metrics.scorer import Models
from rushes_vbench.placing import shown_name
from rushes_vbench.scoring.pieces import Found, work_of
from rushes_vbench.scoring.records import FileScore, FolderScores, Reason, ScoredDimension
from rushes_vbench.scoring.rules import Scoring, rules_of
from rushes_vbench.scoring.shelf import Shelf
from rushes_vbench.suite import Suite
from rushes_vbench.totals import official_totals

AT_ONCE: Final = 8
"""Clips in memory at once; a server may get more, up to `MOST_AT_ONCE`."""
MOST_AT_ONCE: Final = 16


@dataclass(frozen=True)
class Job:
    """What is scored, with what."""

    folder: Path
    """The clips."""
    model: str
    """Name in tables."""
    suite: Suite
    """Prompts and questions."""
    found: Found
    """What the folder has."""
    scoring: Scoring
    """Rules, models, and where they run."""


def score_folder(job: Job, shelf: Shelf, on_progress: OnProgress | None = None) -> FolderScores:
    """Score what has no score yet, and sum up; the same call resumes.

    Dimensions that are not wanted now are summed up as well, as far as earlier calls scored them by the same rules.

    Args:
        job: what is scored, with what.
        shelf: where scores are kept.
        on_progress: called after every batch.

    Raises:
        InputError: the models that are named can score none of the dimensions.
        Stopped: Ctrl-C; what was scored until then is kept.
        StageFailed: everything failed, or three batches in a row.
        UserError: a model cannot be used.
    """
    spec = job.scoring.measurer
    lacking = spec.unmeasured(job.found.dimensions)
    able = [name for name in job.found.dimensions if name not in lacking]
    if not set(able).intersection(job.found.wanted):
        raise InputError(
            "the models that are named can score none of these dimensions",
            got="; ".join(lacking[name] for name in job.found.wanted),
            next_step="name the models that are needed with --recipe or --set, as docs/vbench_score.md shows",
        )
    work = work_of(job.found, job.suite, spec, able)
    runtime = _with_cache(job.scoring.runtime, shelf.folder / "llm")
    stop = StopSignal()
    with stop.listening():
        advance(
            shelf.table,
            [each for each in work if each.payload.entry.dimension in job.found.wanted],
            Lazily(partial(_build, spec, runtime), partial(_scored, profile=spec.profile)),
            chunk_size=num_at_once(spec, runtime),
            place=Place(stop=stop, on_progress=on_progress),
        )
    scores = shelf.table.get_many([each.key for each in work])
    failures = {each.work_key: each for each in shelf.table.failures()}
    return _result(job, lacking, work, scores, failures)


def num_at_once(spec: VBenchMeasurerSpec, runtime: RuntimeSpec) -> int:
    """Clips that are scored together: `AT_ONCE`, or enough to keep a server of the models busy."""
    named = {each.server for each in chat_models(spec, ANY) if isinstance(each, ServerModelSpec)}
    taken = [server.max_concurrent for name, server in runtime.servers.items() if name in named]
    return max(AT_ONCE, min(MOST_AT_ONCE, max(taken, default=0)))


def _with_cache(runtime: RuntimeSpec, folder: Path) -> RuntimeSpec:
    return runtime if runtime.cache_folder else runtime.model_copy(update={"cache_folder": str(folder)})


def _build(spec: VBenchMeasurerSpec, runtime: RuntimeSpec) -> Models:
    from rushes_vbench.metrics.build import build_models

    return build_models(spec, runtime)


def _scored(models: Models, chunk: Sequence[Work[Piece]], *, profile: Profile) -> list[FileScore | Failed]:
    outcomes = score_pieces([work.payload for work in chunk], profile, models)
    return [_record(work, outcome) for work, outcome in zip(chunk, outcomes, strict=True)]


def _record(work: Work[Piece], outcome: Outcome | Failed) -> FileScore | Failed:
    if isinstance(outcome, Failed):
        return outcome
    entry = work.payload.entry
    return FileScore(
        key=work.key, dimension=entry.dimension, prompt=entry.prompt, sample=work.payload.sample, outcome=outcome
    )


# ---------------------------------------------------------------------------------------------- summing up


def _result(
    job: Job,
    lacking: Mapping[str, str],
    work: Sequence[Work[Piece]],
    scores: Mapping[str, FileScore],
    failures: Mapping[str, Failure],
) -> FolderScores:
    listing, spec = job.found.listing, job.scoring.measurer
    of: dict[str, list[Work[Piece]]] = {}
    for each in work:
        of.setdefault(each.payload.entry.dimension, []).append(each)
    shown = [
        name
        for name in job.found.dimensions
        if name in job.found.wanted or any(each.key in scores for each in of.get(name, ()))
    ]
    dimensions = tuple(
        _unnamed(job, name, lacking[name]) if name in lacking else _summed(job, name, of[name], scores, failures)
        for name in shown
    )
    means = {each.dimension: each.score for each in dimensions if each.score is not None}
    return FolderScores(
        model=job.model,
        folder=shown_name(str(job.folder)),
        edition=job.suite.edition,
        profile=spec.profile,
        dimensions=dimensions,
        totals=tuple(official_totals(means).items()),
        repaired=listing.renamed,
        doubles=listing.doubles,
        unknown=listing.unknown,
    )


def _summed(
    job: Job,
    name: str,
    work: Sequence[Work[Piece]],
    scores: Mapping[str, FileScore],
    failures: Mapping[str, Failure],
) -> ScoredDimension:
    order = {entry.prompt: number for number, entry in enumerate(job.suite.of(name))}
    made = [scores[each.key] for each in work if each.key in scores]
    made.sort(key=lambda each: (order[each.prompt], each.sample))
    failed = [failures[each.key] for each in work if each.key not in scores and each.key in failures]
    outcomes = [each.outcome for each in made]
    found = dimension_score(name, outcomes, [each.prompt for each in made], job.scoring.measurer.profile)
    counts = Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Unscored))
    again = [each for each in failed if may_try_again(each)]
    counts.update(f"failed, the same command tries it again: {reason_of(each)}" for each in again)
    num_left = len(work) - len(made) - len(failed)
    counts.update({"not scored yet: it was not asked for": num_left} if num_left else {})
    counts.update(f"failed {each.attempt} times: {reason_of(each)}" for each in failed if not may_try_again(each))
    missing = job.found.missing(name)
    num_files = len(job.found.files(name))
    return ScoredDimension(
        dimension=name,
        rules=rules_of(job.scoring.measurer, name),
        score=found.score.value if found.score else None,
        low=found.score.low if found.score else None,
        high=found.score.high if found.score else None,
        covered=found.covered.value if found.covered else None,
        num_files=num_files,
        num_files_expected=num_files + len(missing),
        missing=tuple(missing),
        num_units=len(work),
        num_scored=found.num_scored,
        num_not_applicable=found.num_not_applicable,
        num_failed=len(again),
        reasons=tuple(Reason(text=text, num=num) for text, num in counts.most_common()),
        scores=tuple(made),
    )


def _unnamed(job: Job, name: str, why: str) -> ScoredDimension:
    """A dimension whose models are not named: its clips are there, and none has a value."""
    files, missing = job.found.files(name), job.found.missing(name)
    num_units = len({each.take.prompt for each in files}) if facts()[name].equal_lengths else len(files)
    return ScoredDimension(
        dimension=name,
        rules=rules_of(job.scoring.measurer, name),
        num_files=len(files),
        num_files_expected=len(files) + len(missing),
        missing=tuple(missing),
        num_units=num_units,
        num_scored=0,
        num_not_applicable=0,
        num_failed=0,
        reasons=(Reason(text=why, num=num_units),),
    )
