"""Rounds that are finished, or trained on: a run that resumes there does not go through their clips and answers again.

What decides a round is in the keys of its records: whatever would change a work key of a clip, an answer or the
checkpoint changes these. A record counts only while every record that was stored before it is still there; records
that are damaged are found where the result is written (`rushes.store.heal.reread`), dropped, and then missing here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rushes.context import Context
from rushes.families.models import Model
from rushes.judge.key import scoring_identity
from rushes.plugins import OBJECTIVE, WEIGHTING, resolved
from rushes.records import Clip, FinishedRound, PreparedRound, Prompt, Record, Sample
from rushes.store.files import sha256_of_file
from rushes.store.identity import work_key
from rushes.store.provenance import commit, rushes_version
from rushes.store.table import Table
from rushes.train.lesson import ORDER

ROUNDS: Final = "rounds"
"""Table of finished rounds."""
PREPARED: Final = "prepared_rounds"
"""Table of rounds of which only training is left."""
_DERIVED: Final = ("weights", "samples", "scores")
"""Files of a round that the report reads."""


@dataclass(frozen=True)
class Round:
    """What a round begins with."""

    number: int
    """From 0."""
    start: Model
    """The weights that it generates with and tunes."""
    prompts: Sequence[Prompt]
    """Its prompts."""
    real: Sequence[Clip]
    """Real clips."""
    watch: Sequence[Prompt]
    """Prompts by which training is watched."""


def known_round(context: Context, whole: Round, until: str | None = None) -> Model | None:
    """The result of a round that is finished, if it is the last one and nothing of it is lost; else None.

    Later rounds train beside the clips of earlier ones, so these are always gone through. So is a round in the middle
    of which the run is to stop: `until` is that stage.
    """
    run = context.run
    if until is not None or not _can_be_known(context, whole):
        return None
    key = _key(context, whole)
    for found in _table(context).get_many([key]).values():
        if _is_all_there(context, whole, ROUNDS, found):
            return next(map(Model.of, run.checkpoints.get_many([found.checkpoint]).values()), None)
    return None


def keep_round(context: Context, whole: Round, result: Model) -> Model:
    """Record that a round is finished, if nothing in this session failed.

    Returns:
        `result`, as it is.

    Raises:
        StoreError: disk full or read-only.
    """
    run, table = context.run, _table(context)
    if _can_be_known(context, whole) and not run.shortfall.words():
        key = _key(context, whole)
        table.drop([key])  # one that no longer counts
        table.land([FinishedRound(key=key, checkpoint=result.name, num_records=sum(run.database.counts().values()))])
    return result


def known_samples(context: Context, whole: Round, until: str | None = None) -> tuple[Sample, ...] | None:
    """The samples of a round that waits for its training, if nothing of it is lost; else None.

    The context then knows the round's clips without having read them.
    """
    run = context.run
    if until in ("generate", "judge") or not _is_of_commit(context):
        return None
    key, name = _key(context, whole), f"samples-{whole.number}"
    for found in run.table(PREPARED, PreparedRound).get_many([key]).values():
        if _is_all_there(context, whole, PREPARED, found) and _hash_of(context, whole) == found.samples:
            samples = tuple(run.each_derived(name, Sample))
            context.clips.know(sample.clip_key for sample in samples if sample.source == "own")
            context.clips.update({clip.key: clip for clip in whole.real})
            return samples
    return None


def keep_samples(context: Context, whole: Round, samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Record that only training is left of a round, if nothing in this session failed.

    Returns:
        `samples`, as they are.

    Raises:
        StoreError: disk full or read-only.
    """
    run = context.run
    if _is_of_commit(context) and not run.shortfall.words():
        key, table = _key(context, whole), run.table(PREPARED, PreparedRound)
        table.drop([key])  # one that no longer counts
        num = sum(run.database.counts().values())
        table.land([PreparedRound(key=key, samples=_hash_of(context, whole), num_records=num)])
    return samples


def _hash_of(context: Context, whole: Round) -> str:
    """Hash of the file with the samples of a round: another recipe may have written its own there."""
    return sha256_of_file(context.run.home / "derived" / f"samples-{whole.number}.json")


def _is_all_there(context: Context, whole: Round, table: str, found: FinishedRound | PreparedRound) -> bool:
    """Whether the files of a round are there, and every record that was stored before the one about it."""
    run = context.run
    files = [run.home / "derived" / f"{each}-{whole.number}.json" for each in _DERIVED]
    return all(each.is_file() for each in files) and run.database.num_before(table, found.key) == found.num_records


def _can_be_known(context: Context, whole: Round) -> bool:
    """Whether a round that is finished can be known: the last one, by code of a commit."""
    return whole.number == context.recipe.num_rounds - 1 and _is_of_commit(context)


def _is_of_commit(context: Context) -> bool:
    """Whether none of a round's prompts are dropped by drafts, and the code is that of a commit."""
    return context.recipe.generate.draft is None and commit()[1] is not True


def _table(context: Context) -> Table[FinishedRound]:
    return context.run.table(ROUNDS, FinishedRound)


def _key(context: Context, whole: Round) -> str:
    recipe = context.recipe
    about = {question.dimension for prompt in whole.prompts for question in prompt.questions}
    settings = (recipe.shape, recipe.generate, recipe.judge, recipe.weights, recipe.training, recipe.watch)
    weighting = recipe.weights.plugin
    decided = {
        "recipe": [each.model_dump_json() if each is not None else None for each in settings],
        # Where only real clips are trained on, nothing is judged, and the judge may be one that is not there.
        "judges": None if recipe.prompts.only_real else scoring_identity(recipe.judge, about),
        "objective": resolved(recipe.train.objective, OBJECTIVE),
        "weighting": None if weighting is None else resolved(weighting, WEIGHTING),
        "code": [rushes_version(), commit()[0], ORDER],
        "base": context.base.name,
        "prompts": _hash(whole.prompts),
        "real": _hash(whole.real),
        "stated": _hash(context.stated[key] for key in sorted(context.stated)),
        "watch": _hash(whole.watch),
    }
    return work_key("round", decided, [whole.start.name], whole.number)


def _hash(records: Iterable[Record]) -> str:
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.model_dump_json().encode() + b"\n")
    return digest.hexdigest()
