"""A run's own measurements of the suite's held-out prompts, by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rushes.errors import InputError, command
from rushes.measure.shown import shown_notes
from rushes.prompts.suite import rewritten_note
from rushes.records import Measurement
from rushes.store.run import Run
from rushes_vbench.catalogue import SOURCE
from rushes_vbench.export import Which, models_of_run
from rushes_vbench.values import ModelValues, values_of_run


@dataclass(frozen=True)
class Measured:
    """What a run has of the suite."""

    sides: Mapping[Which, ModelValues]
    """The values of both models."""
    measurements: Sequence[Measurement]
    """All measurements of the run."""
    notes: tuple[str, ...]
    """What a reader must know: scores from fewer frames, rewritten prompts."""
    num_rewritten: int
    """Prompts of the suite that were rewritten for the model."""


def measured_in(home: Path) -> Measured:
    """The values of both models of a run.

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
    of_suite = [prompt for prompt in prompts.values() if prompt.source == SOURCE]
    num_rewritten = sum(prompt.text != prompt.base_text for prompt in of_suite)
    return Measured(sides, measured, (*shown_notes(measured), *rewritten_note(of_suite)), num_rewritten)
