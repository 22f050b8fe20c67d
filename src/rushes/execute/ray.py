"""Work on a Ray cluster, or on several processes of this machine: one actor per worker, one item per actor at a time.

The call is sent to each worker once and kept there, so a `Lazily` builds its model once per worker. After that only
items and results are sent. Workers write blobs themselves, so the run folder must be on a disk that all of them share.
"""

from __future__ import annotations

import importlib
import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from rushes.errors import Stopped, UserError
from rushes.execute.local import outcome
from rushes.execute.stop import is_stopping, tell_to_stop
from rushes.execute.work import Done, Failed, Needs

Item = TypeVar("Item")
Result = TypeVar("Result")

INSTALL: Final = "pip install -c constraints.txt 'rushes[ray]'"
_POLL_S: Final = 0.5
"""How long to wait for Ray at a time, seconds: Python handles Ctrl-C in between."""
_HALTED_S: Final = 20.0
"""How long a worker may take to answer that the user asks to stop, seconds: one that is halted never does."""
_ANSWER_S: Final = 5.0
"""How long a cluster's port may take to answer, seconds."""
_SETTINGS: Final = 4
_AT_KIND: Final = 3
_HELLO: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])
"""The first bytes of a gRPC client (RFC 9113, 3.4): a server answers with a frame of the kind SETTINGS."""
_METHODS: Final = ("/ray.rpc.NodeInfoGcsService/CheckAlive", "/ray.rpc.RayletDriver/ClusterInfo")
"""A method of each of Ray's two ports: no other server knows one of them."""
_CONNECT_S: Final = 60.0
"""How long a connection to a port that answers may take, seconds."""
_PROBE: Final = "import ray, sys; ray.init(sys.argv[1], configure_logging=False, log_to_driver=False)"
_SHOWN: Final = 400
_BESIDE: Final = "beside"
"""Group of a worker's calls that run while it works; `do` stays in one thread of its own."""
_LOST: Final = frozenset(
    {"RayActorError", "NodeDiedError", "WorkerCrashedError", "LocalRayletDiedError", "ObjectLostError"}
)
"""Ray's errors for a worker or a machine that is gone; a preempted one is `RayActorError`."""


@dataclass(frozen=True)
class RayExecutor:
    """An `Executor` over Ray. It behaves like the local one to its caller; see `rushes.execute.work.Executor`."""

    num_workers: int = 1
    """Workers at most; fewer if the cluster has too few resources."""
    address: str | None = None
    """A running cluster ("auto", "ray://host:10001"); None starts one on this machine, for this process only."""

    def map(
        self, call: Callable[[Item], Result], items: Iterable[Item], *, needs: Needs | None = None
    ) -> Iterator[Done[Result]]:
        """Results as they finish; see `rushes.execute.work.Executor`.

        A worker that dies (out of memory, a lost machine) fails its current item without blame (`Failed.retry` is
        "free"); another worker replaces it.

        Raises:
            UserError: raised by a call, after the other workers' current items finish; Ray is not installed or cannot
                be reached; no machine of the cluster has what a worker needs.
            Stopped: raised by a call, likewise.
        """
        ray = connect(self.address, self.num_workers, needs or Needs())
        crew = _Crew(ray, call, needs or Needs(), size(ray, self.num_workers, needs or Needs()))
        try:
            yield from _work(crew, enumerate(items))
        finally:
            crew.dismiss()


def _work(crew: _Crew, source: Iterator[tuple[int, Any]]) -> Iterator[Done[Any]]:
    raised: BaseException | None = None
    while True:
        while raised is None and crew.has_room and (drawn := next(source, None)) is not None:
            crew.hand_out(*drawn)
        if not crew.in_flight:
            break
        for index, result in crew.collect():
            if isinstance(result, _Raised):
                # The other workers' current items are still stored before the error is raised.
                raised = raised or result.error
            else:
                yield Done(index, result)
    if raised is not None:
        raise raised


@dataclass(frozen=True)
class _Raised:
    """An error that the caller must raise, as a value, because Ray would wrap an exception in its own."""

    error: BaseException


