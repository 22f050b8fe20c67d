"""The other processes' side of training together: wait for a task, load, train along, wait for the next.

`python -m rushes.train.helper` with the variables of `launched` in its environment. A helper writes nothing into the
run but its log.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from typing import Final

import torch
from torch._C._distributed_c10d import PrefixStore, Store

from rushes.errors import Stopped, TrainingError
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.families.offload import AWAY
from rushes.recipe.base import BaseModelSpec
from rushes.train.assignment import Assignment, read_material
from rushes.train.launched import Launched, launched
from rushes.train.stage import tune
from rushes.train.team import DISMISSED, POLL_S, device_of
from rushes.train.together import Together

EXIT_ALONE: Final = 3
"""Exit status of a helper whose first process, or whose launcher, is gone."""


def assist(me: Launched) -> None:
    """Take part in every round that the first process asks for, until it dismisses this one."""
    store = me.meet()
    loaded: tuple[tuple[BaseModelSpec, str], Family] | None = None
    for number in itertools.count():
        text = _next_task(store, number)
        if text == DISMISSED:
            store.set(f"gone/{me.rank}", DISMISSED)
            return
        try:
            assignment = Assignment.model_validate_json(text)
            torch.set_num_threads(assignment.num_threads)
            if loaded is None or loaded[0] != (assignment.base, assignment.fingerprint):
                family = _load(assignment, device_of(assignment.device, me.local_rank))
                loaded = (assignment.base, assignment.fingerprint), family
            _train_along(me, store, number, assignment, loaded[1])
        except Stopped:
            continue
        except Exception as error:
            store.set(f"failed/{number}/{me.rank}", f"{type(error).__name__}: {error}"[:2000])
            if not isinstance(error, TrainingError):  # that one the first process has met too, or is told
                raise


def _next_task(store: Store, number: int) -> str:
    while not store.check([f"task/{number}"]):  # fails when the first process is gone
        time.sleep(POLL_S)
    found: bytes = store.get(f"task/{number}")
    return found.decode()


def _load(assignment: Assignment, device: torch.device) -> Family:
    family = load_family(assignment.base, str(device), AWAY)
    family.drop_text_encoder()
    if family.fingerprint != assignment.fingerprint:
        raise TrainingError(
            "this process has loaded another base model than the first one",
            expected=f"weights with fingerprint {assignment.fingerprint}",
            got=family.fingerprint,
            next_step="name the same files, or the same base.revision, on every machine",
        )
    return family


def _train_along(me: Launched, store: Store, number: int, assignment: Assignment, family: Family) -> None:
    from safetensors.torch import load_file

    task = assignment.task
    data, held_out = read_material(assignment.scratch)
    start = None if assignment.start is None else load_file(str(assignment.start))
    store.set(f"ready/{number}/{me.rank}", "ready")
    group = PrefixStore(f"group/{number}", store)
    together = Together.join(me.rank, me.num_processes, task.runtime.parallel, family.device, group)
    try:
        tune(family, data, task, start, assignment.scratch, held_out=held_out, parallel=together)
    finally:
        together.leave(sys.exc_info()[1])


def _end_with_parent() -> None:
    """End when the process that started this one is gone, also while it waits for it on a GPU."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(EXIT_ALONE)

    threading.Thread(target=watch, daemon=True).start()


def assist_launcher(me: Launched) -> None:
    """Assist as one of a launcher's processes: the first one decides when to stop, so signals are left to it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _end_with_parent()
    assist(me)


def main() -> int:
    """Assist the process that started this one.

    Returns:
        Exit status.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the first one decides
    _end_with_parent()
    me = launched()
    if me is None:
        print("started by `rushes run --num-processes`, not by hand", file=sys.stderr)
        return 2
    assist(me)
    return 0


if __name__ == "__main__":
    sys.exit(main())
