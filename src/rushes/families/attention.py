"""Which attention kernels torch may use."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

_GPU_KERNELS = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.MATH,
)


def attention_for(device: torch.device, first: SDPBackend | None = None) -> AbstractContextManager[None]:
    """On a CPU the plain attention kernel: for short sequences its backward is several times faster there.

    Args:
        device: where.
        first: the kernel to use wherever it can; the usual ones of the device do the calls that it cannot.
    """
    usual = [SDPBackend.MATH] if device.type == "cpu" else list(_GPU_KERNELS)
    if first is None or usual == [first]:
        return sdpa_kernel(usual)
    return sdpa_kernel([first, *(each for each in usual if each != first)], set_priority=True)
