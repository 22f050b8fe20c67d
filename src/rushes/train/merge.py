"""`train.merge`: a round's result lies between the weights that it starts from and those that were trained.

theta = theta_start + merge (theta_trained - theta_start), for every weight. For an adapter that is the same as scaling
its B, since theta_trained - theta_start = (alpha / rank) B A. Source: WiSE-FT (arXiv 2109.01903), which keeps in this
way what a model did before it was tuned; WARP (arXiv 2406.16768) ends every round of tuning by rewards with it.

The trained checkpoint is kept apart, so that another share of it takes no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rushes.context import Context
from rushes.families.models import Model
from rushes.families.weights import blend
from rushes.records import Checkpoint
from rushes.store.run import Run
from rushes.store.table import Table
from rushes.train.lesson import Lesson, lesson_key, result_key

UNMERGED: Final = "unmerged"
"""Table of the checkpoints with all of what was trained, of results that keep a share of it."""


def unmerged_of(run: Run) -> Table[Checkpoint]:
    """Trained checkpoints that are not results themselves."""
    return run.table(UNMERGED, Checkpoint)


def trained_before(run: Run, lesson: Lesson) -> Checkpoint | None:
    """The checkpoint that a lesson trains, if the run has it for this or for another share."""
    key = lesson_key(lesson)
    found = {**unmerged_of(run).get_many([key]), **run.checkpoints.get_many([key])}
    return found.get(key)


def merged(context: Context, lesson: Lesson, trained: Checkpoint) -> Checkpoint:
    """The result of a lesson, stored: `lesson.spec.merge` of what `trained` changed.

    Raises:
        StoreError: disk full or read-only.
        Damage: the trained weights are not what was written.
    """
    start = Model(lesson.parent, lesson.start)
    before, after = context.models.weights(start), context.run.blobs.read_tensors(trained.weights)
    share = lesson.spec.merge
    # One after the other out of `after`, so that there are never four copies of a large model.
    weights = {name: blend(before[name], after.pop(name), share).contiguous() for name in list(after)}
    return trained.model_copy(
        update={
            "key": result_key(lesson),
            "weights": context.run.blobs.put_tensors(weights),
            "merge": share,
            "unmerged": trained.key,
        }
    )


def drop(run: Run, keys: Sequence[str]) -> None:
    """Delete results with what they were merged from, the records first: no record may name a missing file.

    Args:
        run: an open run.
        keys: of the results.
    """
    results = list(run.checkpoints.get_many(keys).values())
    names = [each.unmerged or each.key for each in results]
    found = [*results, *unmerged_of(run).get_many(names).values(), *run.checkpoints.get_many(names).values()]
    for table in (run.checkpoints, unmerged_of(run)):
        table.drop([each.key for each in found])
    for checkpoint in found:
        run.blobs.remove(checkpoint.weights)
