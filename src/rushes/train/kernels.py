"""The attention kernel of a training run: named by the recipe, or the fastest of a short benchmark at its shapes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from rushes.errors import RecipeError
from rushes.train.probe import AttentionCall

KERNELS: Final[dict[str, SDPBackend]] = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
"""By their names in a recipe."""
SHORT_TOKENS: Final = 1024
"""Up to this number of keys the plain kernel is used on a CPU: its backward pass is several times faster there."""
MAX_SCORE_BYTES: Final = 2 * 2**30
"""The plain kernel is not tried if its matrix of attention scores would be larger."""
NUM_TIMED: Final = 3
"""Timed passes per kernel and shape, after one to warm up."""


def kernel_seconds(kernel: str, calls: Sequence[AttentionCall], device: torch.device) -> float | None:
    """Seconds of one forward and backward pass of every call; None if the kernel does not support one of them."""
    if kernel == "math" and any(_score_bytes(call) > MAX_SCORE_BYTES for call in calls):
        return None
    total = 0.0
    try:
        for call in calls:
            total += _call_seconds(kernel, call, device)
    except (RuntimeError, NotImplementedError):  # "no available kernel", or out of memory: it cannot be used
        return None
    return total


def choose_kernel(asked: str, calls: Sequence[AttentionCall], device: torch.device) -> tuple[str, dict[str, float]]:
    """The kernel to train with, and the timings (seconds by name; empty if none were needed).

    Args:
        asked: `runtime.train.attention` of the recipe.
        calls: what training will call, from `probe`.
        device: the device.

    Raises:
        RecipeError: the recipe names a kernel that does not support these calls on this device.
    """
    if asked == "auto" and device.type == "cpu":
        longest = max((call.key[-2] for call in calls), default=0)
        return ("math" if longest <= SHORT_TOKENS else "flash"), {}
    names = list(KERNELS) if asked == "auto" else [asked]
    timed = {name: seconds for name in names if (seconds := kernel_seconds(name, calls, device)) is not None}
    if asked != "auto" and not timed:
        raise RecipeError(
            f"the attention kernel {asked!r} cannot be used here",
            expected=f"a kernel for attention of {[call.query for call in calls]} on {device.type}",
            got=asked,
            next_step="--set runtime.train.attention=auto",
        )
    return (min(timed, key=lambda name: timed[name]) if timed else "math"), timed


def _score_bytes(call: AttentionCall) -> int:
    return 4 * math.prod(call.query[:-1]) * call.key[-2]


def _call_seconds(kernel: str, call: AttentionCall, device: torch.device) -> float:
    query = torch.randn(call.query, device=device).to(call.dtype).requires_grad_()
    key, value = (torch.randn(call.key, device=device).to(call.dtype).requires_grad_() for _ in range(2))
    mask = None if call.mask is None else torch.ones(call.mask, dtype=torch.bool, device=device)
    with sdpa_kernel(KERNELS[kernel]):
        began = 0.0
        for turn in range(1 + NUM_TIMED):
            if turn == 1:
                _wait(device)
                began = time.perf_counter()
            torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).sum().backward()
        _wait(device)
    return (time.perf_counter() - began) / NUM_TIMED


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
