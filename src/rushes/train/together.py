"""Several processes that train one network: copies with averaged gradients (DDP), or divided weights (FSDP2).

Every process holds an equal number of rows, so the mean over processes of a mean over rows is the mean over the batch.
"""

from __future__ import annotations

import contextlib
import traceback
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import Store
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from rushes.train.network import Network

PATIENCE: Final = timedelta(hours=1)
"""How long a process waits for another that is alive; a dead one is noticed at once."""
_NOISE: Final = "FSDP2-wrapped module .* returned a view tensor"
"""A warning that says nothing here: no output is changed in place."""


@dataclass(frozen=True, eq=False)
class Together:
    """One of several processes; make it with `join`."""

    rank: int
    num_processes: int
    mode: Literal["ddp", "fsdp"]
    device: torch.device
    """Of this process."""
    store: Store
    """What all of them can write to and read from."""

    @classmethod
    def join(
        cls, rank: int, num_processes: int, mode: Literal["ddp", "fsdp"], device: torch.device, store: Store
    ) -> Together:
        """Meet the others; returns when all are there. `leave` ends it."""
        on_gpu = device.type == "cuda"
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            store=store,
            rank=rank,
            world_size=num_processes,
            timeout=PATIENCE,
            device_id=device if on_gpu else None,
        )
        store.set_timeout(PATIENCE)
        return cls(rank, num_processes, mode, device, store)

    def leave(self, error: BaseException | None = None) -> None:
        """Part; what another process still waits for here fails there.

        Args:
            error: what ended the work, if something did. The frames in its traceback still hold the wrapped network,
                and a wrapper that is freed after its process group can wait forever: they are emptied first.
        """
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__cause__
        if dist.is_initialized():
            dist.destroy_process_group()

    @property
    def is_sharded(self) -> bool:
        """True for FSDP."""
        return self.mode == "fsdp"

    def divide(self, network: Network) -> None:
        """FSDP: the models themselves, block by block, in place. DDP: nothing."""
        if self.mode == "ddp":
            return
        warnings.filterwarnings("ignore", message=_NOISE)
        mesh = init_device_mesh(self.device.type, (self.num_processes,))
        for model in (network.tuned, network.frozen):
            if model is not None:
                repeated = _repeated(model)
                for module in reversed(list(model.modules())):
                    if type(module).__name__ in repeated and module is not model:
                        fully_shard(module, mesh=mesh)
                # What lies outside of the blocks is divided again after every pass too: a backward pass may not follow.
                fully_shard(model, mesh=mesh, reshard_after_forward=True)

    def wrap(self, network: Network, idle: Callable[[], Collection[str]]) -> Network:
        """DDP: a wrapper to call with gradients. FSDP: the network as it is."""
        if self.mode == "fsdp":
            return network
        return replace(network, called=self._wrapped(network.tuned, some_idle=bool(idle())))

    def _wrapped(self, model: Any, *, some_idle: bool) -> DistributedDataParallel:
        wrapped = DistributedDataParallel(
            model,
            device_ids=None if self.device.type == "cpu" else [self.device],
            forward_sync_buffers=False,
            find_unused_parameters=some_idle,  # a search in every step, without which idle ones are waited for in vain
            gradient_as_bucket_view=True,
        )
        wrapped.config = model.config  # what a family asks a transformer for besides calling it
        return wrapped

    def syncing(self, network: Network, last: bool) -> AbstractContextManager[None]:
        """DDP averages gradients after the last micro-batch; FSDP after each, so that no process holds whole ones."""
        if self.mode == "ddp" and not last:
            assert network.called is not None
            paused: AbstractContextManager[None] = network.called.no_sync()
            return paused
        return contextlib.nullcontext()

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        """What every process gave, by rank."""
        mine = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        parts = [torch.empty_like(mine) for _ in range(self.num_processes)]
        dist.all_gather(parts, mine)
        return [part.tolist() for part in parts]

    def of_first(self, value: bool) -> bool:
        """What the first process says."""
        said = torch.tensor([value], dtype=torch.uint8, device=self.device)
        dist.broadcast(said, 0)
        return bool(said.item())

    def decided(self, name: str, decide: Callable[[], str]) -> str:
        """The first process decides, the others wait for its text."""
        if self.rank == 0:
            self.store.set(f"decided/{name}", decide())
        found: bytes = self.store.get(f"decided/{name}")
        return found.decode()

    def whole(self, value: Tensor) -> Tensor:
        """All parts of a divided tensor put together, on every process."""
        return value.full_tensor() if isinstance(value, DTensor) else value

    def part(self, value: Tensor, like: Tensor) -> Tensor:
        """This process's part, without asking the others."""
        if not isinstance(like, DTensor):
            return value
        value = value.to(like.device)
        return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)

    def collected(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensor by tensor, so that no more than one is whole on a device at a time."""
        found: dict[str, Tensor] = {}
        for name, value in tensors.items():
            entire = self.whole(value.detach())
            if self.rank == 0:
                found[name] = entire.cpu() if isinstance(value, DTensor) else entire
        return found


def _repeated(model: Any) -> set[str]:
    """Class names of the blocks that a diffusers transformer repeats; empty where it names none."""
    names = getattr(model, "_repeated_blocks", None) or getattr(model, "_no_split_modules", None) or ()
    return set(names)
