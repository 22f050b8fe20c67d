"""What a server says, before it is used: valid probabilities or none, and what it takes, by its errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rushes.llm.chat import ChatReply, ChatRequest, Message, TokenChance, without_system
from rushes.llm.cost import Usage
from rushes.llm.wire import BadReply, Taken, body_of, images_allowed, is_all_on_one, reply_from


def response(content: Any = "yes", top: Any = None, **choice: Any) -> str:
    logprobs = None if top is None else {"content": [{"token": "yes", "logprob": -0.1, "top_logprobs": top}]}
    return json.dumps({"choices": [{"message": {"content": content}, "logprobs": logprobs, **choice}]})


def top(*logprobs: Any) -> list[dict[str, Any]]:
    return [{"token": f"t{i}", "logprob": value} for i, value in enumerate(logprobs)]


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), float("-inf"), 3.7, 0.002, True, False, "-0.1", None, [-0.1], -(10**400), 10**400],
)
def test_what_is_no_log_probability_makes_the_reply_bad(value: Any) -> None:
    with pytest.raises(BadReply, match="expected a token with a log-probability"):
        reply_from(response(top=top(-0.1, value)), 20)


@pytest.mark.parametrize(("num", "known"), [(5, True), (0, True), (-1, False), (10**400, False), ("5", False)])
def test_a_usage_that_counts_nothing_is_unknown(num: Any, known: bool) -> None:
    usage = {"prompt_tokens": num, "completion_tokens": 1}
    text = json.dumps({"choices": [{"message": {"content": "yes"}}], "usage": usage})
    assert reply_from(text, 0)[1] == (Usage(num, 1) if known else None)


def test_probabilities_that_exceed_one_together_make_the_reply_bad() -> None:
    with pytest.raises(BadReply, match=r"add up to 1\.98"):
        reply_from(response(top=top(-0.01, -0.01)), 20)


def test_rounding_and_impossible_tokens_are_valid() -> None:
    reply, _ = reply_from(response(top=top(1e-7, -3.4e38, -20)), 20)
    assert reply.first_token is not None and [each.logprob for each in reply.first_token] == [0.0, -20.0, -1e4]


@pytest.mark.parametrize(
    "found",
    [
        *({}, {"content": []}, {"content": None}, {"tokens": ["yes"], "token_logprobs": [-0.1]}),
        *({"content": [{"token": "yes", "logprob": -0.1, **other}]} for other in ({}, {"top_logprobs": []})),
    ],
)
def test_no_probabilities_are_none(found: dict[str, Any]) -> None:
    assert reply_from(response(logprobs=found), 20)[0] == ChatReply("yes")
    assert reply_from(response(), 20)[0] == ChatReply("yes")


@pytest.mark.parametrize(
    "odd",
    [
        *(0, False, 3.7, "yes", [], [None], {"content": 0}, {"content": "yes"}, {"content": {}}, {"content": [3.7]}),
        *({"content": [[]]}, {"content": [{}]}, {"content": [{"token": "yes", "logprob": 0.4}]}),
        *(
            {"content": [{"token": "yes", "logprob": -0.1, "top_logprobs": odd}]}
            for odd in (0, False, "", {}, {"a": 1})
        ),
    ],
)
def test_garbage_in_place_of_probabilities_is_not_their_absence(odd: Any) -> None:
    with pytest.raises(BadReply, match="expected the log-probabilities of tokens"):
        reply_from(response(logprobs=odd), 20)


def test_a_model_that_only_thought_gave_an_empty_reply() -> None:
    text = json.dumps(
        {"choices": [{"message": {"content": None, "reasoning_content": "Hm"}, "finish_reason": "length"}]}
    )
    assert reply_from(text, 0)[0] == ChatReply("", is_cut=True)


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [((0.0, -9999.0, -9999.0), True), ((0.0,), True), ((-1e-6, -14.0), False), ((0.0, -18.0, -21.0), False)],
)
def test_a_temperature_near_zero_shows(logprobs: tuple[float, ...], expected: bool) -> None:
    assert is_all_on_one([TokenChance("t", each) for each in logprobs]) is expected


SAID_BY = (Message("system", "be brief"), Message("user", "is it red?", (b"1", b"2", b"3")))
ASKED = ChatRequest(SAID_BY, num_logprobs=20)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("System role not supported", Taken(has_system=False)),
        ("Conversation roles must alternate user/assistant/user/assistant/...", Taken(has_system=False)),
        ("top_logprobs must be at most 5", Taken(num_logprobs=5)),
        ("unknown field seed", Taken(refused=frozenset({"seed"}))),
        ("content policy", None),
    ],
)
def test_what_a_server_takes_is_read_from_its_errors(said: str, expected: Taken | None) -> None:
    assert Taken().without(body_of(ASKED, "m"), said) == expected


def test_fewer_probabilities_are_requested_before_none() -> None:
    fewer = Taken(num_logprobs=5)
    body = fewer.body_of(ASKED, "m")
    assert body["top_logprobs"] == 5 and fewer.without(body, "logprobs are off") == Taken(num_logprobs=0)
    # Another request was sent in the first form, and is refused later.
    assert Taken(num_logprobs=0).without(body_of(ASKED, "m"), "top_logprobs too high") == Taken(num_logprobs=0)


def test_a_system_text_stands_in_the_users_turn() -> None:
    assert without_system(SAID_BY) == (Message("user", "be brief\n\nis it red?", (b"1", b"2", b"3")),)
    (message,) = Taken(has_system=False).body_of(ASKED, "m")["messages"]
    assert message["role"] == "user" and message["content"][-1]["text"] == "be brief\n\nis it red?"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("At most 1 image(s) may be provided in one request.", 1),
        ("You set image=2 (or defaulted to 1) in `--limit-mm-per-prompt`, but passed 3 image items", 2),
        ("too many images, the maximum is 0", 0),
        ("Too many images in request: 3 > 2", 2),
        ("the image exceeds the maximum of 4096 pixels", None),
        ("at most 2 requests", None),
    ],
)
def test_the_number_of_images_allowed(said: str, expected: int | None) -> None:
    assert images_allowed(body_of(ASKED, "m"), said) == expected
