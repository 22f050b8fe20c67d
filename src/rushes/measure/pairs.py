"""The same prompt and seed, before and after: pairs of measurements of two models. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from rushes.records import Clip, Measurement, Prompt, PromptGain, Scored

DIVERSITY: Final = "Diversity"
"""Name of the dimension that is measured over several takes of one prompt."""


@dataclass(frozen=True)
class Pair:
    """Two measurements of one prompt with the same seed, or with the same seeds if takes are measured together."""

    dimension: str
    """Quality dimension measured."""
    prompt_key: str
    """Prompt that both models generated clips of."""
    seed_indices: tuple[int, ...]
    """Which takes of the prompt, ascending; one unless takes are measured together."""
    before: Measurement
    """Measurement of the base model's clip."""
    after: Measurement
    """Measurement of the tuned model's clip."""

    @property
    def scores(self) -> tuple[float, float] | None:
        """Score before and score after, each 0 to 1; None if either is unscored."""
        before, after = self.before.outcome, self.after.outcome
        if isinstance(before, Scored) and isinstance(after, Scored):
            return before.value, after.value
        return None


@dataclass(frozen=True)
class Pairing:
    """All pairs, and the measurements without a partner."""

    pairs: tuple[Pair, ...]
    """Sorted by dimension, prompt and take."""
    only_before: tuple[Measurement, ...]
    """The base model's measurements whose prompt and seed the tuned model lacks: a clip could not be made or measured;
    sorted like the pairs."""
    only_after: tuple[Measurement, ...]
    """The tuned model's measurements whose prompt and seed the base model lacks."""

    @property
    def unpaired(self) -> tuple[Measurement, ...]:
        """The measurements without a partner, of either model."""
        return (*self.only_before, *self.only_after)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All measurements of both models."""
        return (*(side for pair in self.pairs for side in (pair.before, pair.after)), *self.unpaired)

    def of(self, dimension: str) -> tuple[Pair, ...]:
        """The pairs of one dimension."""
        return tuple(pair for pair in self.pairs if pair.dimension == dimension)


def clusters_of(prompts: Iterable[Prompt]) -> dict[str, str]:
    """Which prompts form one cluster of the bootstrap: those with the same text, in whatever dimensions.

    A benchmark's prompt used in several dimensions has one record in each of them, with the same text and mostly the
    same clips, so its gains are not independent (docs/design/007-one-decision-rule.md).

    Returns:
        Key of each prompt -> name of its cluster, the text.
    """
    return {prompt.key: prompt.text for prompt in prompts}


def prompt_gains(pairing: Pairing) -> list[PromptGain]:
    """Every prompt with at least one pair of scores, sorted by dimension and prompt."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for pair in pairing.pairs:
        if pair.scores is not None:
            found.setdefault((pair.dimension, pair.prompt_key), []).append(pair.scores)
    return [
        PromptGain(
            dimension=dimension,
            prompt_key=prompt,
            before=fmean(before for before, _ in scores),
            after=fmean(after for _, after in scores),
            num_pairs=len(scores),
        )
        for (dimension, prompt), scores in sorted(found.items())
    ]


_Place = tuple[str, str, tuple[int, ...]]


def pair_up(before: Iterable[Measurement], after: Iterable[Measurement], clips: Iterable[Clip]) -> Pairing:
    """Pair the two models' measurements by prompt and seed. The order of the inputs does not matter.

    Args:
        before: measurements of the base model's clips.
        after: measurements of the tuned model's clips.
        clips: the measured clips of both models; extra clips are ignored.

    Raises:
        ValueError: a measured clip is not among `clips`, or one model has two measurements of the same prompt and seed.
    """
    takes = {clip.key: clip.seed_index for clip in clips}
    left, right = _placed(before, takes), _placed(after, takes)
    return Pairing(
        pairs=tuple(
            Pair(*place, before=left[place], after=right[place]) for place in sorted(left.keys() & right.keys())
        ),
        only_before=tuple(left[place] for place in sorted(left.keys() - right.keys())),
        only_after=tuple(right[place] for place in sorted(right.keys() - left.keys())),
    )


def _placed(measurements: Iterable[Measurement], takes: Mapping[str, int]) -> dict[_Place, Measurement]:
    placed: dict[_Place, Measurement] = {}
    for measurement in measurements:
        missing = [key for key in measurement.subject if key not in takes]
        if missing:
            raise ValueError(f"measurement {measurement.key} is of clips that were not given: {missing!r}")
        seed_indices = tuple(sorted(takes[key] for key in measurement.subject))
        place = (measurement.dimension, measurement.prompt_key, seed_indices)
        if place in placed:
            raise ValueError(f"one model has two measurements of {place!r}; expected one of each prompt and seed")
        placed[place] = measurement
    return placed
