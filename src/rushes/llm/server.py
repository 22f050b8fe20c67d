"""Chat over OpenAI-compatible servers: bounded concurrency, retries, a hard cost cap, and no key in any message."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rushes.errors import RecipeError, UserError
from rushes.llm.cache import Remembering, ReplyCache
from rushes.llm.chat import TOO_LONG, ChatModel, ChatReply, ChatRequest, Keep
from rushes.llm.cost import CostMeter, most
from rushes.llm.retry import AGAIN, asked_wait_s, backoff_s
from rushes.llm.secrets import Secret, secret_from
from rushes.llm.wire import BadReply, Body, body_of, is_too_long, refused_setting, reply_from, without
from rushes.recipe.models import ServerModelSpec
from rushes.recipe.runtime import ServerRuntime
from rushes.roles import Failed

if TYPE_CHECKING:
    from rushes.recipe.runtime import RuntimeSpec

_SHOWN: Final = 300
INSTALL: Final = "pip install -c constraints.txt 'rushes[servers]'"
"""Install command for the `openai` package."""
_meters: dict[Path, CostMeter] = {}
"""One meter per file and process: writer, critic and judge of a run share a server's cap."""


class ServerError(UserError):
    """A server that cannot be used at all: down, access denied, out of quota, or without that model."""


def connect(spec: ServerModelSpec, runtime: RuntimeSpec) -> ChatModel:
    """The client of a server model; replies are cached in `runtime.cache_folder` if set.

    Raises:
        RecipeError: the server is unknown, its key is not in the environment, or the `openai` package is missing.
    """
    server = runtime.servers.get(spec.server)
    if server is None:
        names = sorted(runtime.servers)
        near = get_close_matches(spec.server, names, n=1)
        raise RecipeError(
            f"the recipe names the server {spec.server!r}, but does not define it",
            expected=f"one of {names}" if names else "an entry of that name in runtime.servers",
            got=spec.server,
            next_step=f"did you mean {near[0]!r}?"
            if near
            else f"for example: --set runtime.servers.{spec.server}.url=http://localhost:8000/v1",
        )
    folder = None if runtime.cache_folder is None else Path(runtime.cache_folder)
    meter = CostMeter(spec.server, server, None) if folder is None else _shared_meter(spec.server, server, folder)
    client = ServerModel(spec, server, secret_from(server.key_env, spec.server), meter)
    if folder is None:
        return client
    return Remembering(client, ReplyCache(folder / "replies"), f"server {spec.server} {spec.model}")


def _file_name(server: str) -> str:
    return "".join(letter if letter.isalnum() else f"%{ord(letter):x}" for letter in server)[:80]


def _shared_meter(name: str, server: ServerRuntime, folder: Path) -> CostMeter:
    file = folder / f"cost-{_file_name(name)}.jsonl"
    found = _meters.get(file.resolve())
    if found is None or found.server != server or not file.exists():
        found = _meters[file.resolve()] = CostMeter(name, server, file)
    return found


