"""Seconds and peak memory of a call, and the comparison of two calls."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Result:
    """One measurement."""

    what: str
    unit: str
    ours_s: float | None
    """None when out of memory."""
    plain_s: float | None
    """None when out of memory."""
    ratio: float | None
    ours_peak_bytes: int | None
    plain_peak_bytes: int | None
    compile_s: float | None = None
    """One-time compile seconds before the first step, in no other number; None if nothing is compiled."""


Measured = tuple[float | None, int | None]
"""Seconds and peak memory, bytes."""


def measured(do: Callable[[], object], num_repeats: int, device: torch.device) -> Measured:
    """Best seconds of a few calls after an uncounted one, and peak memory over the counted calls."""
    try:
        do()
        reset_peak(device)
        times = []
        for _ in range(num_repeats):
            wait(device)
            began = time.perf_counter()
            do()
            wait(device)
            times.append(time.perf_counter() - began)
    except torch.OutOfMemoryError:
        return None, None
    return min(times), peak_of(device)


def beside(what: str, unit: str, ours: Measured, plain: Measured, *, per: int = 1) -> Result:
    """Two measurements as a result, in units of which each call did `per`."""
    ours_s, plain_s = (None if each[0] is None else each[0] / per for each in (ours, plain))
    ratio = None if ours_s is None or plain_s is None else plain_s / ours_s
    return Result(what, unit, ours_s, plain_s, ratio, ours[1], plain[1])


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif os.access("/proc/self/clear_refs", os.W_OK):
        Path("/proc/self/clear_refs").write_text("5")


def peak_of(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)


def machine(device: torch.device) -> str:
    """The machine in words."""
    if device.type == "cuda":
        one = torch.cuda.get_device_properties(device)
        where = f"one {one.name} with {one.total_memory / 2**30:.0f} GiB"
    else:
        where = f"{os.cpu_count()} CPU cores ({platform.machine()}), {torch.get_num_threads()} threads"
    return f"{where}; Python {platform.python_version()}, torch {torch.__version__}"
