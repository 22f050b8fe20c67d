"""Processes that train together, forked instead of started: nothing has to be imported again."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import time
import traceback

from torch._C._distributed_c10d import PrefixStore, TCPStore

from rushes.train.helper import assist
from rushes.train.launched import STORE_PREFIX, Launched
from rushes.train.team import Team


class Forked:
    """A child of this process, with the verbs of `subprocess.Popen` that a team asks for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None

    def poll(self) -> int | None:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status

    def wait(self, timeout: float | None = None) -> int:
        end = time.monotonic() + (timeout or 3600.0)
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("forked", timeout or 0.0)
            time.sleep(0.02)
        return status

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def forked_team(num_processes: int = 2) -> Team:
    """A team as `start_team` makes it."""
    store = TCPStore("127.0.0.1", 0, num_processes, is_master=True, wait_for_workers=False)
    team = Team(num_processes, PrefixStore(STORE_PREFIX, store))
    for rank in range(1, num_processes):
        child = os.fork()
        if child == 0:
            # The parent's rubbish may hold file descriptors whose numbers the child gives to sockets of its own.
            gc.freeze()
            gc.disable()
            try:
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
                assist(Launched(rank, rank, num_processes, fsdp=False))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        team.processes[rank] = Forked(child)
    return team
