"""Counts the memory of a computation: bytes of all tensors that its operations make, for as long as they live.

It works on real tensors and on fake ones (`torch._subclasses.FakeTensorMode`), which have shapes and no memory.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class Meter(TorchDispatchMode):
    """Inside this context every new storage is counted once, until its last tensor is gone.

    What existed before is not counted. Backward passes are: they run the same kind of operations.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        """Bytes that live now."""
        self.peak = 0
        """Most bytes that lived at once since the meter was made, or since `restart`."""
        self._sizes: dict[int, int] = {}

    def restart(self) -> None:
        """Forget the peak, not what lives."""
        self.peak = self.now

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.peak = max(self.peak, self.now)
        made = func(*args, **(kwargs or {}))
        given = {value.untyped_storage()._cdata for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)}
        for value in tree_iter(made):
            if isinstance(value, Tensor) and value.untyped_storage()._cdata not in given:
                self._add(value.untyped_storage())
        if not _adds_gradients(func):
            self.peak = max(self.peak, self.now)
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.now += self._sizes[key]
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def _adds_gradients(func: Callable[..., Any]) -> bool:
    """Whether this is the sum of two gradients in a backward pass.

    Autograd adds in place what only it holds, but not tensors of a subclass, as fake ones are. So the sum counts only
    together with what is left after it.
    """
    in_backward = torch._C._current_graph_task_id() != -1 and not torch.is_grad_enabled()
    return in_backward and func is torch.ops.aten.add.Tensor
