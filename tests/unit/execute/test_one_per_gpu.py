"""One worker per GPU, on a stand-in for Ray with machines, GPUs and workers that hold them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from rushes.context import executor_of, needs_of
from rushes.errors import RecipeError
from rushes.execute import Lazily
from rushes.execute.ray import RayExecutor
from rushes.recipe.runtime import RuntimeSpec
from rushes.roles import Failed


class ActorDied(Exception):
    pass


class FakeRay:
    """As much of Ray as the executor uses; a worker without a free GPU cannot start."""

    def __init__(self, *gpus: int) -> None:
        self.gpus = gpus
        self.free = [f"machine {m}, GPU {g}" for m, num in enumerate(gpus) for g in range(num)]
        self.held: dict[int, str] = {}
        self.most_held = 0
        self.asked: list[dict[str, Any]] = []
        self.where: dict[Any, str] = {}
        self.exceptions = SimpleNamespace(RayActorError=ActorDied, RayTaskError=ZeroDivisionError)

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 8.0, "GPU": float(num)}} for num in self.gpus]

    def put(self, value: Any) -> Any:
        return value

    def remote(self, kind: Callable[..., Any] | None = None, **groups: Any) -> Any:
        if kind is None:
            return partial(self.remote, **groups)

        def options(**needs: Any) -> Any:
            return SimpleNamespace(remote=lambda call: self._start(kind, call, needs))

        return SimpleNamespace(options=options)

    def _start(self, kind: Callable[..., Any], call: Any, needs: dict[str, Any]) -> Any:
        assert self.free, "a worker was started without a free GPU"
        self.asked.append(needs)
        inner = kind(call)
        worker = SimpleNamespace()
        self.held[id(worker)] = self.free.pop(0)
        self.most_held = max(self.most_held, len(self.held))

        def do(item: Any) -> Any:
            self.where[item] = self.held[id(worker)]
            return lambda: inner.do(item)

        worker.do = SimpleNamespace(remote=do)
        return worker

    def wait(self, refs: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        # The youngest first: results need not come in order.
        return refs[-1:], refs[:-1]

    def get(self, ref: Any) -> Any:
        return ref()

    def kill(self, worker: Any) -> None:
        self.free.append(self.held.pop(id(worker)))


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay(3, 1)
    monkeypatch.setitem(sys.modules, "ray", fake)  # type: ignore[arg-type]
    return fake


RUNTIME = RuntimeSpec(device="cuda", num_threads=2, executor="ray", num_workers=8)


def test_every_worker_holds_one_gpu_and_no_gpu_has_two(ray: FakeRay) -> None:
    built: list[int] = []
    do = Lazily(lambda: built.append(1) or len(built), lambda tool, item: item * item)
    executor = executor_of(RUNTIME)
    assert isinstance(executor, RayExecutor)
    done = sorted((each.index, each.result) for each in executor.map(do, range(12), needs=needs_of(RUNTIME)))
    assert done == [(i, i * i) for i in range(12)]
    # Eight workers were asked for; four GPUs make four, of 2 cores and 1 GPU each.
    assert [(each["num_gpus"], each["num_cpus"]) for each in ray.asked] == [(1.0, 2.0)] * 4
    assert ray.most_held == 4 and len(set(ray.where.values())) == 4
    assert ray.held == {}, "the GPUs are given back"


def test_a_worker_that_dies_gives_its_gpu_to_the_next(ray: FakeRay) -> None:
    def die(item: int) -> int:
        return item

    get = ray.get

    def get_or_die(ref: Any) -> Any:
        result = get(ref)
        if result == 5:
            raise ActorDied("out of memory")
        return result

    ray.get = get_or_die  # type: ignore[method-assign]
    done = {each.index: each.result for each in RayExecutor(8).map(die, range(9), needs=needs_of(RUNTIME))}
    failed = done.pop(5)
    assert isinstance(failed, Failed) and failed.error_type == "ActorDied"
    assert done == {i: i for i in range(9) if i != 5}
    assert len(ray.asked) == 5 and ray.most_held == 4


def test_a_numbered_gpu_is_refused_for_workers_that_have_one_each() -> None:
    """Ray shows each worker its own GPU only, under number 0."""
    with pytest.raises(RecipeError, match="one GPU each") as caught:
        executor_of(RUNTIME.model_copy(update={"device": "cuda:1"}))
    assert caught.value.next_step == "--set runtime.device=cuda"
    assert executor_of(RUNTIME.model_copy(update={"device": "cuda:1", "executor": "local"})) is None
