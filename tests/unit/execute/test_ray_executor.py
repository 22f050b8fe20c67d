"""The Ray executor: the contract on real processes, and what is special about it against a stand-in for Ray."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import UserError
from rushes.execute import ray as ray_module
from rushes.execute.ray import RayExecutor, check_address, connect, size
from rushes.execute.stop import StopSignal, is_stopping
from rushes.roles import Failed, Needs
from tests.contract.executor import check_executor


class Nodes:
    """As much of Ray as `size` looks at."""

    def __init__(self, *machines: dict[str, float]) -> None:
        self.machines = machines

    def nodes(self) -> list[dict[str, Any]]:
        gone = {"Alive": False, "Resources": {"CPU": 1000.0, "GPU": 1000.0}}
        return [{"Alive": True, "Resources": each} for each in self.machines] + [gone]


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (Needs(), 9),
        (Needs(num_cpus=4), 2),  # 8 cores and 1 core: the second machine has no room for a worker
        (Needs(num_cpus=1, num_gpus=0.5), 4),
        (Needs(num_cpus=1, num_gpus=2), 1),
        (Needs(num_cpus=0), 25),
        (Needs(num_cpus=1, tags={"big": 1}), 1),
    ],
)
def test_workers_are_as_many_as_have_room_machine_by_machine(needs: Needs, expected: int) -> None:
    ray = Nodes({"CPU": 8.0, "GPU": 2.0}, {"CPU": 1.0, "big": 1.0})
    assert size(ray, 25, needs) == expected
    assert size(ray, 1, needs) == 1


def test_what_no_machine_has_is_told_before_anything_starts() -> None:
    with pytest.raises(UserError, match="no machine") as caught:
        size(Nodes({"CPU": 8.0}, {"CPU": 8.0}), 4, Needs(num_cpus=2, num_gpus=1))
    assert caught.value.expected == "CPU 2, GPU 1"
    assert caught.value.got_repr == "'CPU 8, GPU 0'"


def test_without_ray_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="Ray is not installed") as caught:
        list(RayExecutor().map(len, ["a"]))
    assert caught.value.next_step == "pip install -c constraints.txt 'rushes[ray]'"


def test_usage_reports_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connected:
        @staticmethod
        def is_initialized() -> bool:
            return True

    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    monkeypatch.setitem(sys.modules, "ray", Connected)  # type: ignore[arg-type]
    connect(None, 1, Needs())
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_an_address_where_nothing_answers_is_told_without_ray() -> None:
    with socket.socket() as taken:  # bound and not listening: refuses
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match="no Ray cluster answers at ray://127") as caught:
            check_address(f"ray://127.0.0.1:{taken.getsockname()[1]}")
    assert caught.value.next_step is not None and "runtime.ray_address" in caught.value.next_step


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of this machine that is open."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        yield opened


def serve(listener: socket.socket, answer: bytes | None) -> None:
    """Answer one client; None keeps silent until it goes away."""

    def talk() -> None:
        line, _ = listener.accept()
        with line:
            line.recv(100)
            if answer is None:
                line.recv(1)
            else:
                line.sendall(answer)

    threading.Thread(target=talk, daemon=True).start()


@pytest.mark.parametrize(
    ("answer", "said"),
    [(None, "does not answer as Ray"), (b"", "not Ray"), (b"HTTP/1.1 400 Bad Request", "b'HTTP/1.1 ")],
)
@pytest.mark.parametrize("form", ["ray://127.0.0.1:{}", "127.0.0.1:{}", "auto"])
def test_an_open_port_that_is_no_cluster_is_told_before_ray_is_asked(
    listener: socket.socket, answer: bytes | None, said: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_module, "_ANSWER_S", 0.2)
    monkeypatch.setattr(ray_module, "_PROBE", "raise SystemExit('asked Ray')")
    port = listener.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    serve(listener, answer)
    with pytest.raises(UserError, match="no Ray cluster answers") as caught:
        check_address(form.format(port))
    assert said in (caught.value.got_repr or "")


@contextlib.contextmanager
def grpc_server(method: str, answer: str) -> Iterator[str]:
    """The address of a gRPC server that answers one method with an error, if it has an answer at all."""
    import grpc

    over = threading.Event()

    def handle(_: bytes, context: Any) -> bytes:
        over.wait() if answer == "nothing" else context.abort(getattr(grpc.StatusCode, answer), "no token")
        return b""

    def find(call: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(handle) if call.method == method else None

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([type("Handler", (grpc.GenericRpcHandler,), {"service": staticmethod(find)})()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        over.set()
        server.stop(None)


GCS, CLIENT = ray_module._METHODS


@pytest.mark.parametrize("method", [GCS, CLIENT])
def test_what_answers_like_a_cluster_is_left_to_ray(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that asks for a token."""
    monkeypatch.setattr(ray_module, "_PROBE", "raise SystemExit('asked Ray')")
    with grpc_server(method, "UNAUTHENTICATED") as address, pytest.raises(UserError, match="asked Ray"):
        check_address(address)


