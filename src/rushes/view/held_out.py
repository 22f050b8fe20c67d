"""What was measured on held-out prompts, by the weights that generated the clips: the sides of every comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rushes.measure.pairs import Pair, pair_up
from rushes.records import Clip, Measurement, Prompt, Scored
from rushes.store.run import Run
from rushes.view.names import model_name, model_names


@dataclass(frozen=True, eq=False)
class Measured:
    """One run's held-out measurements."""

    prompts: Mapping[str, Prompt]
    """Held-out prompts by key."""
    clips: Mapping[str, Clip]
    """The measured clips by key."""
    by_model: Mapping[str, Sequence[Measurement]]
    """Weights -> measurements of their clips; the untouched model first, then checkpoints by step."""
    names: Mapping[str, str]
    """Weights -> what they are called."""
    base: str | None
    """The untouched weights; None where nothing of them is measured yet."""
    tuned: str | None
    """The result, or the last checkpoint that is measured; None where there is none."""

    def pairs(self, before: str, after: str) -> tuple[Pair, ...]:
        """The same prompts and seeds by two of its models."""
        return pair_up(self.by_model[before], self.by_model[after], self.clips.values()).pairs


def measured(run: Run) -> Measured:
    """Everything that was measured on held-out prompts so far. Where another recipe measured the same clips in the
    folder too, the measurements written last count."""
    prompts = {each.key: each for each in run.prompts.each_with("origin", {"held_out"})}
    held_out = [each for each in run.measurements.each() if each.prompt_key in prompts]
    clips = run.clips.get_many(sorted({key for each in held_out for key in each.subject}))
    found: dict[str, dict[tuple[object, ...], Measurement]] = {}
    for each in held_out:
        takes = [clips[key] for key in each.subject if key in clips]
        if len(takes) == len(each.subject):
            place = (each.dimension, each.prompt_key, tuple(sorted(clip.seed_index for clip in takes)))
            found.setdefault(takes[0].model, {})[place] = each
    checkpoints = run.checkpoints.get_many(list(found))
    order = sorted(found, key=lambda model: checkpoints[model].step if model in checkpoints else -1)
    names = model_names(run)
    scorecard = run.scorecard()
    bases = [model for model in order if model not in checkpoints]
    tuned = [model for model in order if model in checkpoints]
    if scorecard is not None and scorecard.tuned_model in found:
        tuned = [scorecard.tuned_model]
    return Measured(
        prompts,
        clips,
        {model: list(found[model].values()) for model in order},
        {model: model_name(model, names) for model in order},
        bases[0] if bases else None,
        tuned[-1] if tuned else None,
    )


def value_of(measurement: Measurement) -> float | None:
    """The measured score; None where there is none."""
    return measurement.outcome.value if isinstance(measurement.outcome, Scored) else None
