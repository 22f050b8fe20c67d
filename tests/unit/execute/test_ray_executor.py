"""The Ray executor: the contract on real processes, and what is special about it against a stand-in for Ray."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import UserError
from rushes.execute.ray import RayExecutor, connect, size
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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = importlib.import_module("ray")
    yield connect(None, 2, Needs())
    ray.shutdown()


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
