"""`train.merge`: a round's result lies between the weights that it starts from and those that were trained.

theta = theta_start + merge (theta_trained - theta_start), for every weight. For an adapter that is the same as scaling
its B, since theta_trained - theta_start = (alpha / rank) B A. Source: WiSE-FT (arXiv 2109.01903), which keeps in this
way what a model did before it was tuned; WARP (arXiv 2406.16768) ends every round of tuning by rewards with it.

The trained checkpoint is kept apart, so that another share of it takes no training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from rushes.context import Context
from rushes.families.models import Model
from rushes.families.weights import blend
from rushes.records import BlobRef, Checkpoint
from rushes.store.run import Run
from rushes.store.table import Table
from rushes.train.lesson import BIN_PREFIX, Lesson, lesson_key, result_key

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
    before = context.models.weights(Model(lesson.parent, lesson.start, weights_2=lesson.start_2))
    share, blobs = lesson.spec.merge, context.run.blobs

    def between(ref: BlobRef) -> BlobRef:
        # One after the other out of `after`, so that there are never four copies of a large model.
        after = blobs.read_tensors(ref)
        return blobs.put_tensors(
            {name: blend(before[name], after.pop(name), share).contiguous() for name in list(after)}
        )

    return trained.model_copy(
        update={
            "key": result_key(lesson),
            "weights": between(trained.weights),
            "weights_2": None if trained.weights_2 is None else between(trained.weights_2),
            "merge": share,
            "unmerged": trained.key,
        }
    )


def joined(run: Run, key: str, parts: Sequence[Checkpoint]) -> Checkpoint:
    """The checkpoint of a model whose two transformers were tuned one after the other; no weights are read or written.

    Args:
        run: where the curves are stored.
        key: of the result.
        parts: of the first and of the second transformer.
    """
    first, second = parts
    curves: dict[str, list[list[float]]] = {}
    for expert, part in (("high", first), ("low", second)):
        for term, points in _curves(run, part).items():
            # A bin of noise levels is of one transformer, or of both where the boundary lies in it.
            name = term if term.startswith(BIN_PREFIX) else f"{term}_{expert}"
            curves[name] = sorted([*curves.get(name, []), *points])
    return first.model_copy(
        update={
            "key": key,
            "weights_2": second.weights,
            "parts": (first.key, second.key),
            "losses": tuple(
                loss.model_copy(update={"term": f"{loss.term}_{name}"})
                for name, part in (("high", first), ("low", second))
                for loss in part.losses
            ),
            "curves": run.blobs.put_bytes(json.dumps(curves).encode(), ".json"),
            "num_skipped_steps": first.num_skipped_steps + second.num_skipped_steps,
            "seconds": first.seconds + second.seconds,
        }
    )


def _curves(run: Run, part: Checkpoint) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {} if part.curves is None else json.loads(run.blobs.read_bytes(part.curves))
    return found


def drop(run: Run, keys: Sequence[str]) -> None:
    """Delete results with what they were merged from, the records first: no record may name a missing file.

    Args:
        run: an open run.
        keys: of the results.
    """
    results = list(run.checkpoints.get_many(keys).values())
    names = [each.unmerged or each.key for each in results]
    found = [*results, *unmerged_of(run).get_many(names).values(), *run.checkpoints.get_many(names).values()]
    found += unmerged_of(run).get_many([key for each in found for key in each.parts]).values()
    for table in (run.checkpoints, unmerged_of(run)):
        table.drop([each.key for each in found])
    for checkpoint in found:
        for ref in (checkpoint.weights, checkpoint.weights_2):
            if ref is not None:
                run.blobs.remove(ref)
