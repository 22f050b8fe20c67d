"""The client against a server that is down, slow, limited, broken, or talks nonsense: an error or a value."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rushes.errors import RecipeError, Stopped
from rushes.llm import call as call_module
from rushes.llm import connect as connect_module
from rushes.llm.build import chat_model
from rushes.llm.call import ServerError
from rushes.llm.chat import NO_CHANCES, TOO_LONG, ChatModel, ChatReply, ChatRequest, Message
from rushes.llm.cost import CostCapReached
from rushes.llm.http import MAX_REPLY_BYTES
from rushes.llm.retry import asked_wait_s, backoff_s
from rushes.recipe.models import ServerModelSpec
from rushes.recipe.runtime import RuntimeSpec, ServerRuntime
from rushes.roles import Failed
from tests.support.odd_server import (
    Handler,
    OddServer,
    asked_text,
    completion,
    cut_off,
    hangs_up,
    page,
    raw,
    refuses,
    replies,
    says,
    slow,
    status,
)

KEY = "sk-very-secret-0123456789abcdef"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "backoff_s", lambda attempt, longest_s, draw: 0.01)
    monkeypatch.setenv("RUSHES_TEST_KEY", KEY)


def model(url: str, folder: Path | None = None, **settings: object) -> ChatModel:
    entry = ServerRuntime.model_validate({"url": url, "key_env": "RUSHES_TEST_KEY", "num_retries": 2} | settings)
    runtime = RuntimeSpec(servers={"main": entry}, cache_folder=None if folder is None else str(folder))
    return chat_model(ServerModelSpec(model="tiny"), runtime)


def request(text: str = "hello", **settings: object) -> ChatRequest:
    return ChatRequest(messages=(Message("user", text),), **settings)  # type: ignore[arg-type]


def one(chat: ChatModel, asked: ChatRequest | None = None) -> ChatReply | Failed:
    (reply,) = chat.reply([asked or request()])
    return reply


def test_a_good_reply_and_what_was_sent() -> None:
    with OddServer(says("hi", {"Yes": 0.7, " no": 0.2})) as server:
        reply = one(model(server.url), request("why", num_logprobs=20, seed=2**40 + 5, temperature=0.5, max_tokens=7))
    assert isinstance(reply, ChatReply) and reply.text == "hi" and not reply.is_cut
    assert reply.first_token is not None and [each.text for each in reply.first_token] == ["Yes", " no"]
    (body,) = server.bodies
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("tiny", 7, 0.5)
    assert body["logprobs"] is True and body["top_logprobs"] == 20 and body["seed"] == (2**40 + 5) % 2**31
    assert server.keys == [f"Bearer {KEY}"]


def test_images_stand_before_the_text() -> None:
    with OddServer(says("ok")) as server:
        one(model(server.url), ChatRequest((Message("user", "what?", (b"\xff\xd8jpeg", b"\x89PNG")),)))
    first, second, third = server.bodies[0]["messages"][0]["content"]
    assert first["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert second["image_url"]["url"].startswith("data:image/png;base64,") and third == {
        "type": "text",
        "text": "what?",
    }


@pytest.mark.parametrize(
    "trouble",
    [
        status(500),
        status(503),
        page(502),
        status(429),
        hangs_up,
        raw(b'{"choices": [{"mess'),
        raw(b'{"error": "busy"}'),
    ],
    ids=["500", "503", "502 page", "429", "hangs up", "truncated", "error in disguise"],
)
def test_trouble_that_passes_is_tried_again(trouble: object) -> None:
    with OddServer(trouble, says("at last")) as server:  # type: ignore[arg-type]
        assert one(model(server.url)) == ChatReply("at last")
    assert len(server.bodies) == 2


def test_retry_after_is_kept() -> None:
    with OddServer(status(429, retry_after="0.4"), says("now")) as server:
        assert one(model(server.url)) == ChatReply("now")
    assert server.times[1] - server.times[0] >= 0.4


def test_a_pause_that_is_too_long_ends_the_run_at_once() -> None:
    with OddServer(status(429, retry_after="3600")) as server, pytest.raises(ServerError, match="pause of 3600 s"):
        one(model(server.url, max_wait_s=5))
    assert len(server.bodies) == 1


def test_a_rate_limit_that_stays_is_an_error() -> None:
    with OddServer(status(429)) as server, pytest.raises(ServerError, match="still limits the rate after 3 tries"):
        one(model(server.url))


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [(status(500, "boom"), "InternalServerError"), (raw(b'{"choices": []}'), "BadReply"), (raw(b"{"), "BadReply")],
    ids=["500", "no choice", "truncated"],
)
def test_trouble_that_stays_fails_the_request_alone(trouble: object, kind: str) -> None:
    with OddServer(trouble) as server:  # type: ignore[arg-type]
        reply = one(model(server.url))
    assert isinstance(reply, Failed) and reply.error_type == kind and "3 tries" in reply.message
    assert len(server.bodies) == 3


def test_a_web_page_says_that_the_address_is_wrong() -> None:
    with OddServer(page()) as server, pytest.raises(ServerError, match="answers with a web page"):
        one(model(server.url, num_retries=0))


def test_a_slow_server_times_out_and_its_worst_case_counts_as_spent(tmp_path: Path) -> None:
    with OddServer(slow(2.0, says("late"))) as server:
        chat = model(server.url, tmp_path, timeout_s=0.2, num_retries=1, usd_per_million_output=1e6, max_cost_usd=1e6)
        reply = one(chat, request(max_tokens=3))
    assert isinstance(reply, Failed) and reply.error_type == "Timeout"
    assert [json.loads(line)["usd"] for line in (tmp_path / "cost-main.jsonl").read_text().splitlines()] == [3.0, 3.0]


def test_a_server_that_is_down_is_an_error_that_says_where() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    with pytest.raises(ServerError, match="cannot be reached") as caught:
        one(model(f"http://127.0.0.1:{port}/v1"))
    assert str(port) in str(caught.value) and "run the same command again" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "says_what"), [(401, "rejects the key"), (403, "rejects the key"), (404, "no such model or address")]
)
def test_what_no_retry_can_help(code: int, says_what: str) -> None:
    message = f"Incorrect API key provided: {KEY}, or {KEY[:-4]}****"
    with OddServer(status(code, message)) as server, pytest.raises(ServerError, match=says_what) as caught:
        one(model(server.url))
    assert len(server.bodies) == 1
    assert "very-secret" not in str(caught.value) and "[RUSHES_TEST_KEY]" in str(caught.value)


def test_a_key_never_shows(tmp_path: Path) -> None:
    with OddServer(status(400, f"your key {KEY} is fine, the request is not"), says("ok")) as server:
        chat = model(server.url, tmp_path, max_concurrent=1)
        failed, _ = chat.reply([request("a"), request("b")])
    assert isinstance(failed, Failed)
    shown = repr(failed) + repr(chat) + repr(vars(chat)) + repr(vars(chat.model))  # type: ignore[attr-defined]
    assert KEY not in shown and KEY[:12] not in shown
    assert all(KEY.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_context_that_is_too_long_is_told_apart() -> None:
    said = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."
    with OddServer(status(400, said)) as server:
        reply = one(model(server.url))
    assert isinstance(reply, Failed) and reply.error_type == TOO_LONG and "8192" in reply.message
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("response_format", "response_format is not supported"),
        ("top_logprobs", "top_logprobs must be 0"),
        ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        ("temperature", "temperature does not support 0"),
    ],
)
def test_a_setting_that_a_server_does_not_take_is_left_out_from_then_on(setting: str, message: str) -> None:
    asked = request(schema={"type": "object", "properties": {}}, num_logprobs=5)
    with OddServer(refuses(setting, message, says("ok"))) as server:
        chat = model(server.url)
        assert one(chat, asked) == one(chat, asked) == ChatReply("ok")
    assert [setting in body for body in server.bodies] == [True, False, False]
    if setting == "max_tokens":
        assert server.bodies[-1]["max_completion_tokens"] == asked.max_tokens


def test_other_refusals_fail_the_request_alone() -> None:
    with OddServer(status(400, "content policy"), says("fine")) as server:
        failed, fine = model(server.url, max_concurrent=1).reply([request("a"), request("b")])
    assert isinstance(failed, Failed) and failed.error_type == "Http400" and fine == ChatReply("fine")


def test_order_is_kept_and_concurrency_bounded() -> None:
    with OddServer(slow(0.2, replies(lambda body: asked_text(body)))) as server:
        given = model(server.url, max_concurrent=3).reply([request(str(i)) for i in range(9)])
    assert given == [ChatReply(str(i)) for i in range(9)]
    assert 2 <= server.most_at_once <= 3


def test_a_cut_reply_says_so() -> None:
    with OddServer(cut_off("half a sen")) as server:
        assert one(model(server.url)) == ChatReply("half a sen", is_cut=True)


def test_replies_are_kept_by_content_and_damage_is_a_miss(tmp_path: Path) -> None:
    with OddServer(says("hi", {"Yes": 0.5})) as server:
        asked = [request("a", num_logprobs=5), request("b"), request("a", num_logprobs=5)]
        first = model(server.url, tmp_path).reply(asked)
        again = model(server.url, tmp_path).reply(asked)
        assert first == again and len(server.bodies) == 2
        files = sorted((tmp_path / "replies").rglob("*.json"))
        files[0].write_text('{"text": "hi", "is_c')
        assert model(server.url, tmp_path).reply(asked) == first and len(server.bodies) == 3
        files[0].write_text(files[0].read_text().replace("hi", "ha"))
        assert model(server.url, tmp_path).reply(asked) == first and len(server.bodies) == 4
        one(model(server.url, tmp_path), request("a", num_logprobs=5, seed=1))
        assert len(server.bodies) == 5


def test_an_error_that_ends_a_call_loses_no_reply_that_came_before(tmp_path: Path) -> None:
    asked = [request(str(i)) for i in range(6)]
    with OddServer(*[says("hi")] * 5, status(401), says("hi")) as server:
        with pytest.raises(ServerError):
            model(server.url, tmp_path, max_concurrent=1).reply(asked)
        assert len(list((tmp_path / "replies").rglob("*.json"))) == 5
        assert model(server.url, tmp_path).reply(asked) == [ChatReply("hi")] * 6
    assert len(server.bodies) == 7, "only what has no reply is asked again"


def test_failures_are_not_kept(tmp_path: Path) -> None:
    with OddServer(status(500), says("ok")) as server:
        chat = model(server.url, tmp_path, num_retries=0)
        assert isinstance(one(chat), Failed)
        assert one(chat) == ChatReply("ok")


def test_the_cost_cap_is_hard_and_outlives_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = {"usd_per_million_output": 1e6, "max_cost_usd": 5.0}
    with OddServer(says("ok", num_output=2)) as server:
        chat = model(server.url, tmp_path, **prices)
        for name in "ab":
            assert one(chat, request(name, max_tokens=2)) == ChatReply("ok")
        with pytest.raises(CostCapReached, match=r"4\.0000 of 5\.0000 US dollars"):
            one(chat, request("c", max_tokens=2))
        assert one(chat, request("a", max_tokens=2)) == ChatReply("ok"), "what is kept costs nothing"
        monkeypatch.setattr(connect_module, "_meters", {})
        with pytest.raises(CostCapReached):
            one(model(server.url, tmp_path, **prices), request("c", max_tokens=2))
        assert len(server.bodies) == 2


def test_the_cost_cap_holds_with_many_at_once(tmp_path: Path) -> None:
    with OddServer(slow(0.02, says("ok", num_output=1))) as server:
        chat = model(server.url, tmp_path, usd_per_million_output=1e6, max_cost_usd=3.0, max_concurrent=8)
        with pytest.raises(CostCapReached):
            chat.reply([request(str(i), max_tokens=1) for i in range(12)])
    assert len(server.bodies) == 3


def test_a_server_without_an_entry_is_named_with_the_nearest() -> None:
    runtime = RuntimeSpec(servers={"main": ServerRuntime(url="http://localhost:1/v1")})
    with pytest.raises(RecipeError, match="'mian'") as caught:
        chat_model(ServerModelSpec(model="m", server="mian"), runtime)
    assert "did you mean 'main'?" in str(caught.value)


def test_a_key_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUSHES_TEST_KEY")
    with pytest.raises(RecipeError, match="key of the server 'main'") as caught:
        model("http://localhost:1/v1")
    assert "export RUSHES_TEST_KEY=" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("key_env", KEY), ("url", f"http://me:{KEY}@host/v1"), ("url", f"https://host/v1?key={KEY}"), ("url", "ftp://x")],
)
def test_a_key_in_the_recipe_is_refused_without_showing_it(name: str, value: str) -> None:
    from rushes.recipe.load import parse_recipe

    servers = {"main": {"url": "http://localhost:1/v1"} | {name: value}}
    with pytest.raises(RecipeError) as caught:
        parse_recipe(json.dumps({"runtime": {"servers": servers}}), source="r.yaml")
    assert name in str(caught.value) and KEY not in str(caught.value)


def test_backoff_grows_is_capped_and_jitters() -> None:
    draw = random.Random(0)
    pauses = [[backoff_s(attempt, 10.0, draw) for _ in range(200)] for attempt in range(1, 8)]
    for attempt, found in enumerate(pauses, 1):
        full = min(10.0, 0.5 * 2 ** (attempt - 1))
        assert full / 2 <= min(found) < 0.6 * full and 0.9 * full < max(found) <= full


def test_what_a_server_asks_to_wait() -> None:
    now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert asked_wait_s({"retry-after": "7"}) == 7.0
    assert asked_wait_s({"retry-after-ms": "250", "retry-after": "7"}) == 0.25
    assert asked_wait_s({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, now) == 30.0
    assert asked_wait_s({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, now) == 0.0
    assert [
        asked_wait_s(each) for each in ({}, {"retry-after": "soon"}, {"retry-after": "-3"}, {"retry-after": "nan"})
    ] == [None] * 4


def test_a_call_that_cannot_go_on_does_not_wait_for_its_pauses() -> None:
    with OddServer(status(401)) as server:
        start = time.monotonic()
        with pytest.raises(ServerError):
            model(server.url, max_concurrent=2).reply([request(str(i)) for i in range(50)])
    assert time.monotonic() - start < 30 and len(server.bodies) < 50


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_both_hosts_are_named(code: int) -> None:
    with OddServer(says("stolen")) as other:
        away = other.url.replace("127.0.0.1", "localhost") + "/chat/completions?token=abc"
        with (
            OddServer(status(code, location=away)) as server,
            pytest.raises(ServerError, match="sends requests on") as e,
        ):
            one(model(server.url))
        assert other.bodies == []
    assert other.url[7:-3].replace("127.0.0.1", "localhost") in str(e.value) and server.url in str(e.value)
    assert "token=abc" not in str(e.value)


def test_money_that_is_used_up_ends_the_run_at_once() -> None:
    for behaviour in (status(402, "Payment required"), status(429, "insufficient_quota")):
        with OddServer(behaviour) as server, pytest.raises(ServerError, match="asks for payment"):
            one(model(server.url))
        assert len(server.bodies) == 1


def test_the_time_limit_is_for_the_whole_reply() -> None:
    def drips(handler: Handler, body: dict[str, object]) -> None:
        handler.send(200, b"", length=100_000)
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)
        handler.close_connection = True

    with OddServer(drips) as server:
        reply = one(model(server.url, timeout_s=0.3, num_retries=0))
    assert reply == Failed("Timeout", "no complete reply within 0.3 s (1 try)")


@pytest.mark.parametrize("code", [200, 500])
def test_a_body_has_a_largest_size_after_decompression(code: int) -> None:
    import gzip

    data = gzip.compress(b" " * (MAX_REPLY_BYTES + 1))
    with OddServer(lambda handler, body: handler.send(code, data, {"content-encoding": "gzip"})) as server:
        reply = one(model(server.url))
    assert len(data) < 20_000 and reply == Failed("ReplyTooLarge", "the reply is longer than 8 MiB", retry="useless")
    assert len(server.bodies) == 1


def test_a_compressed_reply_is_read() -> None:
    import gzip

    data = gzip.compress(completion("hi"))
    with OddServer(lambda handler, body: handler.send(200, data, {"content-encoding": "gzip"})) as server:
        assert one(model(server.url)) == ChatReply("hi")


def test_a_connection_that_is_always_lost_costs_its_own_request() -> None:
    def poisoned(handler: Handler, body: dict[str, object]) -> None:
        (hangs_up if asked_text(body) == "2" else says("ok"))(handler, body)

    with OddServer(poisoned) as server:
        given = model(server.url).reply([request(str(i)) for i in range(5)])
    assert [isinstance(each, Failed) for each in given] == [False, False, True, False, False]
    assert isinstance(given[2], Failed) and "the connection was lost" in given[2].message


def test_a_server_that_loses_every_connection_ends_the_run() -> None:
    with OddServer(hangs_up) as server, pytest.raises(ServerError, match="gives every request the same error"):
        model(server.url).reply([request(str(i)) for i in range(5)])


def test_one_request_is_no_everywhere_however_often_it_is_sent() -> None:
    with OddServer(hangs_up) as server:
        client = model(server.url, num_retries=1)
        for _ in range(5):
            (given,) = client.reply([request("poison")])
            assert isinstance(given, Failed)


def test_a_run_that_has_only_its_poisoned_requests_left_does_not_end_by_them(tmp_path: Path) -> None:
    def poisoned(handler: Handler, body: dict[str, object]) -> None:
        (hangs_up if "poison" in asked_text(body) else says("ok"))(handler, body)

    with OddServer(poisoned) as server:
        assert model(server.url, tmp_path, num_retries=1).reply([request("fine")]) == [ChatReply("ok")]
        again = model(server.url, tmp_path, num_retries=1)
        given = again.reply([request(f"poison {i}") for i in range(40)])
    assert all(isinstance(each, Failed) for each in given)
    assert len(server.bodies) < 1 + 2 * 40, "after many of them, each is asked once"


@pytest.mark.parametrize(("code", "most"), [(500, 10), (400, 8)])
def test_the_same_words_to_every_request_end_the_run(code: int, most: int) -> None:
    def refuse(handler: Handler, body: dict[str, object]) -> None:
        status(code, f"image input is not supported (request {len(server.bodies)})")(handler, body)

    with OddServer(refuse) as server, pytest.raises(ServerError, match="same error") as caught:
        model(server.url, num_retries=5, max_concurrent=4).reply([request(str(i)) for i in range(18)])
    assert len(server.bodies) <= most and "image input is not supported" in str(caught.value)
    assert "--mmproj" in str(caught.value)


def test_a_bad_spell_of_a_server_that_answered_ends_no_run() -> None:
    answers = iter([200, *[500] * 14])

    def spell(handler: Handler, body: dict[str, object]) -> None:
        code = next(answers, 200)
        (says("ok") if code == 200 else status(code, "Internal error"))(handler, body)

    with OddServer(spell) as server:
        given = model(server.url, max_concurrent=1, num_retries=1).reply([request(str(i)) for i in range(12)])
    assert sum(isinstance(each, Failed) for each in given) == 7


def test_a_stop_ends_a_pause_and_keeps_what_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "backoff_s", lambda attempt, longest_s, draw: 600.0)
    monkeypatch.setattr(call_module, "is_stopping", lambda: len(server.bodies) > 1)
    with OddServer(says("ok"), status(503)) as server, pytest.raises(Stopped):
        model(server.url, tmp_path, max_concurrent=1).reply([request("a"), request("b"), request("c")])
    assert len(server.bodies) == 2 and len([*(tmp_path / "replies").rglob("*.json")]) == 1


def test_replies_are_kept_when_another_request_ends_the_call(tmp_path: Path) -> None:
    with OddServer(says("ok"), says("ok"), status(401)) as server:
        chat = model(server.url, tmp_path, max_concurrent=1)
        for expected in (3, 4):
            with pytest.raises(ServerError):
                chat.reply([request(str(i)) for i in range(5)])
            assert len(server.bodies) == expected
    assert len([*(tmp_path / "replies").rglob("*.json")]) == 2


def test_a_key_in_a_good_reply_reaches_neither_caller_nor_cache(tmp_path: Path) -> None:
    escaped = json.dumps(f"your key is {KEY}").replace("s", "\\u0073")
    echoes = raw(b'{"choices": [{"message": {"content": %s}}]}' % escaped.encode())
    with OddServer(says(f"{KEY} it is"), echoes) as server:
        chat = model(server.url, tmp_path, max_concurrent=1)
        given = chat.reply([request("a"), request("b")])
    assert given == [ChatReply("[RUSHES_TEST_KEY] it is"), ChatReply("your key is [RUSHES_TEST_KEY]")]
    assert all(KEY.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_key_in_the_candidates_of_a_good_reply_is_hidden_in_any_spelling(tmp_path: Path) -> None:
    escaped = json.dumps(KEY).replace("s", "\\u0073")
    top = b'[{"token": %s, "logprob": -0.1}, {"token": "yes", "logprob": -3}]' % escaped.encode()
    body = b'{"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{"top_logprobs": %s}]}}]}' % top
    with OddServer(raw(body)) as server:
        given = one(model(server.url, tmp_path), request(num_logprobs=20, max_tokens=1))
    assert isinstance(given, ChatReply) and given.first_token is not None
    assert KEY[:8] not in repr(given)
    assert all(KEY[:8].encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_replies_that_cannot_be_used_cost_as_much_as_a_request_may(tmp_path: Path) -> None:
    prices = {"usd_per_million_output": 1e6, "max_cost_usd": 5.0}
    with OddServer(raw(b"{}")) as server:
        chat = model(server.url, tmp_path, num_retries=5, max_concurrent=1, **prices)
        with pytest.raises(CostCapReached):
            one(chat, request("a", max_tokens=2))
    assert len(server.bodies) == 2, "each is counted at 2 of 5 dollars"


def test_log_probabilities_that_never_come_are_no_longer_requested() -> None:
    with OddServer(says("Yes")) as server, pytest.warns(UserWarning, match="hard yes or no"):
        chat = model(server.url, max_concurrent=1)
        given = chat.reply([request(str(i), num_logprobs=20, max_tokens=1) for i in range(12)])
    assert len(server.bodies) == 8 and given[-1] == Failed(
        NO_CHANCES, "tiny gives no log-probabilities", retry="useless"
    )


def test_a_reply_without_them_is_no_habit_of_a_server_that_gave_some() -> None:
    with OddServer(says("Yes", {"Yes": 0.9, "No": 0.05}), says("Yes")) as server:
        chat = model(server.url, max_concurrent=1)
        chat.reply([request(str(i), num_logprobs=20, max_tokens=1) for i in range(12)])
    assert len(server.bodies) == 12


def test_certainty_by_temperature_is_no_probability() -> None:
    with OddServer(says("Yes", {"Yes": 1.0, "No": 1e-300})) as server:
        assert one(model(server.url), request(num_logprobs=20)) == ChatReply("Yes")


def test_further_entries_of_a_request_are_sent_and_enter_the_cache(tmp_path: Path) -> None:
    further = {"chat_template_kwargs": {"enable_thinking": False}}
    with OddServer(says("ok")) as server:
        runtime = RuntimeSpec(servers={"main": ServerRuntime(url=server.url)}, cache_folder=str(tmp_path))
        for spec in (ServerModelSpec(model="m", extra_body=further), ServerModelSpec(model="m")):
            assert one(chat_model(spec, runtime)) == ChatReply("ok")
    assert [body.get("chat_template_kwargs") for body in server.bodies] == [{"enable_thinking": False}, None]


def test_what_rushes_sets_itself_is_no_further_entry() -> None:
    with pytest.raises(ValueError, match="must not set what Rushes sets itself: messages"):
        ServerModelSpec(model="m", extra_body={"messages": []})


def test_a_notebook_already_runs_a_loop() -> None:
    async def cell() -> ChatReply | Failed:
        return one(model(server.url))

    with OddServer(says("ok")) as server:
        assert asyncio.run(cell()) == ChatReply("ok")
