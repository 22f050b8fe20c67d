"""The attention kernels by their names in a recipe: torch's own, and those of packages that diffusers calls.

Flash attention and xformers compute exact attention and differ from torch's kernels in the last bits. SageAttention
rounds queries and keys to eight bits: it makes other clips, so it is a setting of a sampler and part of work keys.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rushes.errors import RecipeError

NATIVE: Final = "native"
"""Torch's own choice among its kernels."""


@dataclass(frozen=True)
class Kernel:
    """A kernel, and what it can do."""

    torch_name: str | None = None
    """Its member of `torch.nn.attention.SDPBackend`; None for a kernel of a package."""
    diffusers_name: str | None = None
    """Its name in diffusers' dispatcher; None for torch's own."""
    module: str = "torch"
    """The module that must be importable."""
    install: str = ""
    """The command that installs it."""
    takes_masks: bool = True
    """Whether it can do calls with a mask."""
    takes_float32: bool = True
    """Whether it computes in float32, too."""
    is_exact: bool = True
    """Whether it differs from torch's kernels in rounding alone."""
    is_from_hub: bool = False
    """Whether its code is downloaded from the Hub."""

    @property
    def is_installed(self) -> bool:
        """Whether its module is there; the version is checked by diffusers when it is used."""
        return importlib.util.find_spec(self.module) is not None


def _package(name: str, module: str, install: str, *, masks: bool = False, float32: bool = False) -> Kernel:
    return Kernel(None, name, module, install, takes_masks=masks, takes_float32=float32)


def _from_hub(name: str) -> Kernel:
    install = "pip install 'kernels>=0.12'"
    return Kernel(None, name, "kernels", install, takes_masks=False, takes_float32=False, is_from_hub=True)


def _sage(name: str) -> Kernel:
    install = "pip install 'sageattention>=2.1.1' --no-build-isolation"
    return Kernel(None, name, "sageattention", install, takes_masks=False, takes_float32=False, is_exact=False)


_FLASH_3: Final = (
    "git clone https://github.com/Dao-AILab/flash-attention && "
    "pip install ./flash-attention/hopper --no-build-isolation"
)

KERNELS: Final[Mapping[str, Kernel]] = {
    "flash": Kernel("FLASH_ATTENTION"),
    "efficient": Kernel("EFFICIENT_ATTENTION"),
    "cudnn": Kernel("CUDNN_ATTENTION"),
    "math": Kernel("MATH"),
    "flash_attn": _package("flash", "flash_attn", "pip install 'flash-attn>=2.6.3' --no-build-isolation"),
    "flash_attn_3": _package("_flash_3", "flash_attn_interface", _FLASH_3),
    "xformers": _package("xformers", "xformers", "pip install 'xformers>=0.0.29'", masks=True, float32=True),
    "flash_attn_hub": _from_hub("flash_hub"),
    "flash_attn_3_hub": _from_hub("_flash_3_hub"),
    "sage": _sage("sage"),
    "sage_fp16": _sage("_sage_qk_int8_pv_fp16_cuda"),
    "sage_fp8": _sage("_sage_qk_int8_pv_fp8_cuda"),
}
"""By name; `sage` leaves it to SageAttention which of its kernels suits the GPU."""


def check_kernel(name: str, setting: str, device_type: str, *, allows_remote_code: bool = False) -> None:
    """Check that a kernel that a recipe names can be there: its package is installed, and it is for this device.

    Args:
        name: of the kernel, `native` or `auto`.
        setting: the recipe's setting, for the error.
        device_type: "cpu" or "cuda".
        allows_remote_code: `runtime.allow_remote_code`.

    Raises:
        RecipeError: it cannot.
    """
    kernel = KERNELS.get(name)
    if kernel is None or kernel.diffusers_name is None:
        return
    instead = "null" if setting.endswith("sampler.attention") else "auto"
    if device_type != "cuda":
        raise RecipeError(
            f"the attention kernel {name!r} is made for NVIDIA GPUs",
            expected="runtime.device: cuda",
            got=device_type,
            next_step=f"--set {setting}={instead}",
        )
    if kernel.is_from_hub and not allows_remote_code:
        raise RecipeError(
            f"the attention kernel {name!r} runs code from the Hub",
            expected="runtime.allow_remote_code: true, if you trust it",
            got=allows_remote_code,
            next_step=f"--set runtime.allow_remote_code=true, or --set {setting}={instead}",
        )
    if not kernel.is_installed:
        raise RecipeError(
            f"the attention kernel {name!r} is not installed",
            expected=f"the module {kernel.module}",
            next_step=f"{kernel.install}, or --set {setting}={instead}",
        )
