"""Where the package keeps the sandbox's weights."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def packaged_weights() -> Path:
    """The folder with all of them: the base model in `base`, the judge in `judge`."""
    return Path(str(files("rushes_sandbox") / "weights"))


def packaged_judge() -> Path:
    """The judge's folder."""
    return packaged_weights() / "judge"
