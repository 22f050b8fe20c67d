"""What every page of the studio receives: the runs, the templates, whether it may write; and how a page is made."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from rushes.display import words
from rushes.plain import safe
from rushes.store.run import Run
from rushes.view.desk import Desk
from rushes.view.files import Kept
from rushes.view.jobs import Queue
from rushes.view.shelf import Shelf


@dataclass(frozen=True)
class Tab:
    """A page of a run in its navigation.

    Example: `Tab("clips", "Clips")` for `/run/NAME/clips`.
    """

    path: str
    """Last part of its address; empty for the run's first page."""
    title: str
    """What the link says."""


@dataclass(frozen=True, eq=False)
class Studio:
    """The app's state; one for all requests, which come from several threads."""

    shelf: Shelf
    """The runs."""
    may_write: bool = False
    """Whether the server was started with `--write`."""
    tabs: Sequence[Tab] = ()
    """The pages of a run, in order."""
    templates: Environment = field(default_factory=lambda: environment())
    """Every text that a template inserts is escaped, without control characters and without keys."""

    kept: Kept = field(default_factory=Kept)
    """What was made from run folders that have not changed since."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the server ends: streams end then too, instead of being cut off."""
    desk: Desk = field(default_factory=Desk)
    """Indexes, videos and stills, in a temporary folder."""
    queue: Queue = field(default_factory=Queue)
    """Samples that were asked for."""

    def close(self) -> None:
        """End what works for the server, and delete what it made for itself."""
        self.queue.close()
        self.desk.close()

    def home(self, request: Request) -> Path:
        """The run folder that the address names.

        Raises:
            HTTPException: 404: there is none of that name.
        """
        home = self.shelf.home(request.path_params["name"])
        if home is None:
            raise HTTPException(404, "there is no such run here any more")
        return home

    @contextlib.contextmanager
    def run(self, request: Request) -> Iterator[Run]:
        """The run that the address names, open for reading until the block ends; SQLite opens it read-only.

        Raises:
            HTTPException: 404: there is none of that name.
            StoreError: it is damaged, or of a newer version.
        """
        with Run.view(self.home(request)) as run:
            yield run

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page from a template, which extends `base.html.j2`.

        Args:
            request: what is answered; a page of a run gets `name` (in addresses), `label` and `tabs` besides.
            template: its file name.
            status: of the answer.
            values: what the template shows.
        """
        name = request.path_params.get("name")
        home = self.shelf.home(name) if name is not None else None
        of_run = {"name": name, "label": self.shelf.label(home), "tabs": self.tabs} if home is not None else {}
        shared = {"may_write": self.may_write, "path": request.url.path, "name": None, **of_run}
        return HTMLResponse(self.templates.get_template(template).render({**shared, **values}), status_code=status)


def environment() -> Environment:
    """The templates of the studio."""
    made = Environment(
        loader=PackageLoader("rushes.view", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.filters.update(
        readable=words.readable,
        score=words.score,
        signed=words.signed,
        percent=words.percent,
        figure=words.figure,
        duration=words.duration,
    )
    return made


def _shown(value: object) -> object:
    """Texts of users and models without what would move a cursor, turn a line around, or give a key away."""
    return safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value
