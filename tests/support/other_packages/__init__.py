"""Packages that are not installed for the tests, each set in a folder to put before the others on PYTHONPATH.

They are installed once, without their requirements, into the folder that RUSHES_TEST_PACKAGES names, else into the
user's cache. torch stays the one that is tested with.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def asked_for(name: str) -> str:
    """What `<name>.txt` beside this file asks pip for."""
    return (Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8")


def packages(name: str) -> Path:
    """The folder of the packages of `<name>.txt`; skips the test where they cannot be had."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256((asked_for(name) + python).encode()).hexdigest()[:12]
    folder = _cache() / f"{name}-{key}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".installing-") as unfinished:
            _install(name, Path(unfinished) / "packages")
            if not folder.is_dir():  # another test process may have been faster
                os.replace(Path(unfinished) / "packages", folder)
    return folder


def _cache() -> Path:
    named = os.environ.get("RUSHES_TEST_PACKAGES")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rushes-tests"


def _install(name: str, target: Path) -> None:
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--retries", "1", "--timeout", "20"]
    wanted = str(Path(__file__).parent / f"{name}.txt")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), "-r", wanted]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "DO NOT MATCH THE HASHES" not in done.stderr, done.stderr
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        pytest.skip(f"the packages of {name}.txt cannot be had: {said}")
