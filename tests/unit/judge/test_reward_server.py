"""The reference server: by standard input and by an address of this machine, and what the client says of its faults."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from rushes.feedback import GivenPreference, PreferenceRequest, ScaleValue, ScoreRequest
from rushes.judge.reward_server import RewardServerError
from rushes.judge.served import ServedJudgeSpec, ServedPairsSpec
from rushes.recipe.runtime import RewardRuntime, RuntimeSpec
from rushes.roles import Failed, Video

ROOT = Path(__file__).resolve().parents[3]
VIDEO = Video(np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), np.uint8), 8.0)
BRIGHT = Video(VIDEO.frames_THWC // 2 + 120, 8.0)
SPEC = ServedJudgeSpec.model_validate({"server": "own", "model": "me/light@1", "scales": {"light": "grey levels"}})
PAIRS = ServedPairsSpec(server="own", model="me/light@1", has_position_bias=False)
SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT / "reward_servers")!r})
import reward_server
print("weights loaded")
import cv2
def light(clip):
    return float(sum(cv2.imread(each).mean() for each in clip.pictures(3)) / 3)
def score(clip, text, dimension):
    print("a library that prints")
    if text == "empty":
        raise ValueError("nothing to see")
    return {{"light": "too dark" if text == "dark" else light(clip)}}
def prefer(first, second, text, dimension):
    return float(light(first) > light(second))
reward_server.serve("me/light@1", ["light"], score, prefer)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "my_server.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def at(**how: Any) -> RuntimeSpec:
    return RuntimeSpec.model_validate({"rewards": {"own": {"start_s": 60, **how}}})


@contextmanager
def listening(script: Path, *words: str, **environment: str) -> Iterator[str]:
    """The reference server at a free port."""
    command = [sys.executable, str(script), "--port", "0", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment or None, text=True)
    try:
        assert process.stderr is not None
        with process.stderr as lines:
            line = next(each for each in lines if each.startswith("serving at "))
            yield line.removeprefix("serving at ").strip()
    finally:
        process.kill()
        process.wait()


def check(runtime: RuntimeSpec) -> None:
    asked = [ScoreRequest(VIDEO, text, "Material") for text in ("a", "dark", "empty", "b")]
    first, dark, empty, again = SPEC.build(runtime).score(asked)
    assert first == again and not isinstance(first, Failed) and first[0].value == pytest.approx(127, abs=2)
    assert dark == (ScaleValue("light", None, "the server says: too dark"),)
    assert isinstance(empty, Failed) and "the server says: ValueError: nothing to see" in empty.message
    pairs = [PreferenceRequest(*each, "a", "Material") for each in ((VIDEO, BRIGHT), (BRIGHT, VIDEO))]
    assert list(PAIRS.build(runtime).prefer(pairs)) == [GivenPreference(0.0), GivenPreference(1.0)]


def test_as_a_command_whatever_libraries_print(script: Path) -> None:
    check(at(command=f"{sys.executable} {script}"))


def test_at_an_address_whatever_proxy_is_set(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with listening(script) as url:
        check(at(url=url))


def test_with_a_key(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(script, "--key-env", "LIGHT_KEY", LIGHT_KEY="abc-123-def-456") as url:
        with pytest.raises(RewardServerError, match="does not greet: status 401"):
            list(SPEC.build(at(url=url)).score([ScoreRequest(VIDEO, "a", "Material")]))
        monkeypatch.setenv("LIGHT_KEY", "abc-123-def-456")
        check(at(url=url, key_env="LIGHT_KEY"))


def test_opencv_reads_the_frames_that_were_sent(script: Path, tmp_path: Path) -> None:
    from rushes.judge.reward_server import _FAST
    from rushes.store.video import encode_video

    (tmp_path / "clip.mp4").write_bytes(encode_video(VIDEO.frames_THWC, VIDEO.fps, _FAST))
    reader = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    frames = [reader.read()[1][..., ::-1] for _ in range(5)]
    assert (np.stack(frames) == VIDEO.frames_THWC).all() and reader.get(cv2.CAP_PROP_FPS) == 8.0


GREETING = {"protocol": "rushes-reward-1", "model": "me/light@1", "scales": ["light"]}


@contextmanager
def odd(status: int, body: bytes, headers: dict[str, str] | None = None) -> Iterator[str]:
    """A server that greets well and answers everything else alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            is_hello = asked["ask"] == "hello"
            self.send_response(200 if is_hello else status)
            for name, value in ({} if is_hello else headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(GREETING).encode() if is_hello else body)

        def log_message(self, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "headers", "says"),
    [
        (500, b"CUDA out of memory", {}, "status 500: CUDA out of memory"),
        (302, b"", {"location": "http://example.com/"}, "sends requests on to another address, which is not followed"),
        (200, b"<html>", {}, "expected a JSON object and nothing else, got '<html>'"),
        (200, b'{"id": 7, "values": {}}', {}, "expected the reply to request 1, got one to 7"),
        (200, b" " * (2 << 20), {}, "its reply is longer than 1 MiB"),
        (200, b" " * (9 << 20), {}, "the reply is longer than 8 MiB"),
    ],
)
def test_faults_at_an_address(status: int, body: bytes, headers: dict[str, str], says: str) -> None:
    with odd(status, body, headers) as url:
        (found,) = SPEC.build(at(url=url)).score([ScoreRequest(VIDEO, "a", "Material")])
    assert isinstance(found, Failed) and says in found.message


def test_nobody_listens() -> None:
    with pytest.raises(RewardServerError, match="does not greet: it cannot be reached"):
        list(SPEC.build(at(url="http://127.0.0.1:9")).score([ScoreRequest(VIDEO, "a", "Material")]))


@pytest.mark.parametrize(
    "how",
    [
        {"url": "http://192.168.0.7:8090"},
        {"url": "http://rewards.example.com"},
        {"url": "http://me:secret@127.0.0.1"},
        {"command": "python 'server.py"},
        {"command": "  "},
        {"command": "python x.py", "url": "http://127.0.0.1:8090"},
        {},
    ],
)
def test_what_is_no_reward_server(how: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        RewardRuntime.model_validate(how)
