"""A short trial of attention kernels at the shapes of a run: which of them are right, and which is fastest.

A kernel is right if it is about as close to attention in float32 as torch's own choice is in the same number format.
Legend: B batch, H heads, L query tokens, K keys, D width of a head, R the rows that are compared.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from rushes.families.attention import AttentionCall, attention_for_sampling, can_do
from rushes.families.kernels import KERNELS, NATIVE

MAX_SCORE_BYTES: Final = 2 * 2**30
"""The plain kernel is not tried if its matrix of attention scores would be larger."""
NUM_TIMED: Final = 3
"""Timed passes per kernel and shape, after one to warm up."""
ROWS: Final = 64
"""Queries that are compared with float32."""
TOLERANCE: Final = 2.0
"""How many times the error of torch's own kernel an exact kernel may have."""
GAIN: Final = 0.97
"""A kernel takes the place of torch's choice if it needs less than this share of its time."""


@dataclass(frozen=True)
class Tried:
    """What a trial found of a kernel."""

    seconds: float
    """One pass of all calls, with the backward pass if there is one."""
    error: float
    """Largest difference from float32, as a multiple of the largest value, of outputs and gradients of queries."""


Try = Callable[[str, Sequence[AttentionCall], torch.device], Tried | None]


def tried(
    name: str, calls: Sequence[AttentionCall], device: torch.device, *, has_backward: bool = False
) -> Tried | None:
    """Try a kernel; None if it cannot do one of the calls, or, for a kernel of a package, if it can do none of them.

    Args:
        name: of the kernel, or `native` for torch's choice.
        calls: what a pass will call.
        device: where.
        has_backward: whether passes have gradients.
    """
    if name == "math" and any(_score_bytes(call) > MAX_SCORE_BYTES for call in calls):
        return None
    kernel = KERNELS.get(name)
    if kernel is not None and kernel.diffusers_name and not any(can_do(kernel, call) for call in calls):
        return None
    seconds, error = 0.0, 0.0
    try:
        for call in calls:
            spent, off = _tried(name, call, device, has_backward=has_backward)
            seconds, error = seconds + spent, max(error, off)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, ImportError):
        return None  # "no available kernel", out of memory, a format or a width that it does not have
    return Tried(seconds, error)


def fastest(found: Mapping[str, Tried]) -> str:
    """The fastest of the kernels that are right, by name; `native` unless another one is clearly faster.

    Args:
        found: trials by name, that of `native` among them.
    """
    own = found[NATIVE]
    # Rounding of the least exact format alone, where torch's kernel happens to be exact.
    limit = max(TOLERANCE * own.error, 1e-6)
    right = {name: each for name, each in found.items() if each.error <= limit}
    best = min(right, key=lambda name: right[name].seconds)
    return best if right[best].seconds < GAIN * own.seconds else NATIVE


def candidates() -> list[str]:
    """The exact kernels that are here; none whose code is on the Hub, which is run only where a recipe names it."""
    return [name for name, each in KERNELS.items() if each.is_exact and each.is_installed and not each.is_from_hub]


def _score_bytes(call: AttentionCall) -> int:
    return 4 * math.prod(call.query[:-1]) * call.key[-2]


def _tried(name: str, call: AttentionCall, device: torch.device, *, has_backward: bool) -> tuple[float, float]:
    """Seconds and error of one call."""
    drawn = torch.Generator(device).manual_seed(0)
    query, key, value = (
        torch.randn(shape, device=device, generator=drawn).to(call.dtype).requires_grad_(has_backward)
        for shape in (call.query, call.key, call.key)
    )
    mask = None if call.mask is None else torch.ones(call.mask, dtype=torch.bool, device=device)
    made, began = query, 0.0
    with _alone(name), torch.set_grad_enabled(has_backward):
        for turn in range(1 + NUM_TIMED):
            if turn == 1:
                _wait(device)
                began = time.perf_counter()
            made = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            if has_backward:
                query.grad = None
                made.sum().backward()
        _wait(device)
    return (time.perf_counter() - began) / NUM_TIMED, _error(made.detach(), query, key.detach(), value.detach())


def _alone(name: str) -> AbstractContextManager[None]:
    """The context in which a kernel of torch has nothing to fall back on, and one of a package torch's choice."""
    own = KERNELS[name].torch_name if name in KERNELS else None
    if own is not None:
        only: AbstractContextManager[None] = sdpa_kernel(getattr(SDPBackend, own))
        return only
    return attention_for_sampling(None if name == NATIVE else name)


def _error(made_BHLD: Tensor, query_BHLD: Tensor, key_BHKD: Tensor, value_BHKD: Tensor) -> float:
    """Largest difference of a few rows from float32, relative to their largest value; infinite for NaN."""
    rows_HRD = query_BHLD.detach()[0, :, :ROWS].float()
    has_backward = query_BHLD.grad is not None
    with torch.set_grad_enabled(has_backward), sdpa_kernel(SDPBackend.MATH):
        rows_HRD.requires_grad_(has_backward)
        true_HRD = torch.nn.functional.scaled_dot_product_attention(
            rows_HRD, key_BHKD[0].float(), value_BHKD[0].float()
        )
        pairs = [(made_BHLD[0, :, :ROWS], true_HRD.detach())]
        if query_BHLD.grad is not None:
            (slope_HRD,) = torch.autograd.grad(true_HRD.sum(), rows_HRD)
            pairs.append((query_BHLD.grad[0, :, :ROWS], slope_HRD))
    errors = [float((found.float() - true).abs().max() / true.abs().max()) for found, true in pairs]
    return max(each if math.isfinite(each) else math.inf for each in errors)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
