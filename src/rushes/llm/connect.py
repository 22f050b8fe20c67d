"""From the recipe's name of a server to a client of it, with one cost meter for all who use the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rushes.errors import RecipeError, nearest
from rushes.llm.cache import Remembering, ReplyCache
from rushes.llm.chat import ChatModel
from rushes.llm.cost import CostMeter
from rushes.llm.server import ServerModel
from rushes.llm.server_key import secret_from
from rushes.recipe.models import ServerModelSpec
from rushes.recipe.runtime import ServerRuntime
from rushes.store.identity import canonical_json

if TYPE_CHECKING:
    from rushes.recipe.runtime import RuntimeSpec

_meters: dict[Path, CostMeter] = {}
"""One meter per file and process: writer, critic and judge of a run share a server's cap."""


def connect(spec: ServerModelSpec, runtime: RuntimeSpec) -> ChatModel:
    """The client of a server model; replies are cached in `runtime.cache_folder` if set.

    Raises:
        RecipeError: the server is unknown, its key is not in the environment, or the `openai` package is missing.
    """
    server = server_of(spec, runtime)
    secret = secret_from(server.key_env, spec.server)
    if runtime.cache_folder is None:
        return ServerModel(spec, server, secret, CostMeter(spec.server, server, None))
    folder = Path(runtime.cache_folder)
    cache = ReplyCache(folder / "replies")
    further = "" if spec.extra_body is None else f" {canonical_json(spec.extra_body)}"
    who = f"server {spec.server} {spec.model}{further}"
    client = ServerModel(spec, server, secret, _shared_meter(spec.server, server, folder), cache.keep_for(who))
    client.streak.has_answered = cache.knows(who)
    return Remembering(client, cache, who)


def server_of(spec: ServerModelSpec, runtime: RuntimeSpec) -> ServerRuntime:
    """The entry of `runtime.servers` that a model names.

    Raises:
        RecipeError: there is none.
    """
    server = runtime.servers.get(spec.server)
    if server is None:
        names = sorted(runtime.servers)
        near = nearest(spec.server, names)
        raise RecipeError(
            f"the recipe names the server {spec.server!r}, but does not define it",
            expected=f"one of {names}" if names else "an entry of that name in runtime.servers",
            got=spec.server,
            next_step=f"did you mean {near!r}?"
            if near
            else f"for example: --set runtime.servers.{spec.server}.url=http://localhost:8000/v1",
        )
    return server


def _file_name(server: str) -> str:
    return "".join(letter if letter.isalnum() else f"%{ord(letter):x}" for letter in server)[:80]


def _shared_meter(name: str, server: ServerRuntime, folder: Path) -> CostMeter:
    file = folder / f"cost-{_file_name(name)}.jsonl"
    found = _meters.get(file.resolve())
    if found is None or found.server != server or not file.exists():
        found = _meters[file.resolve()] = CostMeter(name, server, file)
    return found
