"""One clip: full size, every question with what judge and measurer say, the other takes of its prompt, its pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from rushes.records import Answer, Clip, Measurement, Prompt, Rating, Sample, Scored, Vote
from rushes.store.run import Run
from rushes.view.choice import Choice
from rushes.view.index import Index
from rushes.view.names import USES, model_name, model_names
from rushes.view.pages.clips import count, listed, whole
from rushes.view.studio import Studio

T = TypeVar("T", Answer, Rating)
_FOR_EVER: Final = {"cache-control": "private, max-age=31536000, immutable"}
"""Of videos: their address names their content."""


@dataclass(frozen=True)
class Said:
    """A question about a clip, with both programs' words.

    Example: `Said("Is the ball red?", "yes", p_yes=0.93, p_expected=0.93, measured=1.0, unscored="")`.
    """

    question: str
    expected: Literal["yes", "no"]
    p_yes: float | None
    p_expected: float | None
    measured: float | None
    unscored: str
    """Why the judge has no answer."""

    @property
    def is_apart(self) -> bool:
        """Whether judge and measurer are on different sides of one half."""
        known = self.p_expected is not None and self.measured is not None
        return known and (self.p_expected >= 0.5) != (self.measured >= 0.5)  # type: ignore[operator]


def routes(studio: Studio) -> list[BaseRoute]:
    """`/run/NAME/clip/KEY`, its video and its still."""

    def clip(request: Request) -> Response:
        index = studio.desk.index(studio.home(request))
        progress = index.catch_up()
        with studio.run(request) as run:
            found = clip_of(run, index, request.path_params["key"])
            prompt = run.prompts.get_many([found.prompt_key]).get(found.prompt_key)
            names = model_names(run)
            return studio.page(
                request,
                "clip.html.j2",
                clip=found,
                prompt=prompt,
                model=model_name(found.model, names),
                used_for=USES.get(_used_for(index, found.key), ""),
                score=next(
                    iter(index.rows("SELECT score, measured FROM clips WHERE key = ?", [found.key])), (None, None)
                ),
                is_whole=progress.is_whole,
                said=said(run, index, found, prompt),
                ratings=_read(run, index, found.key, Rating),
                measurements=_measurements(run, index, found.key),
                takes=_takes(index, found),
                samples=_samples(index, found),
                votes=_votes(run, index, found),
                around=_around(request, index, names),
                back=Choice.of(request.query_params).query(),
            )

    def video(request: Request) -> Response:
        size: Literal["small", "full"] = "full" if request.query_params.get("size") == "full" else "small"
        with studio.run(request) as run:
            found = clip_of(run, studio.desk.index(run.home), request.path_params["key"])
            return FileResponse(studio.desk.media.video(run, found, size), media_type="video/mp4", headers=_FOR_EVER)

    def still(request: Request) -> Response:
        with studio.run(request) as run:
            found = clip_of(run, studio.desk.index(run.home), request.path_params["key"])
            return FileResponse(studio.desk.media.still(run, found), media_type="image/webp", headers=_FOR_EVER)

    return [
        Route("/run/{name}/clip/{key}", clip),
        Route("/run/{name}/clip/{key}/video.mp4", video),
        Route("/run/{name}/clip/{key}/still.webp", still),
    ]


def clip_of(run: Run, index: Index, key: str) -> Clip:
    """The clip with that key.

    Raises:
        HTTPException: 404: there is none.
    """
    for table in (run.clips, run.table("watch_clips", Clip)):
        found = table.get_many([key]).get(key)
        if found is not None:
            return found
    raise HTTPException(404, "there is no such clip in this run")


def said(run: Run, index: Index, clip: Clip, prompt: Prompt | None) -> list[Said]:
    """Every question of the clip's prompt, in asking order, then any other that was answered."""
    answers = {each.question.text: each for each in _read(run, index, clip.key, Answer)}
    parts = {
        part.name: part.value
        for each in _measurements(run, index, clip.key)
        if len(each.subject) == 1 and isinstance(each.outcome, Scored)
        for part in each.outcome.parts
    }
    questions = {each.text: each for each in (prompt.questions if prompt is not None else ())}
    questions |= {text: each.question for text, each in answers.items() if text not in questions}
    found = []
    for text, question in questions.items():
        answer = answers.get(text)
        p_yes = answer.p_yes if answer is not None else None
        p_expected = None if p_yes is None else question.p_expected(p_yes)
        why = "not asked" if answer is None else answer.unscored_reason or ""
        found.append(Said(text, question.expected, p_yes, p_expected, parts.get(text), why))
    return found


