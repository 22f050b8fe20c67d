"""Generate: type a prompt or pick one, and see base beside tuned; what was sampled before stands below."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from rushes.errors import InputError
from rushes.recipe.recipe import Recipe
from rushes.records import Checkpoint, SampledClip
from rushes.sample import stage
from rushes.sample.choose import BASE, MAX_STRENGTH
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.view.jobs import Wish
from rushes.view.studio import Studio, Tab

TAB: Final = Tab("generate", "Generate")
MOST_SEEDS: Final = 16
PAGE_SIZE: Final = 24
"""Prompts and seeds on a page."""
MOST_TEXTS: Final = 2000
"""Prompts of the run to pick from."""
_MAX_FORM: Final = 64 * 1024
_EVERY_S, _ALIVE_S = 0.5, 15.0


@dataclass(frozen=True)
class Row:
    """What was sampled of one prompt from one seed."""

    text: str
    seed: int
    clips: Sequence[tuple[str, SampledClip]]
    """Label of the weights and the clip, the base first."""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/run/NAME/generate`, its queue, its stream, and videos of what was sampled."""

    def page(request: Request) -> Response:
        index = studio.desk.index(studio.home(request))
        index.catch_up()
        texts = "SELECT DISTINCT text FROM prompts WHERE origin != 'caption' ORDER BY text LIMIT ?"
        with studio.run(request) as run:
            rows = rows_of(run.table(stage.TABLE, SampledClip).all(), run.checkpoints.all())
            checkpoints = sorted(run.checkpoints.all(), key=lambda each: (each.step, each.key))
        begin = _whole(request.query_params.get("from"), 0)
        return studio.page(
            request,
            "generate.html.j2",
            rows=rows[begin : begin + PAGE_SIZE],
            num=len(rows),
            begin=begin,
            page_size=PAGE_SIZE,
            jobs=studio.queue.jobs(studio.home(request)),
            checkpoints=checkpoints,
            prompts=[text for (text,) in index.rows(texts, [MOST_TEXTS])],
            most_seeds=MOST_SEEDS,
            max_strength=MAX_STRENGTH,
            asked=request.query_params.get("prompt", "")[:2000],
        )

    async def ask(request: Request) -> Response:
        form = parse_qs((await body_of(request, _MAX_FORM)).decode("utf-8", "replace"), keep_blank_values=True)
        values = {name: each[-1] for name, each in form.items()}
        home = studio.home(request)
        if "stop" in values:
            studio.queue.stop(home, _whole(values["stop"], 0))
        else:
            try:
                wish = await asyncio.to_thread(_wish, home, values)
            except InputError as error:
                return studio.page(request, "problem.html.j2", status=400, problem=error.problem, steps=str(error))
            if studio.queue.add(wish) is None:
                raise HTTPException(429, "too many requests wait already: let some of them finish")
        return RedirectResponse(f"/run/{request.path_params['name']}/generate", status_code=303)

    def video(request: Request) -> Response:
        with studio.run(request) as run:
            found = run.table(stage.TABLE, SampledClip).get_many([request.path_params["key"]])
            if not found:
                raise HTTPException(404, "there is no such clip in this run")
            clip = next(iter(found.values()))
            headers = {"cache-control": "private, max-age=31536000, immutable"}
            return FileResponse(studio.desk.media.video(run, clip, "full"), media_type="video/mp4", headers=headers)

    async def changes(request: Request) -> StreamingResponse:
        return StreamingResponse(_stream(studio, studio.home(request)), media_type="text/event-stream")

    return [
        Route("/run/{name}/generate", page),
        Route("/run/{name}/generate", ask, methods=["POST"]),
        Route("/run/{name}/generate/changes", changes),
        Route("/run/{name}/generate/{key}/video.mp4", video),
    ]


def rows_of(clips: Sequence[SampledClip], checkpoints: Sequence[Checkpoint]) -> list[Row]:
    """Clips by prompt, sampler and seed, so that a row differs in nothing but the weights."""
    steps = {each.key: each.step for each in checkpoints}
    found: dict[tuple[str, str, str, int], dict[str, SampledClip]] = {}
    for clip in clips:
        shape = f"{clip.height_px} {clip.width_px} {clip.num_frames} {clip.fps}"
        label = _label(clip, steps)
        found.setdefault((clip.text, clip.sampler.model_dump_json(), shape, clip.seed), {})[label] = clip
    order = {BASE: -1.0}
    return [
        Row(text, seed, sorted(each.items(), key=lambda one: (order.get(one[0], one[1].step or 1e9), one[1].strength)))
        for (text, _, _, seed), each in sorted(found.items())
    ]


def _label(clip: SampledClip, steps: dict[str, int]) -> str:
    if clip.step == 0 or clip.strength == 0.0:
        return BASE
    step = steps.get(clip.checkpoint or "", clip.step)
    name = "other weights" if step is None else f"step {step}"
    return name if clip.strength == 1.0 else f"{name} x {clip.strength:g}"


def _wish(home: Path, values: dict[str, str]) -> Wish:
    """What a form asks for, checked as the command would, so that mistakes are told at once.

    Raises:
        InputError: a prompt that the model cannot read, or a number out of range.
        HTTPException: 400: no form of this page.
    """
    texts = tuple(
        dict.fromkeys(" ".join(line.split()) for line in values.get("prompt", "").splitlines() if line.strip())
    )
    checkpoint = values.get("checkpoint") or None
    try:
        seeds, first = int(values.get("seeds", "1")), int(values.get("first_seed", "0"))
        strength = float(values.get("strength", "1"))
    except ValueError as error:
        raise HTTPException(400, "seeds and strength are numbers") from error
    if not (1 <= seeds <= MOST_SEEDS and 0 <= first < 2**63 - MOST_SEEDS and 0.0 <= strength <= MAX_STRENGTH):
        raise HTTPException(400, f"seeds: 1 to {MOST_SEEDS}; strength: 0 to {MAX_STRENGTH:g}")
    recipe: Recipe = recipe_of(home)
    if not texts:
        raise InputError(
            "there is no prompt to sample", expected="one prompt in each line", next_step="type one, or pick one"
        )
    stage.check_texts(stage.Request(texts, seeds, first), recipe)
    with Run.view(home) as run:
        known = {each.key for each in run.checkpoints.all()}
    if checkpoint not in {None, BASE, *known}:
        raise HTTPException(400, "there is no such checkpoint in this run any more")
    return Wish(home, texts, seeds, first, checkpoint, strength)


async def body_of(request: Request, most: int) -> bytes:
    """The body of a request, of at most so many bytes.

    Raises:
        HTTPException: 413: it is larger.
    """
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise HTTPException(413, "that is too much at once")
    return found


async def _stream(studio: Studio, home: Path) -> AsyncIterator[str]:
    """An event each time that the queue has changed or a clip came; the first one at once."""
    last, number, silent_s = None, 0, 0.0
    while True:
        seen = studio.queue.version, await asyncio.to_thread(_num_sampled, studio, home)
        if seen != last:
            last, number, silent_s = seen, number + 1, 0.0
            yield f"data: {json.dumps({'number': number})}\n\n"
        elif silent_s >= _ALIVE_S:
            silent_s = 0.0
            yield ": alive\n\n"
        await asyncio.sleep(_EVERY_S)
        silent_s += _EVERY_S


def _num_sampled(studio: Studio, home: Path) -> int:
    def count() -> int:
        with Run.view(home) as run:
            return run.table(stage.TABLE, SampledClip).num_records()

    return studio.kept.get(home, "sampled", count)


def _whole(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else default
