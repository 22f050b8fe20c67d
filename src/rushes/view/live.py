"""Server-sent events: a page learns that a run has changed, and fetches itself again. Nothing is locked or opened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import BaseRoute, Route

from rushes.view.files import fingerprint
from rushes.view.studio import Studio

_EVERY_S: Final = 1.0
"""How often the files of a run are looked at."""
_ALIVE_S: Final = 15.0
"""After how long a silent stream says that it is alive, so that a connection that is gone is noticed."""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/changes` for all runs and `/run/NAME/changes` for one."""

    async def changes(request: Request) -> StreamingResponse:
        one = studio.home(request) if "name" in request.path_params else None
        return StreamingResponse(_stream(studio, one), media_type="text/event-stream")

    return [Route("/changes", changes), Route("/run/{name}/changes", changes)]


async def _stream(studio: Studio, one: Path | None) -> AsyncIterator[str]:
    """An event with a new number each time that a run has changed; the first one at once."""
    number, last, silent_s = 0, None, 0.0
    while True:
        homes = [one] if one is not None else list((await asyncio.to_thread(studio.shelf.runs)).values())
        seen = await asyncio.to_thread(fingerprint, homes)
        if seen != last:
            last, number, silent_s = seen, number + 1, 0.0
            yield f"data: {json.dumps({'number': number})}\n\n"
        elif silent_s >= _ALIVE_S:
            silent_s = 0.0
            yield ": alive\n\n"
        await asyncio.sleep(_EVERY_S)
        silent_s += _EVERY_S
