"""Measure clips with the independent measurer: one subject per clip, or per prompt where takes are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from rushes.execute import Lazily
from rushes.plugins import check_role
from rushes.recipe.measure import MeasureSpec
from rushes.recipe.models import VlmMeasurerSpec
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Clip, Measurement, Prompt
from rushes.roles import Failed, Measurer, Subject
from rushes.store.advance import Do, Work
from rushes.store.blobs import Blobs
from rushes.store.decoded import Decoded
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
    identity: dict[str, object] = {"measurer": measurer_name(spec), "version": MEASURER_VERSION}
    if spec.measurer is not None:
        # With other options, or asked in other words, it is another measurer.
        identity |= {"spec": spec.measurer, "asked": _asked(spec.measurer)}
    return [
        Work(work_key("measurement", identity, unit), Seen(tuple(unit), prompts[unit[0].prompt_key]))
        for unit in together.values()
    ]


def measurer_name(spec: MeasureSpec) -> str:
    """What the measurer is called in records and reports."""
    if isinstance(spec.measurer, VlmMeasurerSpec):
        return spec.measurer.model.model
    return spec.measurer.use if isinstance(spec.measurer, PluginSpec) else "sandbox-perception"


def _asked(measurer: VlmMeasurerSpec | PluginSpec) -> str | None:
    """Hash of what decides how a vision-language model is asked besides its spec; None for plug-ins."""
    if isinstance(measurer, PluginSpec):
        return None
    from rushes.judge.asked import asked_hash

    return asked_hash(measurer)


def measuring(spec: MeasureSpec, runtime: RuntimeSpec, blobs: Blobs) -> Do[Seen, Measurement]:
    """What `advance` calls on each chunk; the measurer is built when the first chunk needs it."""
    seen = partial(look, videos=Decoded(blobs), name=measurer_name(spec))
    return Lazily(partial(build_measurer, spec, runtime), seen)


def build_measurer(spec: MeasureSpec, runtime: RuntimeSpec) -> Measurer:
    """The recipe's measurer, ready to look.

    Raises:
        RecipeError: a plug-in that cannot be loaded, or that is no measurer.
    """
    if spec.measurer is None:
        from rushes_sandbox.measurer import PerceptionMeasurer

        return PerceptionMeasurer()
    measurer: Measurer = spec.measurer.build(runtime)
    check_role(measurer, "Measurer", "measure(subjects)", f"measure.measurer: {measurer_name(spec)}")
    return measurer


def look(measurer: Measurer, chunk: Sequence[Work[Seen]], *, videos: Decoded, name: str) -> list[Measurement | Failed]:
    """Measure one chunk of subjects.

    Args:
        measurer: who looks.
        chunk: the subjects.
        videos: reads a clip that several subjects share once, also where they are in chunks that follow each other.
        name: of the measurer, for the records.

    Raises:
        BlobCorrupt: a clip's video is damaged.
        UserError, Stopped: raised by the measurer.
    """
    decoded = iter(videos.of([clip for work in chunk for clip in work.payload.clips]))
    asked = [
        Subject(
            dimension=work.payload.prompt.dimension,
            text=work.payload.prompt.text,
            questions=work.payload.prompt.questions,
            clips=tuple(islice(decoded, len(work.payload.clips))),
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
