"""Clips: all of a run in one list that is drawn as far as it is seen, filtered and sorted by the index."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from rushes.errors import RecipeError, StoreError
from rushes.plain import safe
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.view.choice import SORTS, Choice
from rushes.view.index import Index
from rushes.view.names import USES, model_name, model_names
from rushes.view.studio import Studio, Tab

TAB: Final = Tab("clips", "Clips")
MOST_ROWS: Final = 200
"""Clips in one answer."""
PAGE_SIZE: Final = 20_000
"""Clips in one list: a browser cannot scroll further than some millions of pixels."""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/run/NAME/clips` and the rows that its list asks for."""

    def clips(request: Request) -> Response:
        home = studio.home(request)
        index = studio.desk.index(home)
        progress = index.catch_up()
        choice, begin = Choice.of(request.query_params), whole(request, "from", 0)
        num = count(index, choice)
        names = names_of(studio, home)
        return studio.page(
            request,
            "clips.html.j2",
            choice=choice,
            sorts=SORTS,
            num=num,
            begin=begin,
            shown=max(0, min(PAGE_SIZE, num - begin)),
            page_size=PAGE_SIZE,
            ratio=studio.kept.get(home, "ratio", lambda: ratio_of(home)),
            progress=progress,
            facets=_facets(index, names),
            uses=USES,
        )

    def rows(request: Request) -> Response:
        home = studio.home(request)
        index = studio.desk.index(home)
        progress = index.catch_up()
        choice = Choice.of(request.query_params)
        offset, limit = whole(request, "offset", 0), min(MOST_ROWS, whole(request, "limit", MOST_ROWS))
        found = listed(index, choice, names_of(studio, home), offset, limit) if limit else []
        return JSONResponse({"count": count(index, choice), "is_whole": progress.is_whole, "rows": found})

    return [Route("/run/{name}/clips", clips), Route("/run/{name}/clips/rows", rows)]


def names_of(studio: Studio, home: Path) -> dict[str, str]:
    """What the run's checkpoints are called."""

    def make() -> dict[str, str]:
        with Run.view(home) as run:
            return model_names(run)

    return studio.kept.get(home, "models", make)


def ratio_of(home: Path) -> float:
    """Height over width of the run's clips, for the cards of the list; 3/4 where its recipe cannot be read."""
    try:
        shape = recipe_of(home).shape
    except (RecipeError, StoreError):
        return 0.75
    return min(1.5, max(0.4, shape.height_px / shape.width_px))


def whole(request: Request, name: str, default: int) -> int:
    """A number from 0 in the address; the default where there is none that can be read."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def count(index: Index, choice: Choice) -> int:
    """How many clips are chosen."""
    where, values = choice.where()
    return int(index.rows(f"SELECT count(*) FROM clips WHERE {where}", values)[0][0])


_FIELDS: Final = ("key", "text", "dimension", "used_for", "take", "model", "score", "measured", "weight", "has_frames")


def listed(index: Index, choice: Choice, names: dict[str, str], offset: int, limit: int) -> list[dict[str, Any]]:
    """The chosen clips from `offset` on, as JSON values; texts are safe to show as text."""
    where, values = choice.where()
    found = index.rows(
        f"SELECT {', '.join(_FIELDS)} FROM clips WHERE {where} ORDER BY {choice.order} LIMIT ? OFFSET ?",
        [*values, limit, offset],
    )
    return [_row(dict(zip(_FIELDS, row, strict=True)), names) for row in found]


def _row(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {
        **values,
        "text": safe(values["text"] or ""),
        "dimension": safe(values["dimension"].replace("_", " ")),
        "used_for": USES.get(values["used_for"], values["used_for"]),
        "model": model_name(values["model"], names),
        "has_frames": bool(values["has_frames"]),
    }


def _facets(index: Index, names: dict[str, str]) -> dict[str, list[tuple[str, str, int]]]:
    """The values that a filter can have: value, what it is called, how many clips."""

    def of(column: str) -> list[tuple[Any, int]]:
        statement = f"SELECT {column}, count(*) FROM clips GROUP BY {column} ORDER BY {column}"
        return [(value, num) for value, num in index.rows(statement)]

    return {
        "dimension": [(value, value.replace("_", " "), num) for value, num in of("dimension")],
        "used_for": [(value, USES.get(value, value), num) for value, num in of("used_for")],
        "model": sorted(((value, model_name(value, names), num) for value, num in of("model")), key=lambda row: row[1]),
        "take": [(str(value), str(value + 1), num) for value, num in of("take")],
    }
