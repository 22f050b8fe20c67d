"""Metrics of several clips side by side: what they ask of a model is asked in one call.

A server then gets as many requests at once as it takes. Everything stays in one thread, and what is asked about a clip
does not depend on the other clips.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias, TypeVar, cast

from rushes.errors import Stopped, UserError

Request = TypeVar("Request")
Reply = TypeVar("Reply")
Result = TypeVar("Result")

AnswerMany: TypeAlias = Callable[[Sequence[Request]], Iterable[Reply | Exception]]
"""Answers several requests at once: one reply each, in order. An exception in place of a reply concerns its request
alone; one that is raised concerns the call, and each request is then made alone."""


@dataclass(frozen=True, eq=False)
class Ask:
    """What one metric asks next."""

    whom: AnswerMany[Any, object]
    """Who answers; what equal ones are asked is asked together."""
    requests: Sequence[object]
    """What it is asked: requests that do not depend on each other's replies."""


Asking: TypeAlias = Generator[Ask, Sequence[object], Result]
"""A metric under way: it yields what it asks, gets the replies sent or an exception thrown, and returns its result."""


def ask(whom: AnswerMany[Request, Reply], request: Request) -> Asking[Reply]:
    """The reply to one request.

    Raises:
        Exception: what stands in place of the reply.
    """
    (reply,) = yield from ask_all(whom, [request])
    return reply


def ask_all(whom: AnswerMany[Request, Reply], requests: Sequence[Request]) -> Asking[Sequence[Reply]]:
    """The replies to several requests, in order; nobody is asked if there are none.

    Raises:
        Exception: the first that stands in place of a reply.
    """
    return cast("Sequence[Reply]", (yield Ask(whom, requests))) if requests else []


def one_by_one(answer: Callable[[Request], Reply]) -> AnswerMany[Request, Reply]:
    """Who answers several requests by answering each alone."""

    def answers(requests: Sequence[Request]) -> list[Reply | Exception]:
        return [_caught(answer, request) for request in requests]

    return answers


def side_by_side(metrics: Sequence[Asking[Result]]) -> list[Result]:
    """The result of each metric, in order.

    In each round every metric that waits gets its reply; requests to the same model are one call.

    Raises:
        Exception: whatever a metric does not catch.
        UserError, Stopped: no request is possible, or the user asked to stop.
    """
    found: dict[int, Result] = {}
    waiting: dict[int, Ask] = {}

    def go_on(number: int, replies: Sequence[object]) -> None:
        failed = next((each for each in replies if isinstance(each, Exception)), None)
        try:
            waiting[number] = metrics[number].send(replies) if failed is None else metrics[number].throw(failed)
        except StopIteration as end:
            found[number] = end.value

    for number, metric in enumerate(metrics):
        try:
            waiting[number] = next(metric)
        except StopIteration as end:
            found[number] = end.value
    while waiting:
        asked = dict(waiting)
        waiting.clear()
        for whom in dict.fromkeys(each.whom for each in asked.values()):
            together = {number: each.requests for number, each in asked.items() if each.whom == whom}
            replies = iter(_replies(whom, [request for requests in together.values() for request in requests]))
            for number, requests in together.items():
                go_on(number, list(islice(replies, len(requests))))
    return [found[number] for number in range(len(metrics))]


def alone(metric: Asking[Result]) -> Result:
    """The result of one metric."""
    return side_by_side([metric])[0]


def _replies(whom: AnswerMany[Request, Reply], requests: Sequence[Request]) -> Sequence[Reply | Exception]:
    """One request that breaks a call must not lose the others."""
    try:
        replies = list(whom(requests))
        if len(replies) != len(requests):
            raise TypeError(f"expected one reply to each of {len(requests)} requests, got {len(replies)}")
    except (UserError, Stopped):
        raise
    except Exception as error:
        if len(requests) == 1:
            return [error]
        return [reply for request in requests for reply in _replies(whom, [request])]
    return replies


def _caught(answer: Callable[[Request], Reply], request: Request) -> Reply | Exception:
    try:
        return answer(request)
    except (UserError, Stopped):
        raise
    except Exception as error:
        return error
