"""The attention kernel of a training run: named by the recipe, or the fastest of a short trial at its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from rushes.errors import RecipeError
from rushes.families.attention import AttentionCall
from rushes.families.kernel_trial import Tried, candidates, fastest, tried
from rushes.families.kernels import NATIVE, check_kernel

SETTING: Final = "runtime.train.attention"
"""The recipe's setting."""
SHORT_TOKENS: Final = 1024
"""Up to this number of keys the plain kernel is used on a CPU: its backward pass is several times faster there."""


def try_kernel(kernel: str, calls: Sequence[AttentionCall], device: torch.device) -> Tried | None:
    """Time and error of one forward and backward pass of every call; None if the kernel does not support one."""
    return tried(kernel, calls, device, has_backward=True)


def choose_kernel(asked: str, calls: Sequence[AttentionCall], device: torch.device) -> tuple[str, dict[str, Tried]]:
    """The kernel to train with, and the trials by name (empty if none were needed).

    Args:
        asked: `runtime.train.attention` of the recipe.
        calls: what training will call, from `probe`.
        device: the device.

    Raises:
        RecipeError: the recipe names a kernel that is not installed, or does not support these calls on this device.
    """
    if asked == "auto":
        if device.type == "cpu":
            longest = max((call.key[-2] for call in calls), default=0)
            return ("math" if longest <= SHORT_TOKENS else "flash"), {}
        names = [NATIVE, *candidates()]
        found = {name: each for name in names if (each := try_kernel(name, calls, device)) is not None}
        return (fastest(found) if NATIVE in found else NATIVE), found
    check_kernel(asked, SETTING, device.type, allows_remote_code=True)  # asked for before the run
    alone = try_kernel(asked, calls, device)
    if alone is None:
        raise RecipeError(
            f"the attention kernel {asked!r} cannot be used here",
            expected=f"a kernel for attention of {[call.query for call in calls]} on {device.type}",
            got=asked,
            next_step="--set runtime.train.attention=auto",
        )
    return asked, {asked: alone}