def _read(run: Run, index: Index, clip_key: str, kind: type[T]) -> list[T]:
    """What judges said about a clip, from the tables of the run and of its watch."""
    table = "answers" if kind is Answer else "ratings"
    found: list[T] = []
    for name in (table, f"watch_{table}"):
        statement = "SELECT key FROM answers WHERE clip_key = ? AND source = ? ORDER BY rowid"
        keys = [key for (key,) in index.rows(statement, [clip_key, name])]
        found += run.table(name, kind).get_many(keys).values()
    return found


def _measurements(run: Run, index: Index, clip_key: str) -> list[Measurement]:
    found: list[Measurement] = []
    for name in ("measurements", "watch_measurements"):
        statement = "SELECT key FROM measurements WHERE clip_key = ? AND source = ?"
        found += (
            run.table(name, Measurement).get_many([key for (key,) in index.rows(statement, [clip_key, name])]).values()
        )
    return found


def _used_for(index: Index, key: str) -> str:
    rows = index.rows("SELECT used_for FROM clips WHERE key = ?", [key])
    return str(rows[0][0]) if rows else "unknown"


@dataclass(frozen=True)
class Take:
    """A take of the same prompt by the same weights."""

    key: str
    number: int
    """From 1."""
    score: float | None
    measured: float | None
    weight: float | None
    has_frames: bool
    preference: float | None
    """1 to move towards it, 0 away from it; None without a score."""
    partner: int | None
    """Number of the take that it is paired with."""


def _takes(index: Index, clip: Clip) -> list[Take]:
    statement = (
        "SELECT c.key, take + 1, score, measured, weight, has_frames, json_extract(s.body, '$.preference'), "
        "(SELECT p.take + 1 FROM clips AS p WHERE p.key = json_extract(s.body, '$.partner')) FROM clips AS c "
        "LEFT JOIN samples AS s ON s.clip_key = c.key "
        "WHERE prompt_key = ? AND model = ? GROUP BY c.key ORDER BY take LIMIT 64"
    )
    return [Take(*row) for row in index.rows(statement, [clip.prompt_key, clip.model])]


def _samples(index: Index, clip: Clip) -> list[tuple[int, Sample]]:
    """Round, from 1, and what training reads of the clip."""
    rows = index.rows("SELECT round, body FROM samples WHERE clip_key = ? ORDER BY round", [clip.key])
    return [(number + 1, Sample.model_validate_json(body)) for number, body in rows]


def _votes(run: Run, index: Index, clip: Clip) -> list[tuple[int, float | None, str]]:
    """Comparisons with other takes: number of the other, probability that this one is better, or why there is none."""
    statement = "SELECT key FROM votes WHERE (clip_key = ?1 OR other_key = ?1) AND source = ?2 ORDER BY rowid LIMIT 200"
    numbers = {
        key: take + 1 for key, take in index.rows("SELECT key, take FROM clips WHERE prompt_key = ?", [clip.prompt_key])
    }
    found = []
    for name in ("votes", "watch_votes"):
        keys = [key for (key,) in index.rows(statement, [clip.key, name])]
        for vote in run.table(name, Vote).get_many(keys).values():
            is_first = vote.clip_key == clip.key
            p = None if vote.p_first is None else vote.p_first if is_first else 1 - vote.p_first
            found.append((numbers.get(vote.other_key if is_first else vote.clip_key, 0), p, vote.unscored_reason or ""))
    return found


def _around(request: Request, index: Index, names: dict[str, str]) -> dict[str, str]:
    """Addresses of the clips before and after this one in the list that it was opened from."""
    if "at" not in request.query_params:
        return {}
    choice, at, name = Choice.of(request.query_params), whole(request, "at", 0), request.path_params["name"]
    begin = max(0, at - 1)
    rows = listed(index, choice, names, begin, at - begin + 2)
    found: dict[str, str] = {}
    for offset, row in enumerate(rows, start=begin):
        word = "before" if offset == at - 1 else "after" if offset == at + 1 else ""
        if word:
            found[word] = f"/run/{name}/clip/{row['key']}?{choice.query(at=offset)}"
    return found | {"place": f"{at + 1} of {count(index, choice)}"}


__all__ = ["clip_of", "routes", "said"]
