"""Asks a judge on a server of this benchmark's own, and holds every score against the strict rule."""

from __future__ import annotations

import os
import random
import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.trouble.replies import SECRET, Reply, draw
from benchmarks.trouble.reply_rule import valid_p_yes
from benchmarks.trouble.tally import Fault, Outcome
from rushes.errors import UserError
from rushes.judge.check import checked
from rushes.judge.vlm import build_vlm_judge
from rushes.recipe.models import ServerModelSpec, VlmJudgeSpec
from rushes.recipe.runtime import RuntimeSpec, ServerRuntime
from rushes.records import Question
from rushes.roles import Failed, Judge, JudgeRequest, Video
from tests.support.odd_server import Handler, OddServer, asked_text

_AT_ONCE: Final = 10
_CALLS_PER_JUDGE: Final = 12
"""After so many calls a new judge is built, since one learns what its server refuses."""
_VARIABLE: Final = "CHAOS_JUDGE_KEY"
_NUMBER: Final = re.compile(r"\[q(\d+)\]")
_SAME: Final = 1e-6


def judging(seed: int, count: int, scratch: Path) -> Iterator[Outcome]:
    """Ask about `count` clips, each with a reply of its own."""
    scratch.mkdir(parents=True, exist_ok=True)
    rng = random.Random(f"{seed}-replies")
    replies = [draw(rng) for _ in range(count)]
    os.environ[_VARIABLE] = SECRET

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        found = _NUMBER.findall(asked_text(body))
        replies[int(found[-1])].send(handler)

    with OddServer(behave) as server:
        for call, start in enumerate(range(0, count, _AT_ONCE)):
            if call % _CALLS_PER_JUDGE == 0:
                folder = scratch / f"llm-{call}"
                judge, min_mass = _judge(server.url, folder)
            yield from _call(judge, min_mass, list(enumerate(replies))[start : start + _AT_ONCE], f"replies {seed}")
    yield _stored(scratch, f"replies {seed}: what is stored")


def _judge(url: str, cache: Path) -> tuple[Judge, float]:
    limits = {"timeout_s": 5.0, "num_retries": 1, "max_wait_s": 0.02, "max_concurrent": 4}
    server = ServerRuntime(url=url, key_env=_VARIABLE, **limits)  # type: ignore[arg-type]
    spec = VlmJudgeSpec(model=ServerModelSpec(server="eyes", model="m"), num_frames=1)
    return build_vlm_judge(spec, RuntimeSpec(servers={"eyes": server}, cache_folder=str(cache))), spec.min_mass


def _call(judge: Judge, min_mass: float, replies: Sequence[tuple[int, Reply]], case: str) -> Iterator[Outcome]:
    """One call of the judge; an outcome per reply."""
    frames = np.zeros((5, 32, 32, 3), np.uint8)
    requests = [JudgeRequest(Video(frames, 8.0), "a red circle", (_question(number),)) for number, _ in replies]
    ended: Fault | None = None
    given: Sequence[object] = [None] * len(replies)
    try:
        given = judge.answer(requests)
    except UserError as error:
        ended = _said(str(error)) or Fault("lost", f"one reply ends the call for all: {error.problem}")
    except Exception:
        ended = Fault("traceback", traceback.format_exc().strip().splitlines()[-1][:200])
    for (number, reply), answer in zip(replies, given, strict=True):
        faults = _faults(reply, answer, min_mass) if ended is None else [ended]
        if ended is not None and not reply.is_good and ended.kind == "lost":
            faults = []
        yield Outcome(f"{case}: number {number}, {reply.kind}", tuple(faults))


def _question(number: int) -> Question:
    return Question(text=f"Is there a circle [q{number}]?", expected="yes", dimension="Composition", about="x")


def _faults(reply: Reply, answer: object, min_mass: float) -> list[Fault]:
    expected = None if reply.breaks else valid_p_yes(reply.status, reply.body, min_mass)
    if isinstance(answer, Failed):
        p_yes, words = None, f"{answer.error_type} {answer.message}"
    else:
        (found,) = checked(answer, 1)
        p_yes, words = found.p_yes, found.unscored_reason or ""
    faults = [fault for fault in [_said(words)] if fault is not None]
    if p_yes is not None and (expected is None or abs(p_yes - expected) > _SAME):
        shown = reply.body[:300].decode("utf-8", "replace")
        faults.append(Fault("made up", f"p_yes {p_yes:.4f} where the reply holds {expected}: {shown}"))
    if p_yes is None and reply.is_good:
        faults.append(Fault("lost", f"a good reply has no score: {words[:200]}"))
    return faults


def _said(words: str) -> Fault | None:
    """A secret or a control character in what Rushes says."""
    if SECRET in words or SECRET[:12] in words:
        return Fault("leak", f"the key is in: {words[:200].replace(SECRET, '<key>')}")
    return Fault("leak", f"a terminal escape is in: {words[:200]!r}") if "\x1b" in words else None


def _stored(folder: Path, case: str) -> Outcome:
    """Whether the key got into a file."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    leaks = [path for path in files if SECRET.encode() in path.read_bytes()]
    fault = Fault("leak", f"the key is in {len(leaks)} of {len(files)} stored files")
    return Outcome(case, (fault,) if leaks else ())
