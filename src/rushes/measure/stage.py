"""The stage `measure`: one subject per clip, or per prompt if takes are compared, for an independent measurer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, Literal

from rushes.context import Context
from rushes.execute.batch import batch_or_alone
from rushes.execute.local import Lazily
from rushes.families.models import Model
from rushes.generate.stage import clips_of, evaluation_how
from rushes.judge.asked import asked_hash
from rushes.measure.vlm import build_vlm_measurer
from rushes.plan.chat_models import chat_models
from rushes.plugins import MEASURER, build, name_of, resolved
from rushes.recipe.measure import MeasureSpec
from rushes.recipe.models import ServerModelSpec, VlmMeasurerSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Clip, Measurement, Prompt, Scored, Unscored
from rushes.roles import Failed, Measurer, Subject
from rushes.store.advance import Work, advance
from rushes.store.decoded import Decoded, side_by_side
from rushes.store.identity import work_key
from rushes.store.table import Table

MOST_FOR_SERVERS: Final = 16
"""Most clips that are held in memory only to keep a server busy; `judge_batch` may ask for more."""


@dataclass(frozen=True)
class Seen:
    """Clips to be measured together, and their prompt."""

    clips: tuple[Clip, ...]
    prompt: Prompt
    text: str
    """What the clips should show: the prompt's full text, or a suite's own where it was rewritten for the model."""


def measure(
    context: Context, model: Model, prompts: Sequence[Prompt], purpose: Literal["probe", "held_out"]
) -> list[Measurement]:
    """The independent measurer's results on a model's clips of evaluation prompts, generated if missing.

    Args:
        context: the run in progress.
        model: whose clips.
        prompts: probe prompts, or held-out ones.
        purpose: which of the two; decides the number of takes per prompt.
    """
    recipe, groups = context.recipe, context.group_dimensions
    single = [prompt for prompt in prompts if prompt.dimension not in groups]
    several = [prompt for prompt in prompts if prompt.dimension in groups]
    num_takes = recipe.measure.num_takes if purpose == "held_out" else recipe.diagnose.num_takes
    how = evaluation_how(context, model)
    with context.during("measure base" if model == context.base else "measure tuned"):
        clips = clips_of(context, model, single, num_takes, how)
        clips += clips_of(context, model, several, recipe.measure.num_diversity_takes, how)
        return measurements_of(context, clips)


def measurements_of(
    context: Context, clips: Sequence[Clip], table: Table[Measurement] | None = None
) -> list[Measurement]:
    """The measurer's results on clips of one model; missing ones are measured now.

    Args:
        context: the run in progress; it knows the clips' prompts.
        clips: what to measure.
        table: where results are stored; None for the run's measurements.
    """
    recipe, runtime = context.recipe, context.runtime
    work = subjects(clips, context.prompts, recipe.measure, context.group_dimensions)
    measure_chunk = partial(measured, videos=Decoded(context.blobs), name=measurer_name(recipe.measure))
    found = advance(
        context.run.measurements if table is None else table,
        # A clip of several dimensions is measured in each, but decoded only once.
        side_by_side(work, lambda piece: piece.payload.clips[0]),
        Lazily(partial(build_measurer, recipe.measure, runtime), measure_chunk),
        chunk_size=num_at_once(recipe.measure, runtime),
        place=context.workers,
    )
    position = {piece.key: number for number, piece in enumerate(work)}
    return sorted(found, key=lambda measurement: position[measurement.key])


def num_at_once(spec: MeasureSpec, runtime: RuntimeSpec) -> int:
    """How many subjects the measurer gets at once: `judge_batch`, or enough to keep a server of its models busy.

    Args:
        spec: the measurer.
        runtime: the batch, and how many requests each server takes at once.
    """
    named = {each.server for each in chat_models(spec.measurer, MEASURER) if isinstance(each, ServerModelSpec)}
    taken = [server.max_concurrent for name, server in runtime.servers.items() if name in named]
    return max(runtime.judge_batch, min(MOST_FOR_SERVERS, max(taken, default=0)))


def subjects(
    clips: Sequence[Clip], prompts: Mapping[str, Prompt], spec: MeasureSpec, groups: frozenset[str] = frozenset()
) -> list[Work[Seen]]:
    """What to measure.

    Args:
        clips: the clips, of one model.
        prompts: by key, at least those of `clips`.
        spec: the measurer.
        groups: dimensions that compare all takes of a prompt instead of measuring each.
    """
    together: dict[str, list[Clip]] = {}
    for clip in clips:
        unit = clip.prompt_key if clip.dimension in groups else clip.key
        together.setdefault(unit, []).append(clip)
    work = []
    for group in together.values():
        prompt = prompts[group[0].prompt_key]
        identity = measurer_identity(spec, {question.dimension for question in prompt.questions})
        text = prompt.text if spec.suite is None else prompt.base_text
        work.append(Work(work_key("measurement", identity, group), Seen(tuple(group), prompt, text)))
    return work


def measurer_identity(spec: MeasureSpec, dimensions: Collection[str]) -> dict[str, object]:
    """What decides a measurer's results: other options, or another wording of its questions, make another measurer.

    Args:
        spec: the measurer.
        dimensions: names of the dimensions that it is asked about.
    """
    measurer = resolved(spec.measurer, MEASURER)
    asked = asked_hash(measurer, dimensions) if isinstance(measurer, VlmMeasurerSpec) else None
    return {"measurer": measurer, "asked": asked}


def measurer_name(spec: MeasureSpec) -> str:
    """Name of the measurer in records and reports."""
    return name_of(spec.measurer, MEASURER)


def build_measurer(spec: MeasureSpec, runtime: RuntimeSpec) -> Measurer:
    """The recipe's measurer, ready to measure.

    Raises:
        RecipeError: the plug-in cannot be loaded, or is not a measurer.
    """
    if isinstance(spec.measurer, VlmMeasurerSpec):
        return build_vlm_measurer(spec.measurer, runtime)
    measurer: Measurer = build(spec.measurer, MEASURER, runtime, "measure.measurer")
    return measurer


def measured(
    measurer: Measurer, chunk: Sequence[Work[Seen]], *, videos: Decoded, name: str
) -> list[Measurement | Failed]:
    """Measure one chunk of subjects: a `Measurement`, or `Failed`, per piece of work in order.

    Args:
        measurer: the measurer.
        chunk: the subjects.
        videos: decodes a clip that several subjects share only once, even across two consecutive chunks.
        name: of the measurer, for the records.

    Raises:
        BlobCorrupt: a clip's video is damaged.
        UserError, Stopped: raised by the measurer.
    """
    decoded = iter(videos.of([clip for work in chunk for clip in work.payload.clips]))
    requests = [
        Subject(
            dimension=work.payload.prompt.dimension,
            text=work.payload.text,
            questions=work.payload.prompt.questions,
            clips=tuple(islice(decoded, len(work.payload.clips))),
            clip_keys=tuple(clip.key for clip in work.payload.clips),
        )
        for work in chunk
    ]
    found = batch_or_alone(measurer.measure, requests)
    return [_measurement(work, outcome, name) for work, outcome in zip(chunk, found, strict=True)]


def _measurement(work: Work[Seen], outcome: object, name: str) -> Measurement | Failed:
    if isinstance(outcome, Failed):
        return outcome
    if not isinstance(outcome, (Scored, Unscored)):
        return Failed("TypeError", f"expected Scored, Unscored or Failed from the measurer, got {outcome!r}")
    if isinstance(outcome, Scored) and outcome.unit is not None:
        return Failed("ValueError", f"expected a measurement from 0 to 1, got {outcome.value:.3g} {outcome.unit}")
    return Measurement(
        key=work.key,
        subject=tuple(clip.key for clip in work.payload.clips),
        dimension=work.payload.prompt.dimension,
        prompt_key=work.payload.prompt.key,
        measurer=name,
        outcome=outcome,
    )
