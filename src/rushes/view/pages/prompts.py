"""Prompts: written, kept, and refused with the reason; by dimension and by words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from rushes.errors import StoreError
from rushes.records import Prompt, Question, Rejection
from rushes.store.run import Run
from rushes.view.index import Index
from rushes.view.names import USES
from rushes.view.pages.clips import whole
from rushes.view.studio import Studio, Tab

TAB: Final = Tab("prompts", "Prompts")
PAGE_SIZE: Final = 100


@dataclass(frozen=True)
class Row:
    """A text, with what became of it."""

    text: str
    dimension: str
    used_for: str
    """What it is for; empty for a text that was refused before it had a record."""
    refused: str
    """Why it was refused; empty for one that is kept."""
    num_clips: int
    score: float | None
    """Mean of the judge's scores of its clips."""
    key: str | None = None
    questions: tuple[Question, ...] = ()
    base_text: str = ""
    source: str = ""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/run/NAME/prompts`."""

    def page(request: Request) -> Response:
        home, query = studio.home(request), request.query_params
        index = studio.desk.index(home)
        index.catch_up()
        chosen = {name: query.get(name, "") for name in ("text", "dimension", "used_for", "fate")}
        begin = whole(request, "from", 0)
        with studio.run(request) as run:
            refused = _rejections(run)
            rows = _rows(index, refused, chosen)
            shown = _filled(run, rows[begin : begin + PAGE_SIZE])
        return studio.page(
            request,
            "prompts.html.j2",
            rows=shown,
            num=len(rows),
            begin=begin,
            page_size=PAGE_SIZE,
            chosen=chosen,
            link=lambda at: "?" + urlencode({**{k: v for k, v in chosen.items() if v}, "from": at}),
            dimensions=sorted({row.dimension for row in _rows(index, refused, {})}),
            uses={name: word for name, word in USES.items() if name not in ("watch", "real", "unknown")},
            tally=Counter(each.reason for each in refused).most_common(),
        )

    return [Route("/run/{name}/prompts", page)]


def _rejections(run: Run) -> list[Rejection]:
    try:
        return run.read_derived("rejections", Rejection) or []
    except StoreError:
        return []


def _rows(index: Index, refused: list[Rejection], chosen: dict[str, str]) -> list[Row]:
    """All texts that fit, refused ones first among those of a dimension, then by words."""
    why = {each.prompt_key: _reason(each) for each in refused if each.prompt_key is not None}
    found = index.rows(
        "SELECT p.key, p.text, p.dimension, p.origin, count(c.key), avg(c.score) FROM prompts AS p "
        "LEFT JOIN clips AS c ON c.prompt_key = p.key GROUP BY p.key"
    )
    rows = [
        Row(text, dimension, origin, why.get(key, ""), num, score, key)
        for key, text, dimension, origin, num, score in found
    ]
    known = {row.key for row in rows}
    rows += [
        Row(each.text, each.dimension, "", _reason(each), 0, None) for each in refused if each.prompt_key not in known
    ]
    words = chosen.get("text", "").lower().split()
    return sorted(
        (row for row in rows if _fits(row, chosen, words)), key=lambda row: (row.dimension, row.used_for, row.text)
    )


def _fits(row: Row, chosen: dict[str, str], words: list[str]) -> bool:
    return (
        all(word in row.text.lower() or word in row.refused.lower() for word in words)
        and chosen.get("dimension", "") in ("", row.dimension)
        and chosen.get("used_for", "") in ("", row.used_for)
        and chosen.get("fate", "") in ("", "refused" if row.refused else "kept")
    )


def _filled(run: Run, rows: list[Row]) -> list[Any]:
    """The rows of one page with what only the records have."""
    records = run.table("prompts", Prompt).get_many([row.key for row in rows if row.key is not None])
    return [(row, records.get(row.key or "")) for row in rows]


def _reason(each: Rejection) -> str:
    return f"{each.reason.replace('_', ' ')}: {each.detail}"
