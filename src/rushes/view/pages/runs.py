"""Runs: all of them in one list, live."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from rushes.view.studio import Studio
from rushes.view.summary import summary


def routes(studio: Studio) -> list[BaseRoute]:
    """`/`: the list."""

    def index(request: Request) -> Response:
        shelf = studio.shelf
        found = [
            studio.kept.get(home, "summary", partial(summary, name, shelf.label(home), home))
            for name, home in shelf.runs().items()
        ]
        found.sort(key=lambda each: (each.status is None, -each.status.started_at.timestamp() if each.status else 0.0))
        return studio.page(request, "runs.html.j2", runs=found, homes=[str(home) for home in shelf.homes])

    return [Route("/", index)]
