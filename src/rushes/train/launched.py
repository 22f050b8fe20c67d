"""What a launcher (`accelerate launch`, `torchrun`) tells the processes that it starts, through their environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rushes.errors import RecipeError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What both set; LOCAL_RANK too, where a machine has more than one."""
STORE_PREFIX = "rushes"
"""How our names in the store begin, which a launcher has names in too."""


@dataclass(frozen=True)
class Launched:
    """This process among those of its launcher."""

    rank: int
    """Which one, from 0, over all machines."""
    local_rank: int
    """Which one on this machine: its GPU."""
    num_processes: int
    """How many, over all machines."""
    fsdp: bool
    """Whether `accelerate launch` was configured for FSDP."""

    def meet(self) -> Store:
        """Meet the others at the launcher's address; what they tell each other goes through the returned store."""
        from torch._C._distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        store, _, _ = next(rendezvous("env://", rank=self.rank, world_size=self.num_processes))
        return PrefixStore(STORE_PREFIX, store)


def launched(environment: Mapping[str, str] = os.environ) -> Launched | None:
    """What the environment says; None where no launcher started this process, or started it alone.

    Raises:
        RecipeError: the variables are half there, or no numbers; or a launcher started one process of several.
    """
    if environment.get("WORLD_SIZE", "1") == "1" or "RANK" not in environment:
        _check_all_started(environment)
        return None
    missing = [name for name in VARIABLES if not environment.get(name)]
    try:
        rank, num = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        local_rank = int(environment.get("LOCAL_RANK", rank))
    except ValueError:
        missing, rank, num, local_rank = list(VARIABLES), 0, 0, 0
    if missing or not 0 <= rank < num:
        raise RecipeError(
            "the environment says that this is one of several processes, but not how they meet",
            expected=f"{', '.join(VARIABLES)} as accelerate launch and torchrun set them",
            got={name: environment.get(name) for name in VARIABLES},
            next_step="start with accelerate launch or torchrun, or unset RANK and WORLD_SIZE",
        )
    fsdp = environment.get("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1", "yes")
    return Launched(rank, local_rank, num, fsdp)


def _check_all_started(environment: Mapping[str, str]) -> None:
    """Refuse to work alone where `accelerate launch` was asked for several processes and started a single one.

    That is what it does on CPUs, and where it sees fewer than two GPUs: it names a meeting point and no ranks.
    """
    if "ACCELERATE_USE_CPU" in environment and "MASTER_ADDR" in environment and "RANK" not in environment:
        raise RecipeError(
            "accelerate launch was asked for several processes and has started one: on CPUs, or with one GPU, it "
            "leaves the rest to MPI, which is not supported here",
            expected="RANK and WORLD_SIZE in the environment, as accelerate launch --multi_gpu and --use_fsdp set them",
            next_step="use rushes run --num-processes N, or accelerate launch --multi_gpu --num_processes N",
        )
