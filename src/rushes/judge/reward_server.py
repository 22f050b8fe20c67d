"""The client of a reward server: greets it, sends clips as files, tells its faults, starts a dead one again."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from rushes.errors import RecipeError, UserError, nearest
from rushes.feedback import GivenPreference, PreferenceRequest, ScaleValue, ScoreRequest
from rushes.judge.child import Child, NoReply
from rushes.judge.reward_http import Address
from rushes.judge.talk import (
    BadReply,
    ClipFile,
    greeting,
    hello,
    prefer_request,
    preference,
    read,
    score_request,
    values,
)
from rushes.recipe.runtime import RewardRuntime, RuntimeSpec
from rushes.roles import Failed, Video
from rushes.store.identity import content_hash
from rushes.store.video import LOSSLESS, encode_video

MOST_IN_A_ROW: Final = 3
"""After so many different requests in a row without a usable reply the run ends: the server is at fault, not a clip."""
_FAST: Final = replace(LOSSLESS, options={**LOSSLESS.options, "preset": "ultrafast"})
"""The file lives for one request."""
Given = TypeVar("Given")


class RewardServerError(UserError):
    """A reward server that cannot be used at all; everything judged so far is kept."""


class _Line(Protocol):
    """How requests reach the server."""

    def exchange(self, line: bytes, timeout_s: float) -> bytes: ...

    def close(self) -> object: ...

    @property
    def last_words(self) -> str: ...


class RewardServer:
    """A reward server that a recipe names; nothing is started or sent before the first request.

    Args:
        name: its name in `runtime.rewards`.
        runtime: how to reach it, and its limits.
        model: what its greeting must call its model: another one would fill the same records.
        scales: the scales that its greeting must have.
        compares: whether it must compare takes.
    """

    def __init__(
        self, name: str, runtime: RewardRuntime, model: str, scales: Sequence[str] = (), *, compares: bool = False
    ) -> None:
        self._name, self._runtime, self._model = name, runtime, model
        self._scales, self._compares = tuple(scales), compares
        self._line: _Line | None = None
        self._number = 0
        self._lost: set[str] = set()
        self._folder: str | None = None

    def scored(self, request: ScoreRequest) -> tuple[ScaleValue, ...] | Failed:
        """The values of one clip; `Failed` if this request had no usable reply.

        Raises:
            RewardServerError: no request has one.
        """
        self._number += 1
        number, file = self._number, self._file("clip", request.video)
        asked = score_request(number, file, request.text, request.dimension)
        return self._asked(asked, lambda reply: values(reply, number, self._scales))

    def preferred(self, request: PreferenceRequest) -> GivenPreference | Failed:
        """The preference between two takes; as `scored`."""
        self._number += 1
        number = self._number
        first, second = self._file("first", request.first), self._file("second", request.second)
        asked = prefer_request(number, first, second, request.text, request.dimension)
        return self._asked(asked, lambda reply: preference(reply, number))

    def greet(self) -> None:
        """Start the server if need be, and check that it is the right one.

        Raises:
            RewardServerError: it cannot be started or reached, or is another one.
        """
        if self._line is not None:
            return
        try:
            runtime = self._runtime
            line: _Line = Child(runtime, self._own_folder()) if runtime.command else Address(runtime, self._name)
        except NoReply as error:
            raise self._error(f"cannot be used: {error}", "a program that can be started") from None
        try:
            found = greeting(self._exchanged(line, hello(), self._runtime.start_s))
        except (NoReply, BadReply) as error:
            line.close()
            raise self._error(f"does not greet: {error}", "a greeting by the protocol", line.last_words) from None
        lacking = [each for each in self._scales if each not in found.scales]
        if found.model != self._model or lacking or (self._compares and not found.compares):
            line.close()
            raise self._other(found.model, found.scales, lacking)
        self._line = line

    def _asked(self, request: dict[str, Any], interpreted: Callable[[dict[str, Any]], Given]) -> Given | Failed:
        """What the reply to one request means, or `Failed`."""
        self.greet()
        line = self._line
        assert line is not None
        try:
            found = interpreted(self._exchanged(line, request, self._runtime.timeout_s))
        except (NoReply, BadReply) as error:
            line.close()
            self._line = None
            self._lost.add(_fingerprint(request))
            said = f"{error}{_after(line.last_words)}"
            if len(self._lost) >= MOST_IN_A_ROW:
                problem = f"gave no usable reply to {len(self._lost)} requests in a row"
                raise self._error(problem, "one reply by the protocol to each request", said) from None
            return Failed("RewardServer", f"the reward server {self._name!r}: {said}")
        self._lost.clear()
        return found

    def _exchanged(self, line: _Line, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        return read(line.exchange(json.dumps(request).encode("ascii"), timeout_s))

    def _file(self, name: str, video: Video) -> ClipFile:
        """The clip as a file that replaces the one of the last request."""
        path = Path(self._own_folder()) / f"{name}.mp4"
        path.write_bytes(encode_video(video.frames_THWC, video.fps, _FAST))
        return ClipFile(str(path), len(video.frames_THWC), video.fps)

    def _own_folder(self) -> str:
        """A folder that only this user can read; it goes with this object, or with this process."""
        if self._folder is None or not Path(self._folder).is_dir():
            self._folder = tempfile.mkdtemp(prefix="rushes-reward-")
            weakref.finalize(self, shutil.rmtree, self._folder, True)
        return self._folder

    def _error(self, problem: str, expected: str, got: str = "") -> RewardServerError:
        shown = {"got": got} if got else {}
        return RewardServerError(
            f"the reward server {self._name!r} {problem}",
            expected=expected,
            **shown,
            next_step=f"try runtime.rewards.{self._name} by hand: docs/reward_servers.md says how; then run the same "
            "command again: everything judged so far is kept",
        )

    def _other(self, model: str, scales: Sequence[str], lacking: Sequence[str]) -> RewardServerError:
        what = "to compare takes" if self._compares else f"the scales {', '.join(self._scales)}"
        offered = f"the scales {', '.join(scales)}" if scales else "no scales"
        near = f"; did you mean {found!r}?" if lacking and (found := nearest(lacking[0], scales)) else ""
        return RewardServerError(
            f"the reward server {self._name!r} is not the one that the recipe describes",
            expected=f"the model {self._model!r}, and {what}",
            got=f"the model {model!r}, with {offered}",
            next_step="start the server that the recipe means, or change options.model and options.scales to what this "
            f"one has{near}",
        )


def _fingerprint(request: Mapping[str, Any]) -> str:
    """The same for the same clips and prompt, however often they are sent: a clip that kills the server is one clip."""
    shown = [request[name]["path"] for name in ("clip", "first", "second") if name in request]
    return content_hash([request["text"], *(hashlib.sha256(Path(each).read_bytes()).hexdigest() for each in shown)])


def _after(words: str) -> str:
    return f"; its last words: {words}" if words else ""


def reward_server(name: str, runtime: RuntimeSpec) -> RewardRuntime:
    """The entry of `runtime.rewards` of that name.

    Raises:
        RecipeError: there is none.
    """
    found = runtime.rewards.get(name)
    if found is None:
        names = sorted(runtime.rewards)
        near = nearest(name, names)
        raise RecipeError(
            f"the recipe names the reward server {name!r}, but does not define it",
            expected=f"one of {names}" if names else "an entry of that name in runtime.rewards",
            got=name,
            next_step=f"did you mean {near!r}?"
            if near
            else f"for example: --set 'runtime.rewards.{name}.command=python my_server.py'",
        )
    return found
