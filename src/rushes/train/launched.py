"""What a launcher (`torchrun`, `accelerate launch`) passes to the processes that it starts, in their environment."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from typing import Final

from rushes.errors import RecipeError

MARK: Final = "TORCHELASTIC_RUN_ID"
"""Set by torch's launcher only. RANK and WORLD_SIZE are also set by clusters, and can be left over in shells."""
_PR_SET_PDEATHSIG: Final = 1


def launched() -> int | None:
    """How many processes a launcher started, this one included; None without a launcher, or if it started only one.

    Raises:
        RecipeError: the environment does not say a number.
    """
    if MARK not in os.environ:
        return None
    text = os.environ.get("WORLD_SIZE", "1")
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise RecipeError(
            "WORLD_SIZE is not a number of processes",
            expected="what torchrun or accelerate launch sets: 1 or more",
            got=text[:80],
            next_step=f"start with one of these, or: unset {MARK} WORLD_SIZE RANK",
        )
    return int(text) if int(text) > 1 else None


def left_over() -> str:
    """Variables that announce several processes without a launcher, "RANK=0 WORLD_SIZE=2"; "" for none."""
    if MARK in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
        return ""
    return " ".join(f"{name}={os.environ[name]}" for name in ("RANK", "WORLD_SIZE") if name in os.environ)


def check_launch(num_processes: int) -> None:
    """Compare the recipe with the environment; to be called before anything is spent.

    Raises:
        RecipeError: a launcher started a different number of processes, or is not supported.
    """
    found = launched()
    if found not in (None, num_processes):
        raise RecipeError(
            "the launcher started a different number of processes than the recipe sets",
            expected=f"runtime.train.num_processes: {found}",
            got=num_processes,
            next_step="leave out runtime.train.num_processes and --num-processes, or launch that number of processes",
        )
    if num_processes > 1 and left_over():
        raise RecipeError(
            "RANK and WORLD_SIZE are set, but neither torchrun nor accelerate launch has started this process",
            expected="no such variables, if rushes is to start the processes itself",
            got=left_over(),
            next_step="unset RANK WORLD_SIZE; or start with torchrun (under SLURM: srun torchrun ...)",
        )
    # What accelerate does on CPUs, or with fewer than two GPUs: it sets a rendezvous address but no ranks.
    if "ACCELERATE_USE_CPU" in os.environ and "MASTER_ADDR" in os.environ and "RANK" not in os.environ:
        raise RecipeError(
            "accelerate launch was to start several processes but started one: on CPUs, or with one GPU, it "
            "leaves the rest to MPI, which is not supported here",
            expected="RANK and WORLD_SIZE in the environment, as accelerate launch --multi_gpu and --use_fsdp set them",
            next_step="use rushes run --num-processes N, or accelerate launch --multi_gpu --num_processes N",
        )


def end_with_parent(parent: int | None = None) -> None:
    """Let Linux kill this process as soon as the process that started it ends, for whatever reason.

    Args:
        parent: the parent's pid, in case it has already ended; None if unknown.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
