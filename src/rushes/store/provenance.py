"""Commit, versions and hardware of a run. Nothing that names a person, a host or a folder."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

_LIBRARIES: Final = ("torch", "diffusers", "transformers", "peft", "safetensors", "numpy", "pydantic")
_BUILT_FROM: Final = re.compile(r"\+g(?P<commit>[0-9a-f]{12})(?P<dirty>\.dirty)?$")
"""The end of a version that names its commit, as hatch_build.py writes it."""
_PACKAGE: Final = Path(__file__).resolve().parent.parent


def rushes_version() -> str:
    """Version of this package, with the commit it was built from: 0.1.0+g0123456789ab.

    In a checkout without the commit: it would be that of the day it was installed. "0+source" if it is not installed.
    """
    try:
        found = metadata.version("rushes")
    except metadata.PackageNotFoundError:
        return "0+source"
    is_checkout = (_PACKAGE.parents[1] / "pyproject.toml").is_file()
    return found.partition("+")[0] if is_checkout else found


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that affect results; those not installed are left out."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def hardware() -> dict[str, str]:
    """Processor, cores, memory and accelerators, as text; read without importing torch."""
    found = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "num_cpus": str(os.cpu_count() or 1),
        "memory_gib": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f}",
    }
    accelerators = _accelerators()
    if accelerators:
        found["accelerator"] = ", ".join(accelerators)
    return found


@cache
def commit() -> tuple[str | None, bool | None]:
    """Commit of the source checkout, or of that which a package was built from, and whether it had uncommitted changes.

    (None, None) for a package that does not say: a release, which its version names, or one built without git.
    """
    top = _git("rev-parse", "--show-toplevel")
    # A package installed inside another repository must not report that repository's commit.
    if top is None or Path(top).resolve() / "src" / "rushes" != _PACKAGE:
        built = _BUILT_FROM.search(rushes_version())
        return (built["commit"], built["dirty"] is not None) if built else (None, None)
    status = _git("status", "--porcelain")
    return _git("rev-parse", "HEAD"), None if status is None else bool(status)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(_PACKAGE), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _accelerators() -> list[str]:
    """Names of NVIDIA devices, as their driver lists them."""
    names: list[str] = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                names.append(line.split(":", 1)[1].strip())
    return names
