"""Prompts: written, kept, and refused with the reason; by dimension and by words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from rushes.records import Prompt
from rushes.store.run import Run
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
    key: str | None
    """Its record; None for a text that never became one."""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/run/NAME/prompts`."""

    def page(request: Request) -> Response:
        home, query = studio.home(request), request.query_params
        index = studio.desk.index(home)
        progress = index.catch_up()
        chosen = {name: query.get(name, "") for name in ("text", "dimension", "used_for", "fate")}
        begin = whole(request, "from", 0)
        where, values = _where(chosen)
        rows = [Row(*row) for row in index.rows(f"{_TEXTS} {where} {_ORDER}", [*values, PAGE_SIZE, begin])]
        with studio.run(request) as run:
            shown = _filled(run, rows)
        return studio.page(
            request,
            "prompts.html.j2",
            rows=shown,
            num=index.rows(f"SELECT count(*) FROM ({_TEXTS} {where})", values)[0][0],
            begin=begin,
            page_size=PAGE_SIZE,
            is_whole=progress.is_whole,
            chosen=chosen,
            link=lambda at: "?" + urlencode({**{k: v for k, v in chosen.items() if v}, "from": at}),
            dimensions=[name for (name,) in index.rows(f"SELECT DISTINCT dimension FROM ({_TEXTS}) ORDER BY 1")],
            uses={name: word for name, word in USES.items() if name not in ("watch", "real", "unknown")},
            tally=index.rows("SELECT reason, count(*) FROM refused GROUP BY reason ORDER BY count(*) DESC"),
        )

    return [Route("/run/{name}/prompts", page)]


_TEXTS: Final = """
SELECT text, dimension, used_for, refused, num_clips, score, key FROM (
    SELECT p.text, p.dimension, p.origin AS used_for,
        coalesce(
            (SELECT replace(r.reason, '_', ' ') || ': ' || r.detail FROM refused AS r WHERE r.prompt_key = p.key), ''
        ) AS refused,
        (SELECT count(*) FROM clips AS c WHERE c.prompt_key = p.key) AS num_clips,
        (SELECT avg(c.score) FROM clips AS c WHERE c.prompt_key = p.key) AS score,
        p.key
    FROM prompts AS p
    UNION ALL
    SELECT text, dimension, '', replace(reason, '_', ' ') || ': ' || detail, 0, NULL, NULL FROM refused
    WHERE prompt_key IS NULL OR prompt_key NOT IN (SELECT key FROM prompts)
)
"""
"""Every text: prompts, and what was refused before it became one."""
_ORDER: Final = "ORDER BY dimension, used_for, text LIMIT ? OFFSET ?"


def _where(chosen: dict[str, str]) -> tuple[str, list[Any]]:
    """A condition on `_TEXTS`, and its values."""
    parts, values = ["1"], list[Any]()
    for name in ("dimension", "used_for"):
        if chosen[name]:
            parts.append(f"{name} = ?")
            values.append(chosen[name])
    if chosen["fate"]:
        parts.append("refused != ''" if chosen["fate"] == "refused" else "refused = ''")
    for word in chosen["text"].lower().split()[:20]:
        parts.append("(instr(lower(text), ?) OR instr(lower(refused), ?))")
        values += [word, word]
    return f"WHERE {' AND '.join(parts)}", values


def _filled(run: Run, rows: list[Row]) -> list[Any]:
    """The rows of one page with what only the records have."""
    records = run.table("prompts", Prompt).get_many([row.key for row in rows if row.key is not None])
    return [(row, records.get(row.key or "")) for row in rows]
