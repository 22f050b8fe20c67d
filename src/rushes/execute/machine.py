"""Faults of the machine: a missing device, a missing library. They end a run; they are never one more failed item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rushes.errors import RecipeError, UserError

if TYPE_CHECKING:
    import torch


def check_device(name: str) -> None:
    """Check that tensors can be on a device; called before anything is loaded onto it.

    Args:
        name: as torch has it: "cpu", "cuda", "cuda:1", "mps".

    Raises:
        RecipeError: there is no such device here, or this torch was built without it.
    """
    if name == "cpu":
        return
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RecipeError(
            "there is no such kind of device",
            expected="cpu, cuda, cuda:0, cuda:1, ... or mps",
            got=name,
            next_step="--set runtime.device=cpu, or another of these",
        ) from error
    if device.type == "cuda":
        _check_cuda(device)
        return
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise RecipeError(
            f"this machine, or torch {torch.__version__}, has no such device",
            got=name,
            next_step="--set runtime.device=cpu, or run on a machine that has it",
        ) from error


def _check_cuda(device: torch.device) -> None:
    import torch

    if not torch.backends.cuda.is_built():
        raise RecipeError(
            "this torch is built without CUDA, so it cannot use a GPU",
            expected="a torch with CUDA",
            got=torch.__version__,
            next_step="install torch for CUDA (its command is on pytorch.org), or --set runtime.device=cpu",
        )
    num = torch.cuda.device_count()
    if num == 0:
        raise RecipeError(
            "torch finds no GPU on this machine",
            expected="a GPU that nvidia-smi lists and CUDA_VISIBLE_DEVICES does not hide",
            got="0 GPUs",
            next_step="check nvidia-smi and CUDA_VISIBLE_DEVICES, or --set runtime.device=cpu",
        )
    if device.index is not None and device.index >= num:
        raise RecipeError(
            f"this machine has no GPU number {device.index}",
            expected=f"cuda:0 to cuda:{num - 1}" if num > 1 else "cuda",
            got=str(device),
            next_step="--set runtime.device=cuda, or name one that exists",
        )


def broken_library(error: ImportError) -> UserError:
    """The error for the user when a library cannot be imported in the middle of the work."""
    return UserError(
        f"a library that this work needs cannot be imported: {error}",
        next_step="install it (rushes doctor shows what is missing or broken), then run the same command again",
    )