class _Worker:
    """Runs in a separate process and keeps the call, with whatever the call has built."""

    def __init__(self, call: Callable[[Any], Any]) -> None:
        self._call = call

    def do(self, item: Any) -> Any:
        try:
            return outcome(self._call, item)
        except (UserError, Stopped) as error:
            return _Raised(error)

    def stop(self) -> None:
        """Runs beside `do`: what only waits there, for a server in trouble, ends, and raises `Stopped`."""
        tell_to_stop()


class _Crew:
    """The workers of one `map`: started on demand, one item each at a time."""

    def __init__(self, ray: Any, call: Callable[[Any], Any], needs: Needs, size: int) -> None:
        self._ray = ray
        self._call = ray.put(call)
        self._kind = ray.remote(concurrency_groups={_BESIDE: 1})(_Worker).options(
            num_cpus=needs.num_cpus, num_gpus=needs.num_gpus, resources=dict(needs.tags) or None, max_restarts=0
        )
        self._size = size
        self._idle: list[Any] = []
        self._told: dict[Any, Any] = {}
        self._num_waits = 0
        self.in_flight: dict[Any, tuple[int, Any]] = {}
        """Per pending reference: the item's position and its worker."""

    @property
    def has_room(self) -> bool:
        """Whether a worker is free, or may still be started."""
        return len(self.in_flight) < self._size

    def hand_out(self, index: int, item: Any) -> None:
        """Give an item to a free worker."""
        worker = self._idle.pop() if self._idle else self._kind.remote(self._call)
        self.in_flight[worker.do.remote(item)] = (index, worker)

    def collect(self) -> Iterator[tuple[int, Any]]:
        """Finished items: position, and result, `Failed` or `_Raised`. Waits for at least one."""
        ready: list[Any] = []
        while not ready:
            ready, _ = self._ray.wait(list(self.in_flight), num_returns=1, timeout=_POLL_S)
            self._pass_on_stop()
            if not ready and (halted := self._halted()):
                for reference in halted:
                    index, worker = self.in_flight.pop(reference)
                    self._ray.kill(worker)
                    yield index, Failed("Halted", f"no answer to the stop within {_HALTED_S:.0f} s", retry="free")
                return
        for reference in ready:
            index, worker = self.in_flight.pop(reference)
            try:
                result = self._ray.get(reference)
            except Exception as error:  # every error of Ray: the worker, its machine or its result is gone
                result = Failed.of(error, "free" if _is_lost(error) else "counted")
                self._ray.kill(worker)
            else:
                self._idle.append(worker)
            yield index, result

    def _pass_on_stop(self) -> None:
        if is_stopping() and not self._told:
            for reference, (_, worker) in self.in_flight.items():
                self._told[reference] = worker.stop.options(concurrency_group=_BESIDE).remote()

    def _halted(self) -> list[Any]:
        """Items whose worker has not even answered the stop, long after it: its process is halted, or hangs."""
        self._num_waits += bool(self._told)
        waiting = {self._told[each]: each for each in self.in_flight if each in self._told}
        if not waiting or self._num_waits * _POLL_S < _HALTED_S:
            return []
        _, silent = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        return [waiting[each] for each in silent]

    def dismiss(self) -> None:
        """Stop the workers, busy ones too: their results are no longer needed."""
        for worker in [*self._idle, *(worker for _, worker in self.in_flight.values())]:
            self._ray.kill(worker)
        self._idle.clear()
        self.in_flight.clear()


