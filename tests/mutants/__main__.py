"""`python -m tests.mutants [WORD ...]`: make each fault of `faults.yaml` in a copy of the source and run its tests.

First all these tests run without a fault: they must pass, or their failures would say nothing. A fault is noticed when
its tests fail. One that they pass has survived: the program ends with status 1. Words choose faults whose file or
description holds one of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import yaml

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300
PACKAGES = ("rushes", "rushes_sandbox", "rushes_vbench")


@dataclass(frozen=True)
class Fault:
    """One change of one line."""

    what: str
    """What goes wrong, in words."""
    file: str
    """Relative to `src/`."""
    old: str
    """Text that stands exactly once in the file."""
    new: str
    """What stands there instead."""
    tests: str
    """Test files or folders that must notice, relative to `tests/`, with spaces between."""


def read_faults() -> list[Fault]:
    """The faults, in order."""
    rows = yaml.safe_load((ROOT / "tests" / "mutants" / "faults.yaml").read_text(encoding="utf-8"))
    return [Fault(**row) for row in rows]


def place_of(fault: Fault, source: Path = ROOT / "src") -> str | None:
    """Why a fault cannot be made; None where it can."""
    path = source / fault.file
    if not path.is_file():
        return f"there is no src/{fault.file}"
    num = path.read_text(encoding="utf-8").count(fault.old)
    return None if num == 1 else f"src/{fault.file} has {fault.old!r} {num} times"


def run_tests(source: Path, tests: str, timeout_s: int = TIMEOUT_S) -> tuple[int, str]:
    """Exit status of pytest over a copy of the source, and the end of what it said."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", "0"]
    command += [f"tests/{each}" for each in tests.split()]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, "took too long"
    return done.returncode, done.stdout[-1500:]


def copy_source(folder: Path) -> Path:
    """A copy of the packages; weights are linked, since no fault touches them."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / "src" / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "weights")
            if package == "rushes_sandbox" else shutil.ignore_patterns("__pycache__"),
        )  # fmt: skip
    (folder / "rushes_sandbox" / "weights").symlink_to(ROOT / "src" / "rushes_sandbox" / "weights")
    return folder


def is_noticed(fault: Fault, source: Path) -> bool:
    """Whether the tests of a fault fail once it is made; the copy is as before afterwards."""
    path = source / fault.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(fault.old, fault.new), encoding="utf-8")
    try:
        status, _ = run_tests(source, fault.tests)
    finally:
        path.write_text(whole, encoding="utf-8")
    return status == 1


def main(words: Sequence[str]) -> int:
    """Make the faults; returns the exit status."""
    faults = [each for each in read_faults() if not words or any(word in f"{each.file} {each.what}" for word in words)]
    impossible = {each.what: why for each in faults if (why := place_of(each)) is not None}
    if impossible:
        print("\n".join(f"{what}: {why}" for what, why in impossible.items()))
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rushes-mutants-") as folder:
        num = min(2, os.cpu_count() or 1)
        copies: Queue[Path] = Queue()
        for number in range(num):
            copies.put(copy_source(Path(folder) / str(number)))
        status, said = run_tests(Path(folder) / "0", " ".join(sorted({each.tests for each in faults})), 3 * TIMEOUT_S)
        if status != 0:
            print(f"the tests fail without any fault:\n{said}")
            return 2

        def check(fault: Fault) -> bool:
            source = copies.get()
            try:
                noticed = is_noticed(fault, source)
            finally:
                copies.put(source)
            print(f"{'noticed ' if noticed else 'SURVIVED'}  {fault.file}: {fault.what}", flush=True)
            return noticed

        with ThreadPoolExecutor(num) as pool:
            found = list(pool.map(check, faults))
    survived = found.count(False)
    print(f"{len(found)} faults, {survived} survived, {time.monotonic() - began:.0f} s")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
