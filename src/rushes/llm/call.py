"""The requests of one call to a server, side by side: each with its tries, its pauses and its time limit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from rushes import known_keys
from rushes.errors import Stopped, UserError
from rushes.execute.stop import is_stopping
from rushes.llm.cache import reply_key
from rushes.llm.chat import NO_CHANCES, TOO_LONG, TOO_MANY_IMAGES, ChatReply, ChatRequest
from rushes.llm.cost import most
from rushes.llm.http import ReplyTooLarge, import_openai, open_client
from rushes.llm.retry import backoff_s
from rushes.llm.trouble import Refused, Status, Unusable, meaning
from rushes.llm.wire import BadReply, Body, Taken, reply_from
from rushes.roles import Failed

if TYPE_CHECKING:
    from rushes.llm.server import ServerModel

_SHOWN: Final = 300
_LOOK_S: Final = 0.1
"""How often a pause checks whether the run is to stop, seconds."""
_YEARS_S: Final = 1e8
_DOWN: Final = ("ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol")
"""Failures before there is a connection; after that, a failure may be that of one request."""
_LASTING: Final = (TOO_LONG, TOO_MANY_IMAGES, NO_CHANCES, "ReplyTooLarge")
"""Failures that another try of the same request would repeat."""

Kind = Literal["Limited", "Status", "Down", "ConnectionLost", "Timeout", "WebPage", "BadReply"]


class ServerError(UserError):
    """A server that cannot be used at all: down, access denied, out of quota, or without that model."""


@dataclass(frozen=True)
class _Trouble:
    """A try that failed, where another may succeed."""

    kind: Kind
    said: str
    error_type: str
    at_least_s: float = 0.0


class Call:
    """One call of `ServerModel.reply`, in one event loop."""

    def __init__(self, model: ServerModel) -> None:
        self._model = model
        self._server = model.server
        self._room = asyncio.Semaphore(model.server.max_concurrent)
        self._openai = import_openai()
        self._draw = random.Random()
        self._client: Any = None
        self._raised: Exception | None = None

    async def all(self, requests: Sequence[ChatRequest]) -> list[ChatReply | Failed]:
        """One reply or `Failed` per request. What ends the call lets requests in flight be answered and kept."""
        async with open_client(self._server, self._model.secret) as self._client:
            given = await asyncio.gather(*(self._one(request) for request in requests))
        if self._raised is not None:
            raise self._raised
        return given

    async def _one(self, request: ChatRequest) -> ChatReply | Failed:
        async with self._room:
            try:
                return await self._tried(request)
            except Refused as refused:
                return Failed(refused.kind, refused.said, retry="useless" if refused.kind in _LASTING else "counted")
            except Exception as error:
                self._raised = self._raised or error
                return Failed.of(error)

    async def _tried(self, request: ChatRequest) -> ChatReply:
        num_failed = 0
        while self._raised is None:
            outcome = await self._once(request)
            if isinstance(outcome, ChatReply):
                return outcome
            if isinstance(outcome, _Trouble):
                num_failed += 1
                self._check_worth_it(outcome, num_failed, request)
                await self._pause(outcome.at_least_s, num_failed)
        raise Refused("Stopped", "another request of the same call could not be answered at all")

    async def _once(self, request: ChatRequest) -> ChatReply | Taken | _Trouble:
        taken = self._model.taken
        if request.num_logprobs and request.max_tokens == 1 and taken.num_logprobs == 0:
            raise Refused(NO_CHANCES, f"{self._model.name} gives no log-probabilities")
        sent = taken.body_of(request, self._model.spec.model)
        async with self._model.meter.room_for(request):
            try:
                return await self._sent(request, sent)
            except self._openai.APIStatusError as error:
                return self._after_status(error, sent, request)
            except ReplyTooLarge as error:
                self._model.meter.record(most(request))
                raise Refused("ReplyTooLarge", str(error)) from None
            except BadReply as error:
                # A reply that cannot be used was billed all the same.
                self._model.meter.record(most(request))
                return _Trouble("WebPage" if error.is_web_page else "BadReply", _said(error), "BadReply")
            except (self._openai.APIConnectionError, TimeoutError) as error:
                return self._after_connection(error, request)
            except asyncio.CancelledError:
                self._model.meter.record(most(request))
                raise

    async def _sent(self, request: ChatRequest, body: Body) -> ChatReply:
        further = self._model.spec.extra_body
        async with asyncio.timeout(self._server.timeout_s):
            response = await self._client.chat.completions.with_raw_response.create(**body, extra_body=further)
        reply, usage = reply_from(known_keys.hidden(response.http_response.text), request.num_logprobs)
        self._model.meter.record(usage or most(request))
        self._model.streak.answered()
        reply = self._model.learn_from(_without_keys(reply), request)
        if self._model.keep is not None:
            self._model.keep(request, reply)
        return reply

    def _after_status(self, error: Any, sent: Body, request: ChatRequest) -> Taken | _Trouble:
        body, url = error.response.text, str(error.request.url)
        is_plain = error.body is None or isinstance(error.body, str)
        said = _said(f"Error code: {error.status_code} - {body}" if is_plain and body[:1] != "<" else error)
        status = Status(error.status_code, said, error.response.headers, url)
        try:
            found = meaning(status, sent, self._model.taken, has_key=bool(self._model.secret.value))
        except Unusable as problem:
            raise self._error(problem.problem, problem.expected, said) from None
        except Refused as refused:
            if refused.kind.startswith("Http") and self._is_everywhere(said, request, "given up"):
                raise self._everywhere(said) from None
            raise
        if isinstance(found, Taken):
            self._model.take(found, f"it refuses them: {said}")
            return found
        kind: Kind = "Limited" if status.code == 429 else "Status"
        return _Trouble(kind, said, type(error).__name__, found.at_least_s)

    def _after_connection(self, error: Exception, request: ChatRequest) -> _Trouble:
        cause = type(error.__cause__).__name__
        if cause in _DOWN:
            return _Trouble("Down", _said(error.__cause__ or error), cause)
        # It is unknown whether it was processed and billed.
        self._model.meter.record(most(request))
        if isinstance(error, (self._openai.APITimeoutError, TimeoutError)):
            return _Trouble("Timeout", f"no complete reply within {self._server.timeout_s:g} s", "Timeout")
        return _Trouble("ConnectionLost", f"the connection was lost: {_said(error.__cause__ or error)}", "Connection")

    def _check_worth_it(self, trouble: _Trouble, num_failed: int, request: ChatRequest) -> None:
        """Raise if another try of this request, or of any, makes no sense."""
        server, is_last = self._server, num_failed > self._server.num_retries
        tries = f"{num_failed} {'try' if num_failed == 1 else 'tries'}"
        if is_last and trouble.kind == "Limited":
            raise self._error(f"still limits the rate after {tries}", "a higher rate limit", trouble.said)
        if is_last and trouble.kind == "Down":
            raise self._error(f"cannot be reached ({tries})", "a running server", trouble.said)
        if is_last and trouble.kind == "WebPage":
            raise self._error("answers with a web page", "the address of an API, usually ending in /v1", trouble.said)
        is_steady = is_last or (num_failed > 1 and trouble.kind in ("Status", "BadReply"))
        if is_steady and self._is_everywhere(trouble.said, request, "given up" if is_last else "trying"):
            raise self._everywhere(trouble.said)
        is_one_of_many = self._model.streak.is_long and trouble.kind not in ("Limited", "Down", "WebPage")
        if is_last or is_one_of_many:
            raise Refused(trouble.error_type, f"{trouble.said} ({tries})")
        if trouble.at_least_s > server.max_wait_s:
            pause = f"{trouble.at_least_s:.0f} s" if trouble.at_least_s < _YEARS_S else "years"
            raise self._error(f"asks for a pause of {pause}", "a shorter pause", trouble.said)

    async def _pause(self, at_least_s: float, num_failed: int) -> None:
        """Wait for the next try.

        Raises:
            Stopped: the user asked to stop.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + max(at_least_s, backoff_s(num_failed, self._server.max_wait_s, self._draw))
        while self._raised is None and (left := end - loop.time()) > 0:
            if is_stopping():
                raise Stopped(f"stopped while the server {self._model.spec.server!r} had trouble; replies are kept")
            await asyncio.sleep(min(left, _LOOK_S))

    def _is_everywhere(self, said: str, request: ChatRequest, stage: Literal["trying", "given up"]) -> bool:
        return self._model.streak.is_everywhere(said, reply_key(request, ""), stage)

    def _everywhere(self, said: str) -> ServerError:
        return self._error("gives every request the same error", "a reply to at least one request", said)

    def _error(self, problem: str, expected: str, said: str) -> ServerError:
        name = self._model.spec.server
        sees = "images: serve a model that takes them (llama.cpp: with --mmproj), " if "image" in said.lower() else ""
        return ServerError(
            f"the server {name!r} at {self._server.url} {problem}",
            expected=expected,
            got=said,
            next_step=f"{sees}check the server, runtime.servers.{name} and the model {self._model.spec.model!r}; then "
            "run the same command again: all replies so far are kept",
        )


def _said(error: BaseException | str) -> str:
    """An error's message on one line, without keys and control characters."""
    words = " ".join(str(error).split())
    shown = "".join(letter for letter in words if letter.isprintable())
    return known_keys.hidden_parts(shown)[:_SHOWN]


def _without_keys(reply: ChatReply) -> ChatReply:
    """A reply as it may be kept: escapes of JSON can hide a key in the response, in its text and in its candidates."""
    first = reply.first_token
    if first is not None:
        first = tuple(replace(each, text=known_keys.hidden_parts(each.text)) for each in first)
    return replace(reply, text=known_keys.hidden(reply.text), first_token=first)
