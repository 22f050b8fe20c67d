"""Which attention kernels compute a pass, see `rushes.families.kernels`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from rushes.families.kernels import KERNELS, Kernel

_ALL_KERNELS = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.MATH,
)
_MAX_HEAD = 256
"""Widest head that flash attention can do."""
_active: list[Kernel] = []
"""Kernels of packages in use, the innermost last; process-wide, for passes that are computed again."""


@dataclass(frozen=True)
class AttentionCall:
    """The shape of a call of scaled dot-product attention."""

    query: tuple[int, ...]
    """Batch, heads, tokens, width of a head."""
    key: tuple[int, ...]
    """The same of keys and values."""
    dtype: torch.dtype
    """Number format of queries, keys and values."""
    mask: tuple[int, ...] | None
    """Shape of the mask; None without one."""


class AttentionCalls(TorchFunctionMode):
    """Records the attention calls of a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[AttentionCall, None] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, key = (args[i] if len(args) > i else named[name] for i, name in enumerate(("query", "key")))
            mask = args[3] if len(args) > 3 else named.get("attn_mask")
            shape = None if mask is None else tuple(mask.shape)
            self.calls[AttentionCall(tuple(query.shape), tuple(key.shape), _format_of(query), shape)] = None
        return func(*args, **named)


def _format_of(query: Tensor) -> torch.dtype:
    """The format that a call computes in: autocast converts its inputs."""
    kind = query.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype


def attention_for_sampling(kernel: str | None = None) -> AbstractContextManager[None]:
    """For passes without gradients.

    Args:
        kernel: the kernel to prefer; None for torch's choice, the fastest that supports a call: without a backward
            pass that is the flash kernel, on a CPU too.
    """
    return _preferring(kernel, _ALL_KERNELS)


def attention_for(device: torch.device, first: str | None = None) -> AbstractContextManager[None]:
    """For training: on a CPU the plain kernel, whose backward pass is several times faster there for short sequences.

    Args:
        device: where attention is computed.
        first: the kernel to prefer; the device's usual kernels handle the calls that it does not support.
    """
    return _preferring(first, (SDPBackend.MATH,) if device.type == "cpu" else _ALL_KERNELS)


@contextmanager
def _preferring(first: str | None, usual: Sequence[SDPBackend]) -> Iterator[None]:
    kernel = None if first is None else KERNELS.get(first)
    if kernel is not None and kernel.torch_name is not None:
        own = getattr(SDPBackend, kernel.torch_name)
        order = [own, *(each for each in usual if each != own)]
        with sdpa_kernel(order, set_priority=True):
            yield
    elif kernel is not None and kernel.diffusers_name is not None:
        _active.append(kernel)
        try:
            with _through(kernel), sdpa_kernel(list(usual)):
                yield
        finally:
            _active.remove(kernel)
    else:
        with sdpa_kernel(list(usual)):
            yield


def can_do(kernel: Kernel, call: AttentionCall) -> bool:
    """Whether a package's kernel can do a call; others stay with torch."""
    is_half = call.dtype in (torch.bfloat16, torch.float16)
    return (
        (call.mask is None or kernel.takes_masks)
        and (is_half or kernel.takes_float32)
        and len(call.query) == 4
        and call.query[-1] <= _MAX_HEAD
    )


class _Dispatched(TorchFunctionMode):
    """Passes attention calls that a package's kernel can do on to it; torch's kernels do the others."""

    def __init__(self, kernel: Kernel, dispatch: Callable[..., Tensor]) -> None:
        super().__init__()
        self._kernel, self._dispatch = kernel, dispatch

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func is torch.nn.functional.scaled_dot_product_attention:
            made = self._called(*args, **named)
            if made is not None:
                return made
        return func(*args, **named)

    def _called(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor | None:
        """(B, heads, L, width), or None for a call that this kernel cannot do."""
        dtype, mask_shape = _format_of(query), None if attn_mask is None else tuple(attn_mask.shape)
        call = AttentionCall(tuple(query.shape), tuple(key.shape), dtype, mask_shape)
        if not can_do(self._kernel, call) or dropout_p or enable_gqa:
            return None
        # Under autocast norms give float32 and linear layers half precision: only torch's own call converts them.
        inputs = [each.to(dtype).transpose(1, 2) for each in (query, key, value)]
        mask = attn_mask.to(dtype) if attn_mask is not None and attn_mask.is_floating_point() else attn_mask
        made = self._dispatch(*inputs, attn_mask=mask, is_causal=is_causal, scale=scale)
        return made.transpose(1, 2)


def _through(kernel: Kernel) -> TorchFunctionMode:
    """The context in which calls go to a package's kernel.

    Raises:
        RuntimeError: the package is not there, or too old; diffusers' message says which.
    """
    from functools import partial

    from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend, dispatch_attention_fn

    name = AttentionBackendName(kernel.diffusers_name)
    with attention_backend(name):  # checks the package's version, and downloads a kernel from the Hub
        pass
    return _Dispatched(kernel, partial(dispatch_attention_fn, backend=name))


def again_as_now() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """For `torch.utils.checkpoint`: a block that is computed again uses the kernel that it used the first time.

    On a GPU it is computed again in a thread of autograd's, where contexts of this thread have no effect.
    """
    return nullcontext(), _through(_active[-1]) if _active else nullcontext()
