"""A run's own measurements of the suite's held-out prompts, by model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rushes.errors import InputError, command
from rushes.records import Measurement
from rushes.store.run import Run
from rushes_vbench.export import Which, models_of_run
from rushes_vbench.values import ModelValues, values_of_run


def measured_in(home: Path) -> tuple[Mapping[Which, ModelValues], list[Measurement]]:
    """The values of both models of a run, and all its measurements.

    Raises:
        InputError: it has not measured both.
        StoreError: it is no run, or damaged.
    """
    with Run.view(home) as run:
        prompts = {prompt.key: prompt for prompt in run.prompts.all()}
        clips = {clip.key: clip for clip in run.clips.all()}
        models, measured = models_of_run(run), run.measurements.all()
    sides: dict[Which, ModelValues] = {}
    for which in ("base", "tuned"):
        own = [each for each in measured if models.get(clips[each.subject[0]].model) == which]
        sides[which] = values_of_run(own, prompts, clips, model=which)
    if not all(side.dimensions for side in sides.values()):
        raise InputError(
            f"the run in {home} has not measured both models on VBench-2.0 prompts",
            expected="a run with measure.suite set that has finished measuring",
            next_step=f"see its progress: {command('status', home)}",
        )
    return sides, measured
