"""Mixed precision as every pass of a transformer uses it: when it samples, is trained, and is watched."""

from __future__ import annotations

import re
import warnings
from typing import Final

import torch

_SLOWER: Final = "Mismatch dtype between input and weight"
"""How torch's warning begins: a norm with float32 weights gets bfloat16 under autocast, which only takes longer."""


def mixed_precision(device: torch.device, dtype: torch.dtype, *, enabled: bool = True) -> torch.autocast:
    """`torch.autocast`, with its warning that a norm is computed by the slower of two ways left unprinted.

    Args:
        device: where the pass runs.
        dtype: what most layers compute in; bfloat16 is float32 where `computes_bfloat16` says so.
        enabled: False computes in the format of the weights.
    """
    enabled = enabled and (dtype != torch.bfloat16 or computes_bfloat16(device))
    unprinted = ("ignore", re.compile(_SLOWER, re.IGNORECASE), UserWarning, None, 0)
    if enabled and unprinted not in warnings.filters:  # another change of the filters would print old warnings again
        warnings.filterwarnings("ignore", message=_SLOWER, category=UserWarning)
    return torch.autocast(device.type, dtype, enabled=enabled)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16. A processor without them takes about ten times as long in it as
    in float32, which is also more exact, so float32 takes its place there."""
    if device.type != "cpu":
        return True
    is_supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(is_supported is not None and is_supported())
