"""What every judge must keep, as checks that the author of a plug-in runs: for pytest, or one after the other.

    import pytest
    from rushes.testing import judge_checks

    @pytest.mark.parametrize("check", judge_checks(SharpnessSpec()), ids=str)
    def test_the_judge_keeps_its_contract(check):
        check()

They know no stage and no run: a Spec is built and asked about a few clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from rushes.feedback import Gives, PreferenceRequest, ScoreRequest, gives, has_position_bias, scales_of
from rushes.judge.check import checked, checked_preference, checked_values
from rushes.plugins import JUDGES
from rushes.records import Question
from rushes.roles import Failed, JudgeRequest, Runtime, Spec, Video
from rushes.store.identity import content_hash

if TYPE_CHECKING:
    from rushes.roles import Frames

Request = JudgeRequest | ScoreRequest | PreferenceRequest
Numbers = tuple[float | None, ...]
"""What a judge said about one request: a number for each question or scale, or one preference; None without one."""


@dataclass(frozen=True)
class Check:
    """One rule of the contract; call it."""

    name: str
    """The rule, in words."""
    run: Callable[[], None]
    """Raises AssertionError where the rule is broken."""

    def __call__(self) -> None:
        self.run()

    def __str__(self) -> str:
        return self.name


def judge_checks(
    spec: Spec, requests: Sequence[Request] = (), *, runtime: Runtime | None = None, tolerance: float = 1e-4
) -> list[Check]:
    """The contract of a judge of any kind.

    Args:
        spec: its Spec, with the options that a recipe would give.
        requests: at least two different ones that it can answer, of the kind that it gets; empty for a few small clips
            of moving squares.
        runtime: what `build` gets; None for an empty one.
        tolerance: how far a number may move with the order or the number of requests, as a share of the largest: the
            rounding of a batch, no opinion. A scale's repeat error is allowed as well.
    """
    kind = gives(spec)
    bench = _Bench(spec, kind, tuple(requests or sample_requests(kind)), runtime or Runtime(), tolerance)
    rules = [*_RULES, *([_both_orders_agree] if kind == "preferences" and not has_position_bias(spec) else [])]
    return [Check(rule.__name__.strip("_").replace("_", " "), partial(rule, bench)) for rule in rules]


def sample_requests(kind: Gives) -> list[Request]:
    """Small clips of a square that moves, with the requests that a judge of a kind gets about them."""
    text, dimension = "a red square moves to the right", "Composition"
    videos = [Video(_square(speed), 8.0) for speed in (0, 2, 4)]
    if kind == "scores":
        return [ScoreRequest(video, text, dimension) for video in videos]
    if kind == "preferences":
        return [PreferenceRequest(a, b, text, dimension) for a, b in zip(videos, [*videos[1:], videos[0]], strict=True)]
    asked = (Question(text="Is the square red?", expected="yes", dimension=dimension, about="colour"),)
    return [JudgeRequest(video, text, asked) for video in videos]


def _square(speed_px: int) -> Frames:
    import numpy as np

    frames_THWC = np.full((9, 48, 64, 3), 60 + 20 * speed_px, np.uint8)
    for t, frame in enumerate(frames_THWC):
        frame[16:32, 4 + speed_px * t : 20 + speed_px * t] = (220, 30, 30)
    return frames_THWC


@dataclass(frozen=True)
class _Bench:
    """A judge and what it is asked."""

    spec: Spec
    kind: Gives
    requests: tuple[Request, ...]
    runtime: Runtime
    tolerance: float

    @cached_property
    def judge(self) -> Any:
        spec: Any = self.spec
        return spec.build(self.runtime)

    @cached_property
    def first(self) -> list[object]:
        """The replies to all requests at once, the first time."""
        found = self.ask(self.requests)
        assert len(found) == len(self.requests), f"expected {len(self.requests)} replies, got {len(found)}"
        return found

    def ask(self, requests: Sequence[Request]) -> list[object]:
        method = JUDGES[self.kind].call.partition("(")[0]
        found = getattr(self.judge, method)(requests)
        assert isinstance(found, (list, tuple, Iterator)), f"expected a list or an iterator, got {type(found).__name__}"
        return list(found)

    def numbers(self, given: object, request: Request) -> Numbers:
        """The numbers of a reply; a `Failed` has none."""
        return () if isinstance(given, Failed) else tuple(value for value, _ in _read(given, request, self.spec))

    def check_same(self, replies: Sequence[object], requests: Sequence[Request], tolerance: float, rule: str) -> None:
        """Replies to requests are those of the first time."""
        before = {id(request): given for request, given in zip(self.requests, self.first, strict=True)}
        allowed = [scale.repeat_error or 0.0 for scale in scales_of(self.spec)] or [0.0]
        for request, given in zip(requests, replies, strict=True):
            once, now = self.numbers(before[id(request)], request), self.numbers(given, request)
            assert len(once) == len(now), f"{rule}: {before[id(request)]!r}, then {given!r}"
            for number, (a, b) in enumerate(zip(once, now, strict=True)):
                assert (a is None) == (b is None), f"{rule}: {before[id(request)]!r}, then {given!r}"
                if a is not None and b is not None:
                    most = max(tolerance * max(1.0, abs(a)), allowed[number % len(allowed)])
                    assert abs(a - b) <= most, f"{rule}: {a!r}, then {b!r}"


def _read(given: object, request: Request, spec: Spec) -> list[tuple[float | None, str | None]]:
    """A reply as the stage reads it: for each number its value or the reason why there is none."""
    if isinstance(request, JudgeRequest):
        return [(each.p_yes, each.unscored_reason) for each in checked(given, len(request.questions))]
    if isinstance(request, ScoreRequest):
        names = [scale.name for scale in scales_of(spec)]
        return [(each.value, each.unscored_reason) for each in checked_values(given, names).values()]
    found = checked_preference(given)
    return [(found.value, found.unscored_reason)]


def _own_reasons(given: object) -> set[str]:
    """The reasons that a judge itself gives in a reply."""
    parts = given if isinstance(given, (tuple, list)) else [given]
    found = [getattr(each, "unscored_reason", None) for each in parts]
    return {each.strip() for each in found if isinstance(each, str)}


# ---------------------------------------------------------------------------------------------- the rules


def _the_spec_has_a_place_in_work_keys(bench: _Bench) -> None:
    cls = type(bench.spec)
    assert cls.__dict__.get("spec_name"), f"{cls.__name__} must have a spec_name of its own: records are kept under it"
    again = cls.model_validate_json(bench.spec.model_dump_json())
    assert content_hash(again) == content_hash(bench.spec), f"{cls.__name__} must survive JSON: a run stores it"


def _the_built_judge_has_its_method(bench: _Bench) -> None:
    role = JUDGES[bench.kind]
    found = getattr(bench.judge, role.call.partition("(")[0], None)
    assert callable(found), f"a judge that gives {bench.kind} must have {role.call}, see {role.module}.{role.protocol}"


def _there_is_one_reply_for_each_request(bench: _Bench) -> None:
    assert len(bench.requests) >= 2, "give the contract at least two requests"
    assert bench.first and bench.ask([]) == [], "no requests must give no replies"


def _replies_have_their_form(bench: _Bench) -> None:
    for request, given in zip(bench.requests, bench.first, strict=True):
        if not isinstance(given, Failed):
            problems = {why for _, why in _read(given, request, bench.spec) if why is not None} - _own_reasons(given)
            assert not problems, f"{'; '.join(sorted(problems))}: {given!r:.200}"


def _some_replies_can_be_used(bench: _Bench) -> None:
    found = [bench.numbers(given, request) for request, given in zip(bench.requests, bench.first, strict=True)]
    usable = any(value is not None for numbers in found for value in numbers)
    assert usable, f"give the contract requests that the judge can answer; it gave {bench.first!r:.300}"


def _asked_again_it_says_the_same(bench: _Bench) -> None:
    bench.check_same(bench.ask(bench.requests), bench.requests, 0.0, "asked again, a judge must say the same")


def _the_order_of_requests_changes_nothing(bench: _Bench) -> None:
    order = bench.requests[::-1]
    bench.check_same(bench.ask(order), order, bench.tolerance, "the order of requests must change nothing")


def _a_request_alone_gets_the_same_reply(bench: _Bench) -> None:
    alone = [given for request in bench.requests for given in bench.ask([request])]
    bench.check_same(alone, bench.requests, bench.tolerance, "asked alone, a clip must get the same reply")


def _frames_are_left_as_they_are(bench: _Bench) -> None:
    videos = [video for each in bench.requests for video in _videos(each)]
    before = [video.frames_THWC.copy() for video in videos]
    bench.ask(bench.requests)
    for frames, video in zip(before, videos, strict=True):
        assert (video.frames_THWC == frames).all(), "a judge must not write into the frames it is shown"


def _both_orders_agree(bench: _Bench) -> None:
    """Only of judges that say they have no position bias: nobody asks them in both orders."""
    for request, given in zip(bench.requests, bench.first, strict=True):
        assert isinstance(request, PreferenceRequest)
        swapped = PreferenceRequest(
            request.second, request.first, request.text, request.dimension, request.second_key, request.first_key
        )
        (there,), (back,) = bench.numbers(given, request) or (None,), bench.numbers(bench.ask([swapped])[0], swapped)
        if there is not None and back is not None:
            agree = math.isclose(there + back, 1.0, abs_tol=2 * bench.tolerance)
            assert agree, f"has_position_bias is False, and the two orders give {there!r} and {back!r}"


def _videos(request: Request) -> list[Video]:
    return [request.first, request.second] if isinstance(request, PreferenceRequest) else [request.video]


_RULES: Final = (
    _the_spec_has_a_place_in_work_keys,
    _the_built_judge_has_its_method,
    _there_is_one_reply_for_each_request,
    _replies_have_their_form,
    _some_replies_can_be_used,
    _asked_again_it_says_the_same,
    _the_order_of_requests_changes_nothing,
    _a_request_alone_gets_the_same_reply,
    _frames_are_left_as_they_are,
)

__all__ = ["Check", "judge_checks", "sample_requests"]
