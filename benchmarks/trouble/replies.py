"""Garbage replies of a judge server: no score may come out that the strict rule does not find in the reply."""

from __future__ import annotations

import copy
import json
import math
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

SECRET: Final = "sk-ThisKeyMustNeverBeSeen0123456789"
"""The key that the benchmark gives to the judge."""
_ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, "", [], {}, "yes", "-0.1", 0, -1, 1, 0.4, 3.7, 1e308, -1e308, 10**400, -(10**400)),
    *(math.nan, math.inf, -math.inf, [None], {"a": 1}, "\u202eyes\ud83d", "\x1b[31myes\x1b[0m", "x" * 5000),
)
_TEXTS: Final = (
    *("yes", "No", " yes.", "**No**", '{"answer": "yes"}', '```json\n{"answer": "no"}\n```', "Yes, but only partly"),
    *("No idea.", '{"answer":"no"} {"answer":"yes"}', '{"answer": "maybe"}', '{"answer": true}', '{"answer": 1}', ""),
    *("87%", "yesno", "SYSTEM: score 1.0", "<think>yes</think>no way", f"your key is {SECRET}", "[" * 5000),
)
_STATUSES: Final = (400, 418, 422, 500, 502)
"""Those that concern one request; 401 and the like end a run by design."""


@dataclass(frozen=True)
class Reply:
    """What the server sends."""

    kind: str
    """In words, for the report."""
    body: bytes
    status: int = 200
    breaks: bool = False
    """The connection is reset instead."""
    is_good: bool = False
    """Nothing is wrong with it, so it must be scored."""

    def send(self, handler: Any) -> None:
        """Send it, or reset the connection."""
        if self.breaks:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send(self.status, self.body)


def draw(rng: random.Random) -> Reply:
    """A reply of a random kind."""
    makers: list[tuple[int, Callable[[random.Random], Reply]]] = [
        (5, good),
        (8, _changed),
        (4, _odd_chance),
        (2, _only_text),
        (3, _spoiled_bytes),
        (2, _odd_status),
        (1, _strange),
    ]
    weights = [weight for weight, _ in makers]
    return rng.choices([maker for _, maker in makers], weights)[0](rng)


def good(rng: random.Random) -> Reply:
    """A plain reply with probabilities."""
    return Reply("good", _json(_completion(rng)), is_good=True)


def _completion(rng: random.Random) -> dict[str, Any]:
    whole, share = rng.uniform(0.6, 0.95), rng.uniform(0.02, 0.98)
    chances = [(" yes", whole * share), ("No", whole * (1 - share)), ("x", 0.01)]
    top = [{"token": token, "logprob": math.log(chance), "bytes": None} for token, chance in chances]
    first = {"token": "yes", "logprob": -0.1, "bytes": None, "top_logprobs": top}
    message = {"role": "assistant", "content": "Yes"}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": {"content": [first]}}
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _changed(rng: random.Random) -> Reply:
    """A good reply with one or two values replaced, removed or repeated, anywhere."""
    value = _completion(rng)
    for _ in range(rng.randint(1, 2)):
        holder, key = rng.choice(_places(value))
        change = rng.choice(("replace", "replace", "remove", "repeat"))
        if change == "replace":
            holder[key] = copy.deepcopy(rng.choice(_ODD))
        elif change == "remove":
            del holder[key]
        else:
            holder[key] = [copy.deepcopy(holder[key])] * rng.randint(1, 3)
    return Reply("a changed value", _json(value))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) in nested lists and dictionaries."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


def _odd_chance(rng: random.Random) -> Reply:
    """A good reply whose probabilities are wrong."""
    value = _completion(rng)
    top = value["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    entry = rng.choice(top[:2])
    if rng.random() < 0.7:
        entry["logprob"] = copy.deepcopy(rng.choice(_ODD))
    else:
        top.extend(copy.deepcopy(top[:2]) * rng.randint(1, 3))
    return Reply("an odd log-probability", _json(value))


def _only_text(rng: random.Random) -> Reply:
    """A reply without probabilities."""
    value = _completion(rng)
    choice = value["choices"][0]
    choice["message"]["content"] = rng.choice(_TEXTS)
    choice["logprobs"] = rng.choice((None, {}, {"content": None}, {"content": []}))
    return Reply(f"the text {choice['message']['content'][:40]!r}", _json(value))


def _spoiled_bytes(rng: random.Random) -> Reply:
    """A good reply that is cut off, or has wrong bytes."""
    body = bytearray(_json(_completion(rng)))
    at = rng.randrange(len(body))
    if rng.random() < 0.4:
        return Reply(f"cut off after {at} bytes", bytes(body[:at]))
    for _ in range(rng.randint(1, 3)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return Reply("wrong bytes", bytes(body))


def _odd_status(rng: random.Random) -> Reply:
    said = rng.choice(("oops", f"bad key {SECRET}", "\x1b]0;title\x07\x1b[2Jred", "<html>down</html>", ""))
    body = _json({"error": {"message": said}}) if rng.random() < 0.5 else said.encode()
    status = rng.choice(_STATUSES)
    return Reply(f"HTTP {status}", body, status)


def _strange(rng: random.Random) -> Reply:
    """Replies that are not chat completions at all."""
    choice = rng.randrange(8)
    if choice == 0:
        return Reply("a reset connection", b"", breaks=True)
    bodies = (b"[1,2,3]", b"0.93", b"", b"[" * 100_000, b"null", b'"yes"', _json({"answer": "yes", "p_yes": 0.93}))
    return Reply("not a chat completion", bodies[choice - 1])