@pytest.mark.parametrize(
    ("method", "answer", "said"), [("/other.Service/Get", "OK", "UNIMPLEMENTED"), (GCS, "nothing", "DEADLINE_EXCEEDED")]
)
def test_another_grpc_server_is_told_before_ray_is_asked(
    method: str, answer: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_module, "_PROBE", "raise SystemExit('asked Ray')")
    if answer == "nothing":
        monkeypatch.setattr(ray_module, "_ANSWER_S", 0.3)
    with grpc_server(method, answer) as address, pytest.raises(UserError, match="not Ray: a gRPC server") as caught:
        check_address(address)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("probe", "said", "step"),
    [
        ("import time; time.sleep(600)", "no connection within 1 s", "ray start --head"),
        ("raise SystemExit('AuthenticationError: invalid auth token')", "invalid auth token", "RAY_AUTH_TOKEN_PATH"),
    ],
)
def test_what_answers_and_is_no_open_cluster_is_told(
    probe: str, said: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_module, "_PROBE", probe)
    monkeypatch.setattr(ray_module, "_CONNECT_S", 1.0 if "sleep" in probe else 60.0)
    with pytest.raises(UserError, match="no Ray cluster answers at auto") as caught:
        check_address("auto")
    assert said in str(caught.value) and step in str(caught.value)


class Dead:
    """As much of Ray as a crew needs whose only worker is gone before it answers."""

    def __init__(self, error: Exception) -> None:
        self.exceptions = importlib.import_module("ray.exceptions")
        self.error = error
        self.remote = self.options = lambda *_, **__: self
        self.do = self
        self.killed = 0

    def __call__(self, kind: object) -> object:
        return self

    def put(self, call: object) -> object:
        return call

    def wait(self, references: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
        return references, []

    def get(self, reference: object) -> Any:
        raise self.error

    def kill(self, worker: object) -> None:
        self.killed += 1


@pytest.mark.parametrize(
    ("name", "how", "retry"),
    [
        ("RayActorError", {"preempted": True}, "free"),
        ("ActorDiedError", {}, "free"),
        ("NodeDiedError", {"message": "gone"}, "free"),
        ("RayActorError", {"actor_init_failed": True}, "counted"),
        ("RaySystemError", {"client_exc": ValueError()}, "counted"),
    ],
)
def test_a_worker_that_is_taken_away_is_no_fault_of_its_item(name: str, how: dict[str, Any], retry: str) -> None:
    exceptions = importlib.import_module("ray.exceptions")
    ray = Dead(getattr(exceptions, name)(**how))
    crew = ray_module._Crew(ray, len, Needs(), 1)
    crew.hand_out(7, "item")
    ((index, failed),) = crew.collect()
    assert (index, failed.retry, ray.killed) == (7, retry, 1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = importlib.import_module("ray")
    yield connect(None, 2, Needs())
    ray.shutdown()


class Waiting:
    """As much of Ray as a crew needs whose worker ends its item only once it is told to stop."""

    def __init__(self) -> None:
        self.remote = self.options = lambda *_, **__: self
        self.do = self
        self.told: list[str] = []
        self.stop = Telling(self.told)

    def __call__(self, kind: object) -> object:
        return self

    def put(self, call: object) -> object:
        return call

    def wait(self, references: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
        return (references, []) if self.told else ([], references)

    def get(self, reference: object) -> str:
        return "kept"


class Hanging(Waiting):
    """The same whose worker ends nothing, but answers the stop or not."""

    def __init__(self, *, answers: bool) -> None:
        super().__init__()
        self.answers, self.num_waits, self.killed = answers, 0, 0

    def wait(self, references: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
        self.num_waits += 1
        is_answer = isinstance(references[0], str)
        if self.num_waits > 200 or (is_answer and self.answers):
            return references, []
        return [], references

    def kill(self, worker: object) -> None:
        self.killed += 1


class Telling:
    """`worker.stop`."""

    def __init__(self, told: list[str]) -> None:
        self.told, self.group = told, ""

    def options(self, concurrency_group: str) -> Telling:
        self.group = concurrency_group
        return self

    def remote(self) -> str:
        self.told.append(self.group)
        return "answer"


def test_a_stop_reaches_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Waiting()
    crew = ray_module._Crew(ray, len, Needs(), 1)
    crew.hand_out(7, "item")
    monkeypatch.setattr(ray_module, "is_stopping", lambda: True)
    assert list(crew.collect()) == [(7, "kept")] and ray.told == ["beside"]


def test_a_worker_that_does_not_even_answer_a_stop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_module, "is_stopping", lambda: True)
    ray = Hanging(answers=False)
    crew = ray_module._Crew(ray, len, Needs(), 1)
    crew.hand_out(7, "item")
    ((index, failed),) = crew.collect()
    assert (index, failed.retry, ray.killed, crew.in_flight) == (7, "free", 1, {})
    assert 40 <= ray.num_waits < 60  # of half a second each

    busy = Hanging(answers=True)
    crew = ray_module._Crew(busy, len, Needs(), 1)
    crew.hand_out(7, "item")
    assert list(crew.collect()) == [(7, "kept")] and busy.killed == 0 and busy.num_waits > 200


def _wait_for_the_stop(item: int) -> int:
    for _ in range(1200):
        if is_stopping():
            return item
        time.sleep(0.05)
    raise AssertionError("not told to stop")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_only_waits_in_a_worker_ends_at_a_stop(cluster: Any) -> None:
    with StopSignal().listening() as stop:
        threading.Timer(3.0, stop.request).start()
        done = list(RayExecutor(2).map(_wait_for_the_stop, range(2)))
    assert sorted((each.index, each.result) for each in done) == [(0, 0), (1, 1)]


def _die(item: int) -> int:
    if item == 1:
        os._exit(3)
    return item


@pytest.mark.slow
@pytest.mark.timeout(1800)  # some thirty processes are started, each of which imports Ray
def test_the_contract_and_a_worker_that_dies(cluster: Any, tmp_path: Path) -> None:
    check_executor(RayExecutor(2), 2, tmp_path)
    done = {each.index: each.result for each in RayExecutor(2).map(_die, range(4))}
    assert isinstance(done[1], Failed)
    assert {done[0], done[2], done[3]} == {0, 2, 3}, "a worker that dies costs its own item only"
