"""The first process's side of training together: start or find the others, tell them what to do, notice when one dies.

They talk through a small key-value store (`task/0` is the first round's assignment, `ready/0/1` is process 1's word
that it has loaded everything), and then train in a process group made for the round.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from rushes.errors import RecipeError, TrainingError
from rushes.train.assignment import Assignment
from rushes.train.launched import STORE_PREFIX, Launched, launched
from rushes.train.together import PATIENCE, Together

POLL_S: Final = 0.2
"""Seconds between two looks at whether the others are ready, or dead."""
GRACE_S: Final = 20.0
"""How long a process may take to die, or to say why it failed, after the others have lost it."""
DISMISSED: Final = "dismissed"
"""The task that ends a process."""
_LOG_END: Final = 1500
_LOST: Final = frozenset({"RuntimeError", "DistBackendError", "DistNetworkError", "DistStoreError"})
"""Names of the errors that a lost connection is told by."""


class Process(Protocol):
    """What is asked of a started process, as `subprocess.Popen` answers it."""

    def poll(self) -> int | None:
        """Exit status; None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Exit status, when it has ended; `subprocess.TimeoutExpired` after `timeout` seconds."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


@dataclass(eq=False)
class Team:
    """The processes that train together, seen from the first."""

    num_processes: int
    store: Store
    processes: dict[int, Process] = field(default_factory=dict[int, "Process"])
    """Those that this process started, by rank; empty where a launcher did."""
    logs: dict[int, Path] = field(default_factory=dict[int, Path])
    """Where these write what they say."""
    rounds: Iterator[int] = field(default_factory=itertools.count)

    @contextlib.contextmanager
    def working(self, assignment: Assignment) -> Iterator[Together]:
        """Train one round together, inside a `with` block.

        Raises:
            TrainingError: another process failed or died, before or meanwhile; the last stored state is good.
        """
        number = next(self.rounds)
        device = device_of(assignment.device, local_rank=0)
        self.store.set(f"task/{number}", assignment.model_dump_json())
        self._await_ready(number)
        group = PrefixStore(f"group/{number}", self.store)
        together = Together.join(0, self.num_processes, assignment.task.runtime.parallel, device, group)
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(ended, device), daemon=True)
        watch.start()
        try:
            yield together
        except RuntimeError as error:  # what a lost connection is
            failure = self._failure(number, patience_s=GRACE_S)
            if failure is None:
                raise
            raise failure from error
        finally:
            ended.set()
            watch.join()
            with contextlib.suppress(RuntimeError):  # of a group that is broken already
                together.leave(sys.exc_info()[1])

    def dismiss(self) -> None:
        """End the other processes; returns when they have heard it, for the store ends with this process."""
        with contextlib.suppress(RuntimeError):  # of a store that is gone
            self.store.set(f"task/{next(self.rounds)}", DISMISSED)
            end = time.monotonic() + GRACE_S
            while not all(self._is_gone(rank) for rank in range(1, self.num_processes)) and time.monotonic() < end:
                time.sleep(POLL_S)
        self.stop_at_once()

    def _is_gone(self, rank: int) -> bool:
        process = self.processes.get(rank)
        return (process is not None and process.poll() is not None) or self.store.check([f"gone/{rank}"])

    def stop_at_once(self) -> None:
        """End the processes that this one started, whatever they are doing."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _await_ready(self, number: int) -> None:
        waiting = set(range(1, self.num_processes))
        end = time.monotonic() + PATIENCE.total_seconds()
        while waiting:
            if failure := self._failure(number):
                raise failure
            if time.monotonic() > end:
                raise self._error(min(waiting), "was not ready in time", f"nothing for {PATIENCE}")
            waiting -= {rank for rank in waiting if self.store.check([f"ready/{number}/{rank}"])}
            time.sleep(POLL_S)

    def _failure(self, number: int, patience_s: float = 0.0) -> TrainingError | None:
        """What happened to another process; None where all are well after so many seconds."""
        end = time.monotonic() + patience_s
        while True:
            found = {rank: what for rank in range(1, self.num_processes) if (what := self._fate(number, rank))}
            # Who only lost its connection is a victim: the one that died first is what the user has to know of.
            causes = {rank: what for rank, what in found.items() if what[1].split(":")[0] not in _LOST}
            late = time.monotonic() >= end
            if causes or (found and late):
                rank, (how, said) = next(iter((causes or found).items()))
                return self._error(rank, how, said)
            if late:
                return None
            time.sleep(POLL_S)

    def _fate(self, number: int, rank: int) -> tuple[str, str] | None:
        """How a process ended and what it said; None while it is well."""
        said = f"failed/{number}/{rank}"
        if self.store.check([said]):
            return "failed", self.store.get(said).decode()
        process = self.processes.get(rank)
        code = None if process is None else process.poll()
        return None if code is None else (f"ended with exit status {code}", self._log_end(rank))

    def _error(self, rank: int, what: str, said: str) -> TrainingError:
        where = f" (its log: {self.logs[rank]})" if rank in self.logs else ""
        return TrainingError(
            f"process {rank} of the {self.num_processes} that train together {what}{where}",
            expected="all of them at work to the end",
            got=said,
            next_step="put right what it says, and run the same command again: it goes on from the last stored state",
        )

    def _log_end(self, rank: int) -> str:
        log = self.logs.get(rank)
        return "" if log is None or not log.exists() else log.read_text(errors="replace")[-_LOG_END:].strip()

    def _watch(self, ended: threading.Event, device: torch.device) -> None:
        """On GPUs nobody hears of a dead process before hours are over: give up what is waited for."""
        while not ended.wait(POLL_S):
            if device.type == "cuda" and any(process.poll() is not None for process in self.processes.values()):
                if not ended.wait(GRACE_S):
                    dist.distributed_c10d._abort_process_group()
                return


@contextlib.contextmanager
def team_of(num_processes: int, log_folder: Path) -> Iterator[Team]:
    """The processes to train with: those of the launcher that started this one too, or new ones on this machine.

    Args:
        num_processes: how many, this one included; at least 2.
        log_folder: where new ones write their logs, `process-1.log`, ...

    Raises:
        RecipeError: the launcher started another number.
    """
    found = launched()
    if found is not None:
        if found.num_processes != num_processes:
            raise RecipeError(
                "the launcher started another number of processes than the recipe asks for",
                expected=f"runtime.train.num_processes: {found.num_processes}",
                got=num_processes,
                next_step="leave runtime.train.num_processes out, or launch as many",
            )
        yield team_of_launcher(found)
        return
    team = start_team(num_processes, log_folder)
    try:
        yield team
    except BaseException:
        team.stop_at_once()
        raise
    team.dismiss()


_of_launcher: dict[Launched, Team] = {}


def team_of_launcher(found: Launched) -> Team:
    """The processes of the launcher: the same through all rounds."""
    if found not in _of_launcher:
        _of_launcher[found] = Team(found.num_processes, found.meet())
    return _of_launcher[found]


def start_team(num_processes: int, log_folder: Path) -> Team:
    """Start the other processes on this machine; `dismiss` or `stop_at_once` ends them."""
    store = TCPStore("127.0.0.1", 0, num_processes, is_master=True, wait_for_workers=False)
    team = Team(num_processes, PrefixStore(STORE_PREFIX, store))
    for rank in range(1, num_processes):
        team.logs[rank] = log_folder / f"process-{rank}.log"
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": str(num_processes)}
        with team.logs[rank].open("wb") as log:
            team.processes[rank] = subprocess.Popen(
                [sys.executable, "-m", "rushes.train.helper"],
                env={**os.environ, **address, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
    return team


def device_of(kind: str, local_rank: int) -> torch.device:
    """The device of the process with that number on its machine.

    Raises:
        RecipeError: it has no GPU of its own, or the recipe names one GPU for all.
    """
    if kind == "cpu":
        return torch.device("cpu")
    if kind != "cuda":
        raise RecipeError(
            "several processes need a device each",
            expected="runtime.device: cuda (each process takes one GPU) or cpu",
            got=kind,
            next_step="set runtime.device: cuda",
        )
    if local_rank >= torch.cuda.device_count():
        raise RecipeError(
            "there are fewer GPUs than processes that train together",
            expected=f"at least {local_rank + 1} GPUs on this machine",
            got=torch.cuda.device_count(),
            next_step="lower --num-processes",
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
