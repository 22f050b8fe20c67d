"""Number formats: mixed precision as every pass of float32 weights uses it, and weights that are stored in fewer bits.

A transformer that was loaded in bfloat16 computes in it, as the stock pipeline does, without mixed precision.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

_SLOWER: Final = "Mismatch dtype between input and weight"
"""How torch's warning begins: a norm with float32 weights gets bfloat16 under autocast, which only takes longer."""


def mixed_precision(device: torch.device, dtype: torch.dtype, *, enabled: bool = True) -> torch.autocast:
    """`torch.autocast`, with its warning that a norm is computed by the slower of two ways left unprinted.

    Args:
        device: where the pass runs.
        dtype: what most layers compute in; bfloat16 is float32 where `computes_bfloat16` says so.
        enabled: False computes in the format of the weights.
    """
    return autocast(device, dtype, enabled=enabled and (dtype != torch.bfloat16 or computes_bfloat16(device)))


def autocast(device: torch.device, dtype: torch.dtype, *, enabled: bool) -> torch.autocast:
    """The same whatever the device has instructions for, for passes that are counted, not computed."""
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


def stored_format(precision: str | None, device: torch.device) -> str | None:
    """The number format that a transformer is loaded in, as in `base.transformer_precision`; None for float32, which
    takes the place of the others on a processor that does not compute in bfloat16."""
    return precision if computes_bfloat16(device) else None


def computes_in_half(transformer: Any) -> bool:
    """Whether a transformer is as it was loaded in bfloat16, so that its inputs must be in bfloat16 as well.

    One with a float32 adapter on such weights computes in mixed precision.
    """
    return transformer.dtype == torch.bfloat16 and not getattr(transformer, "peft_config", None)


def store_in_float8(transformer: Any) -> None:
    """Store the weights of a bfloat16 transformer in 8 bits, and compute in bfloat16: diffusers' layerwise casting.

    Norms, the layers at both ends, and adapters keep their format, and so does what the model requires in float32.
    """
    transformer.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16, skip_modules_pattern=_uncast(transformer)
    )


def cast_layers(transformer: torch.nn.Module) -> list[Any]:
    """The layers whose weights `store_in_float8` stores in 8 bits."""
    from diffusers.hooks._common import _GO_LC_SUPPORTED_PYTORCH_LAYERS

    skip = _uncast(transformer)
    return [
        module
        for name, module in transformer.named_modules()
        if isinstance(module, _GO_LC_SUPPORTED_PYTORCH_LAYERS) and not any(re.search(each, name) for each in skip)
    ]


def _uncast(transformer: Any) -> tuple[str, ...]:
    """Patterns of the names of layers that keep their format."""
    from diffusers.hooks.layerwise_casting import DEFAULT_SKIP_MODULES_PATTERN

    keep = tuple(getattr(transformer, "_keep_in_fp32_modules", None) or ())
    own = tuple(getattr(transformer, "_skip_layerwise_casting_patterns", None) or ())
    return (*DEFAULT_SKIP_MODULES_PATTERN, *own, *keep, "lora_")


def is_in_float8(transformer: torch.nn.Module) -> bool:
    """Whether `store_in_float8` was applied."""
    return any(value.dtype == torch.float8_e4m3fn for value in transformer.parameters())


def as_stored(transformer: torch.nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as a transformer's `load_state_dict` is to get them: for 8 bits rounded to bfloat16 first, as when it was
    loaded."""
    if not is_in_float8(transformer):
        return dict(weights)
    formats = {name: value.dtype for name, value in transformer.state_dict().items()}
    return {n: v.bfloat16() if formats.get(n) == torch.float8_e4m3fn else v for n, v in weights.items()}
