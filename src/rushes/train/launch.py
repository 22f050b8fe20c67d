"""Train in several processes on this machine, started and supervised by torch's own launcher.

Nothing listens on the network: the launcher and the process group rendezvous through files, gloo and NCCL communicate
through the loopback interface, and the first process reports every step here through a socket file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Final

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from rushes.errors import RecipeError, Stopped, TrainingError
from rushes.records import Checkpoint
from rushes.train.assignment import Assignment
from rushes.train.ending import Patience, ending

ASSIGNMENT: Final = "assignment.json"
CHECKPOINT: Final = "checkpoint.json"
"""Written by the first process when it is done, but not if it was told to stop."""
SOCKET: Final = "steps"
LOGS: Final = "processes"
"""Folder in the scratch folder with the output of the processes."""

_ENDED: Final = "training processes did not stop, and were ended: training goes on from the last stored state"


def train_in_processes(
    assignment: Assignment, on_step: Callable[[int, float, str], None], should_stop: Callable[[], bool]
) -> Checkpoint:
    """Train in the number of processes that the assignment sets; the training data is already in the scratch folder.

    Args:
        assignment: what to train.
        on_step: called after every step, in another thread, with the steps done, the seconds spent and a note.
        should_stop: called after that, and in between by another thread.

    Raises:
        RecipeError: there are fewer devices than processes.
        Stopped: stopped on request; the state is stored, unless a process had to be killed: then the last one counts.
        TrainingError: a process failed or died; the last stored state is good.
    """
    num, logs = assignment.runtime.num_processes, assignment.scratch / LOGS
    device_of(assignment.device, num - 1)
    shutil.rmtree(logs, ignore_errors=True)
    # Otherwise the launcher opens a TCP store, which listens on all interfaces, whatever address it is given.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the error below reports the failure
    with tempfile.TemporaryDirectory(prefix="rushes-") as name:
        folder = Path(name)
        (folder / ASSIGNMENT).write_text(assignment.model_dump_json(), encoding="utf-8")
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=num,
            run_id=assignment.key[:12],
            rdzv_backend="c10d",
            rdzv_configs={"store_type": "file"},
            rdzv_endpoint=str(folder / "launcher"),
            local_addr="127.0.0.1",
            max_restarts=0,
            monitor_interval=0.2,
            shutdown_timeout=1,  # after an error or the second Ctrl-C; a process that is halted has to be killed
            signals_to_handle="",  # the run handles Ctrl-C: the exception that it raises here ends the processes
            logs_specs=DefaultLogsSpecs(str(logs), redirects=Std.ALL),
        )
        patience = Patience()
        with _answering(folder / SOCKET, on_step, should_stop, patience), ending(folder, patience, should_stop):
            try:
                elastic_launch(config, sys.executable)("-m", "rushes.train.worker", name, os.getpid())
            except ChildFailedError as failed:
                if patience.has_ended_them:
                    raise Stopped(_ENDED) from None
                raise _reason(failed, logs, num) from None
        if not (folder / CHECKPOINT).exists():
            raise Stopped
        return Checkpoint.model_validate_json((folder / CHECKPOINT).read_bytes())


@contextlib.contextmanager
def _answering(
    path: Path, on_step: Callable[[int, float, str], None], should_stop: Callable[[], bool], patience: Patience
) -> Iterator[None]:
    """Tell the first process after every step whether to stop, from a thread; without an answer it stops."""

    def serve(listener: Listener) -> None:
        with listener.accept() as talk, contextlib.suppress(EOFError):
            while True:
                on_step(*talk.recv())
                patience.step_done()
                if is_stopping := should_stop():
                    patience.told()
                talk.send(is_stopping)

    with Listener(str(path), "AF_UNIX") as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, listener)
        try:
            yield
        finally:
            Client(str(path), "AF_UNIX").close()  # ends the wait if no process has connected
        if not patience.has_ended_them:
            served.result()


def _reason(failed: ChildFailedError, logs: Path, num: int) -> TrainingError:
    """The error of the process that failed first, or the signal that ended it."""
    rank, failure = failed.get_first_failure()
    if isinstance(failure.message, dict):
        message = failure.message["message"]
    else:
        message = failure.message if failure.exitcode < 0 else "it failed before it could say why"
    return TrainingError(
        f"process {rank} of the {num} training processes ended with exit status {failure.exitcode}: {message}",
        expected="all of them running until the end",
        got=f"see {next(logs.glob(f'*/attempt_0/{rank}/stderr.log'), logs)}",
        next_step="fix that error, and run the same command again: it resumes from the last stored state",
    )


def device_of(kind: str, local_rank: int) -> torch.device:
    """The device of the process with that number on its machine.

    Raises:
        RecipeError: there is no GPU for it, or the recipe names one GPU for all.
    """
    if kind == "cpu":
        return torch.device("cpu")
    if kind != "cuda":
        raise RecipeError(
            "each of several processes needs its own device",
            expected="runtime.device: cuda (each process takes one GPU) or cpu",
            got=kind,
            next_step="--set runtime.device=cuda",
        )
    if local_rank >= torch.cuda.device_count():
        raise RecipeError(
            "there are fewer GPUs than training processes",
            expected=f"at least {local_rank + 1} GPUs on this machine",
            got=torch.cuda.device_count(),
            next_step="lower --num-processes",
        )
    return torch.device("cuda", local_rank)
