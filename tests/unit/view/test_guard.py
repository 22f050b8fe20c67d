"""Nobody but the person who started the studio gets an answer from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.view.guard import HEADERS, Rules
from tests.support.studio import RULES, client, stranger

HOST = f"127.0.0.1:{RULES.port}"


def test_without_token_there_is_nothing(tmp_path: Path) -> None:
    answer = stranger(tmp_path).get("/")
    assert answer.status_code == 401 and "Runs" not in answer.text


def test_the_link_gives_a_cookie_and_the_token_leaves_the_address(tmp_path: Path) -> None:
    answer = stranger(tmp_path).get(f"/?token={RULES.token}&sort=gain")
    assert answer.status_code == 303 and answer.headers["location"] == "/?sort=gain"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and RULES.cookie in cookie


def test_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    answer = stranger(tmp_path).get(f"http://{HOST}//evil.example/x?token={RULES.token}")
    assert answer.headers["location"] == "/evil.example/x"


@pytest.mark.parametrize("token", ["", "x", RULES.token[:-1], RULES.token.upper(), RULES.token + "é"])
def test_a_wrong_token_gives_nothing(tmp_path: Path, token: str) -> None:
    answer = stranger(tmp_path).get("/", params={"token": token})
    assert answer.status_code == 401 and "set-cookie" not in answer.headers


def test_the_cookie_opens_the_page_with_a_strict_policy(tmp_path: Path) -> None:
    answer = client(tmp_path).get("/")
    assert answer.status_code == 200 and "<h1>Runs</h1>" in answer.text
    assert all(answer.headers[name] == value for name, value in HEADERS.items())
    assert "unsafe" not in answer.headers["content-security-policy"] and answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example:8600", "evil.example", "127.0.0.1:8601", "127.0.0.1", "10.0.0.7:8600"])
def test_another_host_is_refused(tmp_path: Path, host: str) -> None:
    assert client(tmp_path).get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8600", "[::1]:8600", HOST])
def test_this_machine_is_known_by_its_names(tmp_path: Path, host: str) -> None:
    assert client(tmp_path).get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"https://{HOST}"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_another_origin_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    answer = client(tmp_path).get("/", headers=headers)
    assert answer.status_code == 403 and "Runs" not in answer.text


def test_the_own_origin_is_not(tmp_path: Path) -> None:
    assert client(tmp_path).get("/", headers={"origin": f"http://{HOST}"}).status_code == 200


def test_nothing_is_written_without_write(tmp_path: Path) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = client(tmp_path).request(method, "/", headers={"origin": f"http://{HOST}"})
        assert answer.status_code == 405 and "--write" in answer.text


def test_with_write_a_request_must_say_its_origin(tmp_path: Path) -> None:
    writing = client(tmp_path, may_write=True)
    assert writing.post("/").status_code == 403
    assert writing.post("/", headers={"origin": f"http://{HOST}"}).status_code == 405  # the page takes none


def test_on_the_network_addresses_are_hosts_and_names_are_not() -> None:
    rules = Rules("t", 8600, host="0.0.0.0")
    assert rules.is_host("192.168.1.5:8600") and not rules.is_host("evil.example:8600")
    assert not RULES.is_host("192.168.1.5:8600")


@pytest.mark.parametrize("path", ["/static/../guard.py", "/static/%2e%2e/guard.py", "/static/..%2fguard.py"])
def test_static_files_stay_in_their_folder(tmp_path: Path, path: str) -> None:
    assert client(tmp_path).get(path).status_code == 404
