"""The report before the end: after each stage, what is there. It never ends a run, whatever goes wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final, Literal

from rushes.context import Context
from rushes.display.words import readable
from rushes.families.models import Model
from rushes.records import Clip, Focus, Outcome, Prompt, Score, Scored
from rushes.report.data import Judged, ShownClip, SoFar, Written
from rushes.report.html import REPORT_FILE, render_so_far
from rushes.report.made import made, rounds_of, screening_of, state_of
from rushes.roles import Video
from rushes.store.files import write_atomic

Stage = Literal["diagnose", "prompts", "generate", "judge", "weigh", "train"]
ORDER: Final[tuple[Stage, ...]] = ("diagnose", "prompts", "generate", "judge", "weigh", "train")
"""The stages that a page is written after; after `measure` comes the whole report."""
MAX_DIMENSIONS: Final = 6
"""Dimensions whose clips are on the page."""
MAX_TEXTS: Final = 40
"""Prompts listed for each dimension and origin; the others are counted."""
_STATE: Final = re.compile(r'<meta name="rushes-made-from" content="(\w+) (\d+)">')
_HEAD: Final = 4096
"""Characters of a page in which its state stands."""


def report(
    context: Context,
    stage: Stage,
    focus: Sequence[Focus],
    model: Model,
    number: int = 0,
    written: Sequence[Prompt] = (),
    clips: Sequence[Clip] = (),
    scores: Sequence[Score] = (),
) -> Stage:
    """Write `report.html` of what is there after a stage, unless it is there; returns the stage.

    Args:
        context: the run's context.
        stage: what is done.
        focus: the dimensions aimed at.
        model: the newest weights that are trained; the base before any.
        number: of the round, from 0.
        written, clips, scores: what the stages of this round have given so far.
    """
    run = context.run
    try:
        page, state = run.home / REPORT_FILE, state_of(run, ORDER.index(stage))
        if not _is_there(page.read_text("utf-8", "replace")[:_HEAD] if page.is_file() else "", state):
            is_weighed = stage in ("weigh", "train") and bool(scores)
            rounds, recipe = rounds_of(run, model.name), context.recipe
            weighed = number if is_weighed else number - 1 if number else None
            screening = screening_of(context.prompts, None if stage == "diagnose" else context.rejections)
            data = SoFar(
                **vars(replace(made(recipe, run, rounds, focus, screening, weighed), made_from=state)),
                title=title(stage, focus, len(written), len(clips), number if recipe.num_rounds > 1 else None),
                written=tuple(_written(written)),
                judged=tuple(_judged(scores)),
                clips=tuple(_shown(context, focus, clips, scores)),
            )
            write_atomic(page, render_so_far(data).encode())
    except Exception as error:  # the run goes on: its records are what counts
        run.log.write("report_failed", stage=stage, problem=f"{type(error).__name__}: {error}")
    return stage


def _is_there(head: str, state: str) -> bool:
    """Whether a page shows this state, after this stage or a later one."""
    found, (what, number) = _STATE.search(head), state.split()
    return found is not None and found[1] == what and found[2] >= number


def title(stage: Stage, focus: Sequence[Focus], num_prompts: int, num_clips: int, number: int | None) -> str:
    """What is done and what comes next, in a sentence.

    Args:
        stage: what is done.
        focus: the dimensions aimed at.
        num_prompts, num_clips: of this round.
        number: of the round, from 0; None if there is only one.
    """
    where = " and ".join(readable(each.dimension) for each in focus) if len(focus) < 3 else f"{len(focus)} dimensions"
    said = {
        "diagnose": f"The run aims at {where or 'no dimension'}; prompts come next.",
        "prompts": f"{num_prompts} prompts aim at {where}; clips of them come next.",
        "generate": f"{num_clips} clips of {num_prompts} prompts are there; the judge comes next.",
        "judge": f"{num_clips} clips are judged; they are weighed next.",
        "weigh": f"{num_clips} clips are judged and weighed; training comes next.",
        "train": "The model is trained; whether it got better is measured next.",
    }[stage]
    return said if number is None else f"Round {number + 1}: {said}"


def _written(prompts: Iterable[Prompt]) -> Iterator[Written]:
    found: dict[tuple[str, str], list[str]] = {}
    for each in prompts:
        found.setdefault((each.dimension, each.origin), []).append(each.text)
    for (dimension, origin), texts in sorted(found.items()):
        yield Written(dimension, origin, len(texts), texts[:MAX_TEXTS])


def _judged(scores: Iterable[Score]) -> Iterator[Judged]:
    found: dict[str, list[Score]] = {}
    for each in scores:
        found.setdefault(each.dimension, []).append(each)
    for dimension, own in sorted(found.items()):
        takes: dict[str, list[float]] = {}
        for each in own:
            if isinstance(each.outcome, Scored):
                takes.setdefault(each.prompt_key, []).append(each.outcome.value)
        values = [value for group in takes.values() for value in group]
        several = [group for group in takes.values() if len(group) > 1]
        yield Judged(
            dimension=dimension,
            num_clips=len(own),
            num_scored=len(values),
            mean=fmean(values) if values else None,
            unit=next((each.outcome.unit for each in own if isinstance(each.outcome, Scored)), None),
            num_prompts=len(several),
            num_apart=sum(max(group) > min(group) for group in several),
        )


def _shown(
    context: Context, focus: Sequence[Focus], clips: Sequence[Clip], scores: Sequence[Score]
) -> Iterator[ShownClip]:
    """Three clips of each dimension aimed at, with the judge's answers about them."""
    names = [each.dimension for each in focus][:MAX_DIMENSIONS]
    outcomes = {each.clip_key: each.outcome for each in scores}
    chosen = [
        each for name in names for each in _three([c for c in clips if c.dimension == name and c.video], outcomes)
    ]
    said: dict[str, dict[str, float | None]] = {}
    for answer in context.run.answers.each_with("clip_key", {clip.key for _, clip in chosen}) if scores else ():
        said.setdefault(answer.clip_key, {})[answer.question.text] = answer.p_expected
    for rule, clip in chosen:
        outcome, prompt = outcomes.get(clip.key), context.prompts[clip.prompt_key]
        known = said.get(clip.key, {})
        yield ShownClip(
            dimension=clip.dimension,
            rule=rule,
            prompt=prompt.text,
            video=Video(context.run.blobs.read_video(clip.frames), clip.fps),
            score=outcome.value if isinstance(outcome, Scored) else None,
            unit=outcome.unit if isinstance(outcome, Scored) else None,
            answers=[(q.text, q.expected, known.get(q.text)) for q in prompt.questions] if known else (),
        )


def _three(clips: Sequence[Clip], outcomes: Mapping[str, Outcome]) -> list[tuple[str, Clip]]:
    """The best, the middle and the worst by score; before there are scores, the first takes of the first prompts."""
    scored = [
        (outcome.value, clip.key, clip) for clip in clips if isinstance(outcome := outcomes.get(clip.key), Scored)
    ]
    if not scored:
        firsts = {clip.prompt_key: clip for clip in reversed(clips)}
        return [("first", firsts[key]) for key in list(dict.fromkeys(clip.prompt_key for clip in clips))[:3]]
    ranked = [clip for *_, clip in sorted(scored, key=lambda each: (-each[0], each[1]))]
    places = {"best": 0, "middle": (len(ranked) - 1) // 2, "worst": len(ranked) - 1}
    found: dict[str, tuple[str, Clip]] = {}
    for rule, place in places.items():
        found.setdefault(ranked[place].key, (rule, ranked[place]))
    return list(found.values())
