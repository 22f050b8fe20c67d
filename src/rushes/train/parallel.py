"""How training steps are shared: one process, or several in a torch process group.

Every process holds an equal number of rows, so the mean over processes of a mean over rows is the mean over the batch.
`launch` starts the processes, and each of them runs `worker`; `docs/design/009-processes.md` explains why.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from rushes.train.network import Network

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Parallel:
    """One of the processes that train together. Every method is called by all of them, in the same order."""

    mode: Literal["ddp", "fsdp"] = "ddp"
    """Copies of the network with averaged gradients (DDP), or sharded weights, gradients and moments (FSDP2)."""
    device: torch.device = torch.device("cpu")  # noqa: RUF009
    """This process's device."""
    group: dist.ProcessGroup | None = None
    """The process group; None for a single process."""

    @property
    def rank(self) -> int:
        """This process's rank, from 0; only the first writes files and reports to the user."""
        return 0 if self.group is None else self.group.rank()

    @property
    def num_processes(self) -> int:
        """The number of processes."""
        return 1 if self.group is None else self.group.size()

    @property
    def is_sharded(self) -> bool:
        """True if every process holds a shard of each weight, False if each holds all of them."""
        return self.group is not None and self.mode == "fsdp"

    def divide(self, network: Network) -> None:
        """FSDP: shard every weight over the devices of the processes; once, before any use."""
        if self.group is None or not self.is_sharded:
            return
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")  # none is changed
        mesh = DeviceMesh.from_group(self.group, self.device.type)
        for model in network.models:
            repeated = _repeated(model)
            for module in reversed(list(model.modules())):
                if type(module).__name__ in repeated and module is not model:
                    fully_shard(module, mesh=mesh)
            # Weights outside the blocks are resharded after every forward pass too, since there may be no backward.
            fully_shard(model, mesh=mesh, reshard_after_forward=True)

    def wrap(self, network: Network, idle: Callable[[], Collection[str]]) -> Network:
        """DDP: the network with a wrapper to call with gradients; once, before the optimiser is made.

        Args:
            network: as it is in one process.
            idle: returns the trained parameters that get no gradient in a step; called only if needed.
        """
        if self.group is None or self.is_sharded:
            return network
        wrapped: Any = DistributedDataParallel(
            network.tuned,
            device_ids=None if self.device.type == "cpu" else [self.device],
            process_group=self.group,
            forward_sync_buffers=False,
            find_unused_parameters=bool(idle()),  # costs a search in every step; without it DDP waits for idle ones
            gradient_as_bucket_view=True,
        )
        wrapped.config = network.tuned.config  # a family reads it from the transformer
        return replace(network, called=wrapped)

    def syncing(self, network: Network, last: bool) -> AbstractContextManager[None]:
        """Context of a micro-batch. DDP averages gradients after the last; FSDP after each, so they stay sharded."""
        if network.called is None or last:
            return contextlib.nullcontext()
        paused: AbstractContextManager[None] = network.called.no_sync()
        return paused

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        """The values of every process, by rank, in float64; all pass the same number."""
        if self.group is None:
            return [list(values)]
        mine = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        parts = [torch.empty_like(mine) for _ in range(self.num_processes)]
        dist.all_gather(parts, mine, group=self.group)
        return [part.tolist() for part in parts]

    def of_first(self, value: T) -> T:
        """The first process's value: plain data, sent through main memory."""
        if self.group is None:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0, group=self.group, device=torch.device("cpu"))
        found: T = box[0]
        return found

    def meet(self) -> None:
        """Wait for all: a process that leaves while another still talks to it would look like one that died."""
        if self.group is not None:
            dist.barrier(group=self.group)

    def whole(self, value: Tensor) -> Tensor:
        """The full tensor of a sharded one, on every process."""
        return value.full_tensor() if isinstance(value, DTensor) else value

    def part(self, value: Tensor, like: Tensor) -> Tensor:
        """A full tensor, which every process has, sharded as `like` is."""
        if not isinstance(like, DTensor):
            return value
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)

    def collected(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Full tensors on the first process, nothing on the others; sharded ones go to main memory one by one."""
        found: dict[str, Tensor] = {}
        for name, value in tensors.items():
            entire = self.whole(value.detach())
            if self.rank == 0:
                found[name] = entire.cpu() if isinstance(value, DTensor) else entire
        return found


ALONE: Final = Parallel()
"""One process: nothing is sharded."""


def rows_of(rank: int, num_processes: int, num_rows: int) -> slice:
    """The rows of a batch that a process computes: equal parts in order; `num_rows` is a multiple of the processes."""
    size = num_rows // num_processes
    return slice(rank * size, (rank + 1) * size)


def _repeated(model: Any) -> set[str]:
    """Class names of the repeated blocks of a diffusers transformer; empty if it names none."""
    names = getattr(model, "_repeated_blocks", None) or getattr(model, "_no_split_modules", None) or ()
    return set(names)
