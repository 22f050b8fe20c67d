"""Whether the libraries can be imported, and what they support on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any, Final

from rushes.doctor.check import Check

_TIMEOUT_S: Final = 300.0
_LIBRARIES: Final = ("torch", "diffusers", "transformers", "peft", "accelerate", "av", "cv2", "scipy", "jinja2")
_HARMFUL: Final = ("torchvision", "torchcodec")
"""Not needed, and harmful if their build does not match torch: transformers imports torchvision if it is installed."""


@dataclass(frozen=True)
class Probed:
    """The result of importing one library."""

    name: str
    """The module."""
    error: str | None
    """Its error message; None when it imported."""
    facts: Mapping[str, Any]
    """What it supports; empty when it did not import."""
    timed_out: bool = False
    """True when the import timed out instead of failing: the cause may be a busy machine, not the library."""


def probe(names: Sequence[str], python: str = sys.executable, timeout_s: float = _TIMEOUT_S) -> list[Probed]:
    """Import libraries in another process; if one of them kills it, import the rest in a new process."""
    found: list[Probed] = []
    while len(found) < len(names):
        left = list(names[len(found) :])
        lines, ending, timed_out = _run(left, python, timeout_s)
        done = [Probed(line["name"], line["error"], line["facts"]) for line in lines if "error" in line]
        found += done
        if len(done) < len(left):
            found.append(Probed(left[len(done)], f"the process {ending} while importing it", {}, timed_out))
    return found


def _run(names: Sequence[str], python: str, timeout_s: float) -> tuple[list[dict[str, Any]], str, bool]:
    """The output lines of one probe process, how it ended, and whether it timed out."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    command = [python, "-P", str(Path(__file__).with_name("probe.py")), *names]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False, errors="replace"
        )
        output, ending, timed_out = done.stdout, f"ended with code {done.returncode}", False
    except subprocess.TimeoutExpired as expired:
        raw = expired.stdout or b""
        output = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
        ending, timed_out = f"took more than {timeout_s:.0f} s", True
    return [line for text in output.splitlines() if (line := _line(text)) is not None], ending, timed_out


def _line(text: str) -> dict[str, Any] | None:
    """One line of the probe; None for a line that a library printed."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "name" in value else None


def check_imports() -> list[Check]:
    """Import what Rushes needs, and what can break it if installed."""
    harmful = [name for name in _HARMFUL if util.find_spec(name) is not None]
    found = {one.name: one for one in probe([*harmful, *_LIBRARIES])}
    broken = [name for name in harmful if found[name].error is not None]
    checks = [_harmful(found[name]) for name in harmful] or [
        Check("torchvision, torchcodec", "ok", "not installed, as it should be")
    ]
    checks += _libraries([found[name] for name in _LIBRARIES], broken)
    if found["torch"].error is None:
        checks.append(_devices(found["torch"].facts))
    if found["av"].error is None:
        checks.append(_codecs(found["av"].facts))
    return checks


def _harmful(probed: Probed) -> Check:
    if probed.error is None:
        return Check(probed.name, "ok", "imports; not needed")
    found = f"installed, but does not import ({_short(probed.error)}); a broken {probed.name} breaks transformers too"
    return Check(probed.name, "missing", found, f"python -m pip uninstall -y {probed.name}")


def _libraries(probed: Sequence[Probed], broken: Sequence[str]) -> list[Check]:
    """One check for all libraries that import, and one for each that does not."""
    fine = [one.name for one in probed if one.error is None]
    failed = [_does_not_import(one, broken) for one in probed if one.error is not None]
    return [*([Check("imports", "ok", ", ".join(fine))] if fine else []), *failed]


def _does_not_import(probed: Probed, broken: Sequence[str]) -> Check:
    name = f"import {probed.name}"
    if probed.timed_out:
        return Check(
            name, "warning", _short(probed.error or ""), "run rushes doctor again when the machine is less busy"
        )
    if broken and probed.name in ("transformers", "diffusers", "peft"):
        fix = f"first remove what breaks it: python -m pip uninstall -y {' '.join(broken)}"
    else:
        fix = f"python -m pip install --force-reinstall {_distribution(probed.name)}; then run rushes doctor again"
    return Check(name, "missing", _short(probed.error or ""), fix)


def _distribution(module: str) -> str:
    return {"cv2": "opencv-python-headless", "PIL": "pillow"}.get(module, module)


def _devices(facts: Mapping[str, Any]) -> Check:
    devices = ", ".join(facts["devices"])
    bfloat16 = (
        f"bfloat16 by {', '.join(facts['cpu_bfloat16'])}"
        if facts["cpu_bfloat16"]
        else "float32 in the place of bfloat16"
    )
    cpu = f"cpu, {facts['num_threads']} torch threads, {bfloat16}"
    return Check("devices", "ok", f"{devices}; {cpu}" if devices else cpu)


def _codecs(facts: Mapping[str, Any]) -> Check:
    found = f"writes {', '.join(facts['writes']) or 'nothing'}; reads {', '.join(facts['reads']) or 'nothing'}"
    is_fine = "libx264" in facts["writes"] and "h264" in facts["reads"]
    fix = 'python -m pip install --force-reinstall --only-binary av "av>=18,<19"'
    return Check("video codecs", "ok" if is_fine else "missing", found, "" if is_fine else fix)


def _short(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
