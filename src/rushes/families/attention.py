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
    """The plain attention kernel on a CPU, where its backward pass is several times faster for short sequences.

    Args:
        device: where attention is computed.
        first: the kernel to prefer; the device's usual kernels handle the calls that it does not support.
    """
    usual = [SDPBackend.MATH] if device.type == "cpu" else list(_GPU_KERNELS)
    if first is None or usual == [first]:
        return sdpa_kernel(usual)
    return sdpa_kernel([first, *(each for each in usual if each != first)], set_priority=True)
