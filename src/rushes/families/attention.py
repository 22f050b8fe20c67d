"""Which attention kernels torch may use."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

_ALL_KERNELS = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.MATH,
)


def attention_for_sampling() -> AbstractContextManager[None]:
    """The fastest kernel that supports a call: without a backward pass that is the flash kernel, on a CPU too."""
    return sdpa_kernel(list(_ALL_KERNELS))


def attention_for(device: torch.device, first: SDPBackend | None = None) -> AbstractContextManager[None]:
    """For training: on a CPU the plain kernel, whose backward pass is several times faster there for short sequences.

    Args:
        device: where attention is computed.
        first: the kernel to prefer; the device's usual kernels handle the calls that it does not support.
    """
    usual = [SDPBackend.MATH] if device.type == "cpu" else list(_ALL_KERNELS)
    if first is None or usual == [first]:
        return sdpa_kernel(usual)
    return sdpa_kernel([first, *(each for each in usual if each != first)], set_priority=True)