def _is_lost(error: Exception) -> bool:
    """Whether a worker was taken away, or its machine, rather than broken by its item or unable to start."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & _LOST) and not getattr(error, "actor_init_failed", False)


def check_address(address: str) -> None:
    """Check that a Ray cluster answers, in seconds: Ray itself tries for minutes where none does.

    Raises:
        UserError: nothing answers there, or it is not a Ray cluster that lets this process in.
    """
    meant = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    try:
        place = urlsplit(meant if "://" in meant else f"ray://{meant}")
        where = (place.hostname, place.port) if place.hostname and place.port else None
        said = None if where is None else _not_grpc(*where) or _not_ray(*where)
    except (OSError, ValueError) as error:
        said = str(error)
    if said is not None:
        raise _unreachable(address, said)
    # In a process of its own, which can be ended: a cluster may be in trouble.
    command = [sys.executable, "-c", _PROBE, address]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_CONNECT_S, check=False)
    except subprocess.TimeoutExpired:
        raise _unreachable(address, f"no connection within {_CONNECT_S:.0f} s") from None
    if ended.returncode:
        raise _unreachable(address, (ended.stderr.strip().splitlines() or ["no reason"])[-1])


def _not_grpc(host: str, port: int) -> str | None:
    """Why what listens there is no gRPC server, as both of Ray's ports are; None if it is one, or speaks TLS.

    Raises:
        OSError: nothing listens there.
    """
    with socket.create_connection((host, port), timeout=_ANSWER_S) as line:
        if _uses_tls():
            return None
        try:
            line.sendall(_HELLO)
            answer = line.recv(9)
        except TimeoutError:
            return f"something listens there, but does not answer as Ray does within {_ANSWER_S:g} s"
        except OSError as error:
            return f"something listens there that is not Ray: {error}"
    is_settings = len(answer) > _AT_KIND and answer[_AT_KIND] == _SETTINGS
    return None if is_settings else f"something listens there that is not Ray: it answers {answer!r}"


def _not_ray(host: str, port: int) -> str | None:
    """Why a gRPC server is not Ray's, which may ask for a token first; None if it is, or speaks TLS."""
    if _uses_tls():
        return None
    try:
        grpc = importlib.import_module("grpc")
    except ImportError:  # tensorboard brings it
        return None
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with grpc.insecure_channel(place, options=[("grpc.enable_http_proxy", 0)]) as channel:
        asked = [channel.unary_unary(method).future(b"", timeout=_ANSWER_S) for method in _METHODS]
        answers = {each.code().name for each in asked}
    if answers <= {"UNIMPLEMENTED", "DEADLINE_EXCEEDED", "UNAVAILABLE"}:
        return f"something listens there that is not Ray: a gRPC server that answers {', '.join(sorted(answers))}"
    return None


def _uses_tls() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() not in ("", "0", "false")


def _unreachable(address: str, said: str) -> UserError:
    step = "start one (ray start --head), correct runtime.ray_address, or leave it out for this machine"
    if "token" in said.lower() or "auth" in said.lower():
        step = (
            "the cluster asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to its "
            "token (on the cluster: ray get-auth-token)"
        )
    return UserError(f"no Ray cluster answers at {address}", got=said[:_SHOWN], next_step=step)


def connect(address: str | None, num_workers: int, needs: Needs) -> Any:
    """The `ray` module, connected; an existing connection is reused.

    Raises:
        UserError: Ray is not installed, or the cluster cannot be reached.
    """
    # Ray sends usage reports to its makers by default; nothing may leave the machine unless the recipe says so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise UserError("Ray is not installed", got=str(error), next_step=INSTALL) from None
    if ray.is_initialized():
        return ray
    quiet = {"configure_logging": False, "log_to_driver": False}
    if address is not None:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise _unreachable(address, str(error).split("\n")[0] or type(error).__name__) from None
        return ray
    # As many processes as requested, even with fewer cores: they may spend their time waiting for a server.
    cores = max(math.ceil(num_workers * needs.num_cpus), os.cpu_count() or 1)
    ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
    return ray


def size(ray: Any, num_workers: int, needs: Needs) -> int:
    """How many workers fit on the cluster, at most `num_workers`.

    Raises:
        UserError: not even one fits: no machine has what a worker needs.
    """
    wanted = {"CPU": needs.num_cpus, "GPU": needs.num_gpus, **needs.tags}
    wanted = {name: amount for name, amount in wanted.items() if amount > 0}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = sum(
        min((math.floor(has.get(name, 0.0) / amount + 1e-9) for name, amount in wanted.items()), default=num_workers)
        for has in machines
    )
    if room < 1:
        totals = {name: max((has.get(name, 0.0) for has in machines), default=0.0) for name in wanted}
        raise UserError(
            "no machine of the Ray cluster has what a worker needs",
            expected=", ".join(f"{name} {amount:g}" for name, amount in wanted.items()),
            got=", ".join(f"{name} {amount:g}" for name, amount in totals.items()),
            next_step="add such a machine to the cluster, or change runtime.device and runtime.executor to what it has",
        )
    return min(num_workers, room)
