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
        dtype: what most layers compute in.
        enabled: False computes in the format of the weights.
    """
    unprinted = ("ignore", re.compile(_SLOWER, re.IGNORECASE), UserWarning, None, 0)
    if enabled and unprinted not in warnings.filters:  # another change of the filters would print old warnings again
        warnings.filterwarnings("ignore", message=_SLOWER, category=UserWarning)
    return torch.autocast(device.type, dtype, enabled=enabled)
