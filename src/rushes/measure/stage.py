"""Measure clips with the independent measurer: one subject per clip, or per prompt where takes are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rushes.execute import Lazily
from rushes.records import Clip, Measurement, Prompt
from rushes.roles import Failed, Measurer, Runtime, Subject, Video
from rushes.specs import MeasureSpec, PluginSpec
from rushes.store.advance import Do, Work
from rushes.store.blobs import Blobs
from rushes.store.identity import work_key

MEASURER_VERSION = 1
"""Raised whenever the built-in measurer answers differently, so that old measurements are not mixed with new ones."""


@dataclass(frozen=True)
class Seen:
    """Clips to be measured together, and their prompt."""

    clips: tuple[Clip, ...]
    prompt: Prompt


def subjects(
    clips: Sequence[Clip], prompts: Mapping[str, Prompt], spec: MeasureSpec, groups: frozenset[str] = frozenset()
) -> list[Work[Seen]]:
    """What to measure.

    Args:
        clips: the clips, of one model.
        prompts: by key, at least those of `clips`.
        spec: who measures.
        groups: dimensions that compare all takes of a prompt rather than look at each.
    """
    together: dict[str, list[Clip]] = {}
    for clip in clips:
        unit = clip.prompt_key if clip.dimension in groups else clip.key
        together.setdefault(unit, []).append(clip)
    identity = {"measurer": measurer_name(spec), "version": MEASURER_VERSION}
    return [
        Work(work_key("measurement", identity, unit), Seen(tuple(unit), prompts[unit[0].prompt_key]))
        for unit in together.values()
    ]


def measurer_name(spec: MeasureSpec) -> str:
    """What the measurer is called in records and reports."""
    return spec.measurer.use if isinstance(spec.measurer, PluginSpec) else "sandbox-perception"


def measuring(spec: MeasureSpec, runtime: Runtime, blobs: Blobs) -> Do[Seen, Measurement]:
    """What `advance` calls on each chunk; the measurer is built when the first chunk needs it."""
    return Lazily(partial(build_measurer, spec, runtime), partial(look, blobs=blobs, name=measurer_name(spec)))


def build_measurer(spec: MeasureSpec, runtime: Runtime) -> Measurer:
    """The recipe's measurer, ready to look."""
    if spec.measurer is None:
        from rushes.measure.sandbox import PerceptionMeasurer

        return PerceptionMeasurer()
    measurer: Measurer = spec.measurer.build(runtime)
    return measurer


def look(measurer: Measurer, chunk: Sequence[Work[Seen]], *, blobs: Blobs, name: str) -> list[Measurement | Failed]:
    """Measure one chunk of subjects."""
    asked = [
        Subject(
            dimension=work.payload.prompt.dimension,
            text=work.payload.prompt.text,
            questions=work.payload.prompt.questions,
            clips=tuple(Video(blobs.read_video(clip.video), clip.fps) for clip in work.payload.clips),
        )
        for work in chunk
    ]
    return [
        outcome
        if isinstance(outcome, Failed)
        else Measurement(
            key=work.key,
            subject=tuple(clip.key for clip in work.payload.clips),
            dimension=work.payload.prompt.dimension,
            prompt_key=work.payload.prompt.key,
            measurer=name,
            outcome=outcome,
        )
        for work, outcome in zip(chunk, measurer.measure(asked), strict=True)
    ]
