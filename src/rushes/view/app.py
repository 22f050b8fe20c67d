"""The app: every page's routes behind one guard. To add a page, write a module in `pages/` and name it here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib.resources import files
from types import ModuleType
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from rushes.errors import UserError
from rushes.view import live
from rushes.view.guard import Guard, Rules
from rushes.view.pages import clip, clips, compare, generate, pairs, prompts, run, runs, vote
from rushes.view.studio import Studio, Tab

PAGES: Final[tuple[ModuleType, ...]] = (runs, run, prompts, clips, clip, pairs, compare, generate, vote)
"""Modules with `routes(studio)`; one with a `TAB` stands in the navigation of every run, in this order."""


def make_app(studio: Studio, rules: Rules) -> Starlette:
    """The app that a server runs.

    Args:
        studio: the runs; its tabs are filled in here.
        rules: who may ask for what.
    """
    tabs: tuple[Tab, ...] = tuple(page.TAB for page in PAGES if hasattr(page, "TAB"))
    studio = dataclasses.replace(studio, tabs=tabs)
    found = [route for page in (*PAGES, live) for route in page.routes(studio)]
    static = StaticFiles(
        directory=str(files("rushes.view").joinpath("static")), packages=[("rushes.display", "static")]
    )
    app = Starlette(
        routes=[*found, Mount("/static", static)],
        middleware=[Middleware(Guard, rules=rules)],
        exception_handlers=_handlers(studio),
    )
    app.state.studio = studio
    return app


def _handlers(studio: Studio) -> dict[Any, Callable[[Request, Exception], Response]]:
    def refused(request: Request, error: Exception) -> Response:
        """A page that does not exist, or a wrong value in an address."""
        assert isinstance(error, HTTPException)
        return studio.page(request, "problem.html.j2", status=error.status_code, problem=error.detail, steps="")

    def unusable(request: Request, error: Exception) -> Response:
        """A run folder that cannot be read: what is wrong, and what to type."""
        assert isinstance(error, UserError)
        return studio.page(request, "problem.html.j2", status=500, problem=error.problem, steps=str(error))

    return {HTTPException: refused, UserError: unusable}
