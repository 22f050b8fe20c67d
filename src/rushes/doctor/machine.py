"""Free disk space, memory and cores."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from rushes.doctor.check import Check

_GIB: Final = 2**30
_DISK_WARNING_GIB: Final = 5.0
_DISK_MINIMUM_GIB: Final = 1.0
_MEMORY_WARNING_GIB: Final = 4.0


def check_machine(home: Path) -> list[Check]:
    """Disk and write permission where runs will be, memory, cores."""
    return [_disk(home), _memory(), _cores()]


def _disk(home: Path) -> Check:
    """Free space in the nearest folder that already exists."""
    folder = next(path for path in (home.absolute(), *home.absolute().parents) if path.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return Check("disk", "missing", f"{folder} is not a folder that this user can write to", "name another --home")
    free = shutil.disk_usage(folder).free / _GIB
    found = f"{free:.1f} GiB free at {folder}"
    if free < _DISK_MINIMUM_GIB:
        return Check("disk", "missing", found, "free some space, or name another --home")
    return Check("disk", "ok" if free >= _DISK_WARNING_GIB else "warning", found)


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    available = _available_gib()
    found = f"{total:.1f} GiB" + ("" if available is None else f", {available:.1f} GiB available")
    if (total if available is None else available) >= _MEMORY_WARNING_GIB:
        return Check("memory", "ok", found)
    return Check(
        "memory", "warning", found, f"close other programs: the demo needs up to {_MEMORY_WARNING_GIB:.0f} GiB"
    )


def _available_gib() -> float | None:
    """Memory that programs can still allocate; None if the system does not report it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) / 2**20 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def _cores() -> Check:
    num = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    if load > num:
        return Check("cores", "warning", f"{num}, load {load:.1f}: other programs are running", "runs will be slower")
    return Check("cores", "ok", f"{num}, load {load:.1f}")
