"""Vote: blind pairs, one at a time; how far each rater is; the result. Voting needs `--write`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qs

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from rushes.errors import InputError, StoreError, UserError
from rushes.statistics.power import POWER
from rushes.statistics.votes import SHARED_TASTE, TIES, pairs_needed, smallest_win_rate
from rushes.store.recipe_copy import recipe_of
from rushes.view.pages.generate import body_of
from rushes.view.studio import Studio, Tab
from rushes.vote.folder import PAGE, folder_of, for_raters, keep_study, studies, the_study
from rushes.vote.pairs import Wanted, make_study
from rushes.vote.records import OVERALL, Replies, Study, VoteResult
from rushes.vote.replies import MAX_BYTES, all_replies, keep, parsed, replies_of
from rushes.vote.result import BY_DIMENSION, keep_result, vote_result
from rushes.vote.section import number, share

TAB: Final = Tab("vote", "Vote")
MOST_PROMPTS: Final = 100
_SHARED: Final = {"vote.js": "text/javascript", "vote.css": "text/css"}


@dataclass(frozen=True)
class Shown:
    """A study as the list shows it."""

    study: Study
    replies: Sequence[Replies]
    result: VoteResult | None
    """None without votes."""
    problem: str
    """Why there is no result."""

    @property
    def num_asked(self) -> int:
        """Votes that each rater is asked for."""
        return sum(len(pair.questions) for pair in self.study.pairs)

    @property
    def num_pairs(self) -> int:
        """Pairs that count."""
        return sum(pair.check is None for pair in self.study.pairs)


def routes(studio: Studio) -> list[BaseRoute]:
    """`/run/NAME/vote`: all studies; and what belongs to one."""

    def overview(request: Request) -> Response:
        home = studio.home(request)
        shown = [_shown(studio, request, each) for each in studies(home)]
        needed = {rate: pairs_needed(rate, 3) for rate in (0.55, 0.6, 0.65, 0.7, 0.8)}
        return studio.page(
            request,
            "vote.html.j2",
            studies=shown,
            needed=needed,
            power=POWER,
            ties=TIES,
            taste=SHARED_TASTE,
            smallest={each.study.study: smallest_win_rate(each.num_pairs, 3) for each in shown},
            share=share,
            number=number,
            names={OVERALL: "All in all", BY_DIMENSION: "In the dimension of each prompt"},
            most_prompts=MOST_PROMPTS,
        )

    async def make(request: Request) -> Response:
        form = parse_qs((await body_of(request, 4096)).decode("utf-8", "replace"))
        values = {name: each[-1] for name, each in form.items()}
        return await asyncio.to_thread(_make, studio, request, values)

    def shared(request: Request) -> Response:
        name = request.path_params["file"]
        if name not in _SHARED:
            raise HTTPException(404, "there is no such file")
        text = files("rushes.vote").joinpath(f"templates/{name}").read_text("utf-8")
        return Response(text, media_type=_SHARED[name])

    return [
        Route("/voting/{file}", shared),
        Route("/run/{name}/vote", overview),
        Route("/run/{name}/vote", make, methods=["POST"]),
        *_of_study(studio),
    ]


def _of_study(studio: Studio) -> list[BaseRoute]:
    """`/run/NAME/vote/STUDY`: its page, its clips, and what raters say."""

    def voting(request: Request) -> Response:
        study = _study(studio, request)
        if not studio.may_write:
            raise HTTPException(403, "this server only reads: to vote here start it with rushes view --write")
        at = request.url.path
        data = {**for_raters(study), "post": f"{at}/replies", "media": f"{at}/"}
        text = json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e")
        parts = files("rushes.vote").joinpath("templates/vote_body.html.j2").read_text("utf-8")
        return studio.page(request, "voting.html.j2", data=Markup(text), parts=Markup(parts))

    def replies(request: Request) -> Response:
        study = _study(studio, request)
        found = _told(lambda: replies_of(studio.home(request), study, request.query_params.get("rater", "")))
        return found if isinstance(found, Response) else JSONResponse(found.model_dump(mode="json"))

    async def store(request: Request) -> Response:
        try:
            body = await body_of(request, MAX_BYTES)
        except HTTPException as error:  # as text: a script shows it
            return PlainTextResponse(error.detail, status_code=error.status_code)
        study = await asyncio.to_thread(_study, studio, request)

        def take() -> Replies:
            found = parsed(body, study, "these votes")
            keep(studio.home(request), study, found)
            return found

        found = await asyncio.to_thread(_told, take)
        return found if isinstance(found, Response) else JSONResponse({"stored": len(found.replies)})

    def clip(request: Request) -> Response:
        study, file = _study(studio, request), request.path_params["file"]
        names = {f"{pair.name}-{side}.mp4" for pair in study.pairs for side in ("left", "right")}
        path = folder_of(studio.home(request), study.study) / PAGE / "clips" / file
        if file not in names or not path.is_file():
            raise HTTPException(404, "there is no such clip in this study")
        return FileResponse(path, media_type="video/mp4", headers={"cache-control": "private, max-age=86400"})

    at = "/run/{name}/vote/{study}"
    return [
        Route(at, voting),
        Route(f"{at}/replies", replies),
        Route(f"{at}/replies", store, methods=["POST"]),
        Route(f"{at}/clips/{{file}}", clip),
    ]


def _study(studio: Studio, request: Request) -> Study:
    """The study that the address names.

    Raises:
        HTTPException: 404: there is none of that name.
    """
    home, name = studio.home(request), request.path_params["study"]
    found = {each.study: each for each in studies(home)}
    if name not in found:
        raise HTTPException(404, "there is no such study in this run")
    return found[name]


def _told(act: Callable[[], Replies]) -> Replies | Response:
    """What `act` gives, or what is wrong as text for the page's script to show."""
    try:
        return act()
    except InputError as error:
        return PlainTextResponse(error.problem, status_code=400)
    except StoreError as error:
        return PlainTextResponse(error.problem, status_code=500)


def _shown(studio: Studio, request: Request, study: Study) -> Shown:
    home = studio.home(request)
    replies = all_replies(home, study)
    if not replies:
        return Shown(study, replies, None, "nobody has voted yet")
    try:
        with studio.run(request) as run:
            return Shown(study, replies, vote_result(run, recipe_of(home), study, replies), "")
    except UserError as error:
        return Shown(study, replies, None, error.problem)


def _make(studio: Studio, request: Request, values: dict[str, str]) -> Response:
    """Write a study, or store the result of one for the report."""
    home, name = studio.home(request), request.path_params["name"]
    with studio.run(request) as run:
        recipe = recipe_of(home)
        if "keep" in values:
            study = the_study(home, values["keep"])
            replies = all_replies(home, study)
            keep_result(run, study, vote_result(run, recipe, study, replies), replies)
        else:
            num = values.get("num", "10")
            if not (num.isdecimal() and 1 <= int(num) <= MOST_PROMPTS):
                raise HTTPException(400, f"prompts of each dimension: 1 to {MOST_PROMPTS}")
            of = "takes" if values.get("of") == "takes" else "models"
            study = make_study(run, recipe, Wanted(of=of, num=int(num)))  # type: ignore[arg-type]
            keep_study(run, study)
    return RedirectResponse(f"/run/{name}/vote", status_code=303)
