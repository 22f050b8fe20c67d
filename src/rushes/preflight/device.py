"""Checks of devices and processes: the device is there, with GPUs enough, and the optimiser and executor fit it."""

from __future__ import annotations

from collections.abc import Iterator

from rushes.context import executor_of
from rushes.errors import UserError
from rushes.execute.machine import check_device
from rushes.execute.ray import check_address
from rushes.families.kernels import check_kernel
from rushes.findings import Finding
from rushes.recipe.recipe import Recipe
from rushes.train.launched import check_launch, launched


def check_runtime_device(recipe: Recipe) -> Iterator[Finding]:
    """This machine and this torch have the device."""
    try:
        check_device(recipe.runtime.device)
    except UserError as error:
        yield Finding.of("runtime.device", error)


def check_gpus(recipe: Recipe) -> Iterator[Finding]:
    """Each training process that this machine will start has a GPU of its own; a launcher counts its machines' GPUs."""
    wanted = recipe.runtime.train.num_processes
    if not recipe.runtime.device.startswith("cuda") or wanted == 1 or launched() is not None:
        return
    import torch

    num = torch.cuda.device_count()
    if 0 < num < wanted:
        yield Finding(
            "runtime.train.num_processes",
            "there are more training processes than GPUs",
            expected=f"at most {num}, the GPUs of this machine, or a launcher on several machines",
            got=repr(wanted),
            next_step=f"--set runtime.train.num_processes={num}",
        )


def check_attention(recipe: Recipe) -> Iterator[Finding]:
    """The attention kernels that the recipe names are here."""
    runtime = recipe.runtime
    asked: dict[str, str] = {
        "runtime.sampling.attention": runtime.sampling.attention,
        "runtime.train.attention": runtime.train.attention,
    }
    for name, sampler in (("generate", recipe.generate.sampler), ("measure", recipe.measure.sampler)):
        if sampler.attention is not None:
            asked[f"{name}.sampler.attention"] = sampler.attention
    for setting, kernel in asked.items():
        device = runtime.device.partition(":")[0]
        try:
            check_kernel(kernel, setting, device, allows_remote_code=runtime.allow_remote_code)
        except UserError as error:
            yield Finding.of(setting, error)


def check_optimizer(recipe: Recipe) -> Iterator[Finding]:
    """The optimiser runs on the device."""
    if recipe.train.optimizer == "adamw_8bit" and not recipe.runtime.device.startswith("cuda"):
        yield Finding(
            "train.optimizer",
            "8-bit AdamW needs a GPU",
            expected="runtime.device: cuda",
            got=repr(recipe.runtime.device),
            next_step="--set train.optimizer=adamw",
        )


def check_executor(recipe: Recipe) -> Iterator[Finding]:
    """Executor and launcher can be used as the recipe says; a Ray cluster that it names answers."""
    runtime = recipe.runtime
    try:
        executor_of(runtime)
    except UserError as error:
        yield Finding.of("runtime.executor", error)
    if runtime.executor == "ray" and runtime.ray_address is not None:
        try:
            check_address(runtime.ray_address)
        except UserError as error:
            yield Finding.of("runtime.ray_address", error)
    try:
        check_launch(recipe.runtime.train.num_processes)
    except UserError as error:
        yield Finding.of("runtime.train.num_processes", error)
