"""One of several training processes: started by `launch` (`python -m rushes.train.worker FOLDER PARENT`) for one round,
or by a user's launcher for all rounds of its first process.

The first process stores the tuned weights and reports progress; the others write nothing into the run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from multiprocessing.connection import Client
from pathlib import Path
from typing import Final

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record

from rushes.errors import Stopped, TrainingError
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.families.offload import AWAY, Placement
from rushes.records import Checkpoint
from rushes.train.assignment import Assignment
from rushes.train.handover import read_material
from rushes.train.hooks import Hooks, beside
from rushes.train.job import checkpoint_of, ready
from rushes.train.launch import ASSIGNMENT, CHECKPOINT, SOCKET, device_of
from rushes.train.launched import end_with_parent
from rushes.train.loop import optimise
from rushes.train.parallel import Parallel

PATIENCE: Final = timedelta(hours=1)
"""How long a process waits in a step for another live process; if one dies, the launcher ends all."""
WAITING: Final = timedelta(days=20)
"""How long a process of a user's launcher waits for the next round; more milliseconds do not fit into 32 bits."""
GRACE_S: Final = 5.0
"""How long a process that lost the others waits before it fails, so that the launcher finds the first failure."""


@record
def work(folder: Path) -> None:
    """Train one round with the other processes that `launch` started with the same folder."""
    assignment = Assignment.model_validate_json((folder / ASSIGNMENT).read_bytes())
    rank, num = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    device = _own_device(assignment)
    _stay_on_loopback()
    dist.init_process_group(_backend(device), f"file://{folder}/meeting", PATIENCE, rank=rank, world_size=num)
    parallel = Parallel(assignment.runtime.parallel, device, dist.group.WORLD)
    try:
        with (
            contextlib.suppress(Stopped),
            _shown(assignment, folder) if rank == 0 else contextlib.nullcontext(Hooks()) as hooks,
        ):
            family = loaded(assignment, device, makes_previews=rank == 0 and bool(assignment.previews.read))
            made = train_along(assignment, parallel, family, hooks)
            if made is not None:
                (folder / CHECKPOINT).write_text(made.model_dump_json(), encoding="utf-8")
            parallel.meet()
    except RuntimeError:  # includes a lost connection
        time.sleep(GRACE_S)
        raise
    dist.destroy_process_group()


def train_along(assignment: Assignment, parallel: Parallel, family: Family, hooks: Hooks) -> Checkpoint | None:
    """One round; the first process gets the checkpoint, the others None."""
    material = read_material(assignment.scratch)
    if material.preview_texts is not None:
        family.keep_texts(assignment.previews.read, material.preview_texts)
    with ready(assignment, family, material, parallel) as job:
        trained = optimise(job, assignment.state, hooks)
        return checkpoint_of(assignment, job, trained) if parallel.rank == 0 else None


def loaded(assignment: Assignment, device: torch.device, *, makes_previews: bool = False) -> Family:
    """The base model without its text encoders; in main memory, unless it makes previews.

    Raises:
        TrainingError: it is not the run's model.
    """
    torch.set_num_threads(assignment.num_threads)
    placement = Placement(assignment.offload) if makes_previews else AWAY
    family = load_family(assignment.base, str(device), placement, with_text=False)
    if family.fingerprint != assignment.fingerprint:
        raise TrainingError(
            "this process has loaded a different base model than the first one",
            expected=f"weights with fingerprint {assignment.fingerprint}",
            got=family.fingerprint,
            next_step="name the same files, or the same base.revision, on every machine",
        )
    return family


@contextlib.contextmanager
def _shown(assignment: Assignment, folder: Path) -> Iterator[Hooks]:
    """The hooks of the first process: they report to the process that started it, and ask it whether to stop."""
    with Client(str(folder / SOCKET), "AF_UNIX") as talk:

        def should_stop() -> bool:
            try:
                return bool(talk.recv())
            except EOFError:  # the other process failed to show the step, and raises the reason itself
                return True

        with beside(assignment, lambda now: talk.send((now.step, now.seconds, now.note)), should_stop) as hooks:
            yield hooks


# ---------------------------------------------------------------- under torchrun and accelerate launch


def next_round(assignment: Assignment | None = None) -> Assignment | None:
    """The first process's assignment, broadcast to all of a launcher: a round of training, or None at the end.

    The first call waits until all processes have joined. If one fails, the launcher ends those that wait for it.
    """
    if not dist.is_initialized():
        if os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
            _stay_on_loopback()
        dist.init_process_group("gloo", timeout=WAITING)
    return Parallel(group=dist.group.WORLD).of_first(assignment)


def in_round(assignment: Assignment) -> Parallel:
    """This process in a round that `next_round` has started.

    Raises:
        RecipeError: there is no device for it.
    """
    device = _own_device(assignment)
    return Parallel(assignment.runtime.parallel, device, _round_group(_backend(device)))


@record
def assist() -> None:
    """Take part in every round of the first process, as another process of the same launcher.

    While it waits, signals end it. During a round only the first process handles them, and finishes the current step.
    """
    family: Family | None = None
    _on_signals(signal.SIG_DFL)
    while (assignment := next_round()) is not None:
        _on_signals(signal.SIG_IGN)
        parallel = in_round(assignment)
        family = family or loaded(assignment, parallel.device)
        try:
            train_along(assignment, parallel, family, Hooks())
        except Stopped:
            return
        _on_signals(signal.SIG_DFL)
    dist.destroy_process_group()


def dismiss() -> None:
    """End the launcher's other processes, which wait for the next round."""
    next_round(None)
    dist.destroy_process_group()


@cache
def _round_group(backend: str) -> dist.ProcessGroup:
    """One group for all rounds; it is not closed between them, since remains of an old network would wait for it."""
    group: dist.ProcessGroup = dist.new_group(backend=backend, timeout=PATIENCE)
    return group


# ---------------------------------------------------------------- processes


def _on_signals(handler: signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _own_device(assignment: Assignment) -> torch.device:
    device = device_of(assignment.device, int(os.environ["LOCAL_RANK"]))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _backend(device: torch.device) -> str:
    """The backend of a group that computes on a device and sends objects through main memory."""
    return "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"


def _stay_on_loopback() -> None:
    """Let gloo and NCCL listen on the loopback interface, not on the one that the host name resolves to."""
    name = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if name is not None:
        os.environ |= {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": name}


if __name__ == "__main__":
    end_with_parent(int(sys.argv[2]))
    try:
        work(Path(sys.argv[1]))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # with a broken process group, Python's normal exit may abort or hang