class _Refused(Exception):
    """One request failed; others may still succeed."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.failed = Failed(kind, said, retry="useless" if kind == TOO_LONG else "counted")


class ServerModel:
    """`ChatModel` over a server. Retries, waits and rejections of a request are decided here and in `retry`."""

    def __init__(self, spec: ServerModelSpec, server: ServerRuntime, secret: Secret, meter: CostMeter) -> None:
        """Prepare the client; nothing is sent.

        Raises:
            RecipeError: the `openai` package is missing.
        """
        self.spec = spec
        self.server = server
        self.secret = secret
        self.meter = meter
        self._openai = _import_openai()
        self._client = self._openai.OpenAI(
            base_url=server.url, api_key=secret.value or "none", timeout=server.timeout_s, max_retries=0
        )
        self._not_taken: frozenset[str] = frozenset()
        self._draw = random.Random()
        self._stop = threading.Event()

    @property
    def name(self) -> str:
        """The model's name on the server."""
        return self.spec.model

    def reply(self, requests: Sequence[ChatRequest], keep: Keep | None = None) -> list[ChatReply | Failed]:
        """One reply or `Failed` per request, in order; at most `max_concurrent` at once, kept as they arrive.

        Raises:
            ServerError: the server is down, rejects the key, lacks the model, or asks for a longer pause than allowed.
            CostCapReached: the next request might exceed the cap.
        """
        self._stop.clear()
        pool = ThreadPoolExecutor(self.server.max_concurrent, thread_name_prefix="rushes-server")
        try:
            futures = [pool.submit(self._one, request, keep) for request in requests]
            return [future.result() for future in futures]
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _one(self, request: ChatRequest, keep: Keep | None) -> ChatReply | Failed:
        try:
            reply = self._tried(request)
        except _Refused as refused:
            return refused.failed
        if keep is not None:
            keep(request, reply)
        return reply

    def _tried(self, request: ChatRequest) -> ChatReply:
        body = body_of(request, self.spec.model)
        attempt = 0
        while True:
            sent = without(body, self._not_taken)
            with self.meter.room_for(request):
                try:
                    return self._sent(request, sent)
                except self._openai.APIStatusError as error:
                    problem: Exception = error
                    asked = self._after_status(error, sent)
                except (self._openai.APIConnectionError, BadReply) as error:
                    if isinstance(error, self._openai.APITimeoutError):
                        # It is unknown whether it was processed and billed.
                        self.meter.record(most(request))
                    problem, asked = error, 0.0
            if asked is None:
                continue
            attempt += 1
            if attempt > self.server.num_retries:
                raise self._given_up(problem, attempt) from None
            if asked > self.server.max_wait_s:
                raise self._error(f"asks for a pause of {asked:.0f} s", "a shorter pause", problem) from None
            if self._stop.wait(max(asked, backoff_s(attempt, self.server.max_wait_s, self._draw))):
                raise _Refused("Stopped", "another request of the same call could not be answered at all")

    def _sent(self, request: ChatRequest, body: Body) -> ChatReply:
        response = self._client.chat.completions.with_raw_response.create(**body)
        reply, usage = reply_from(response.http_response.text, request.num_logprobs)
        self.meter.record(usage or most(request))
        return reply

    def _after_status(self, error: Any, sent: Body) -> float | None:
        """Seconds to wait at least before the next try; None to send a simpler request at once.

        Raises if no further try would help.
        """
        said = self._hidden(error)
        if error.status_code in AGAIN:
            return asked_wait_s(error.response.headers) or 0.0
        if error.status_code in (401, 403):
            raise self._error("rejects the key" if self.secret.value else "needs a key", "a valid key", error) from None
        if error.status_code == 404:
            raise self._error("has no such model or address", "the model's name on that server", error) from None
        if error.status_code == 413 or is_too_long(said):
            raise _Refused(TOO_LONG, f"longer than the model reads: {said}") from None
        setting = refused_setting(sent, said)
        if error.status_code in (400, 422) and setting is not None:
            self._not_taken |= {setting}
            return None
        raise _Refused(f"Http{error.status_code}", said) from None

    def _given_up(self, problem: Exception, num_tries: int) -> Exception:
        """The error after the last try: an outage or rate limit affects every request, other errors only this one."""
        timed_out = isinstance(problem, self._openai.APITimeoutError)
        if isinstance(problem, self._openai.RateLimitError):
            return self._error(f"still limits the rate after {num_tries} tries", "a higher rate limit", problem)
        if isinstance(problem, self._openai.APIConnectionError) and not timed_out:
            return self._error(f"cannot be reached ({num_tries} tries)", "a running server", problem)
        if isinstance(problem, BadReply) and problem.is_web_page:
            return self._error("answers with a web page", "the address of an API, usually ending in /v1", problem)
        kind = "Timeout" if timed_out else type(problem).__name__
        return _Refused(kind, f"{self._hidden(problem)} ({num_tries} tries)")

    def _error(self, problem: str, expected: str, error: Exception) -> ServerError:
        name = self.spec.server
        return ServerError(
            f"the server {name!r} at {self.server.url} {problem}",
            expected=expected,
            got=self._hidden(error),
            next_step=f"check the server, runtime.servers.{name} and the model {self.spec.model!r}; then run the same "
            "command again: all replies so far are kept",
        )

    def _hidden(self, error: Exception) -> str:
        return self.secret.hidden(" ".join(str(error).split()))[:_SHOWN]


def _import_openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise RecipeError(
            "models on servers need the openai package, which is not installed",
            expected="openai 3 in this environment",
            got=str(error),
            next_step=INSTALL,
        ) from error
    return openai
