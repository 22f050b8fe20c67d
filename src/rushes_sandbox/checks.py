"""Checks that the sandbox's weights are in the package, byte for byte as released."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rushes.doctor.check import Check
from rushes.store.files import sha256_of_file, write_atomic
from rushes_sandbox.packaged import packaged_weights

SUMS: Final = "SHA256SUMS"
"""File with the hashes, in the format of `sha256sum`."""


def write_sums(folder: Path) -> Path:
    """Write the hashes of all files below `folder` into its `SHA256SUMS`, which `sha256sum -c` reads too.

    Returns:
        That file.

    Raises:
        StoreError: the folder cannot be written.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [f"{sha256_of_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths]
    write_atomic(folder / SUMS, "".join(lines).encode())
    return folder / SUMS


def check_weights(folder: Path | None = None) -> Check:
    """Compare every file with its released hash.

    Args:
        folder: where the weights are; None for the package's own.
    """
    folder = folder or packaged_weights()
    name = "sandbox weights"
    if not (folder / SUMS).is_file() and folder.is_dir() and any(folder.iterdir()):
        return Check(name, "warning", f"present, but without {SUMS}, so they cannot be verified")
    if not (folder / SUMS).is_file():
        return Check(
            name,
            "missing",
            f"none in {folder}",
            "reinstall the package, or in a checkout (hours): python -m lab.pretrain",
        )
    damaged, num_bytes = [], 0
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    for line in lines:
        sha256, _, path = line.partition("  ")
        file = folder / path
        if not file.is_file():
            damaged.append(f"{path} is missing")
        elif sha256_of_file(file) != sha256:
            damaged.append(f"{path} was changed")
        else:
            num_bytes += file.stat().st_size
    if damaged or not lines:
        found = "; ".join(damaged[:4]) or f"{SUMS} is empty"
        return Check(
            name,
            "missing",
            found,
            "reinstall the package, or in a checkout: git checkout -- src/rushes_sandbox/weights",
        )
    return Check(name, "ok", f"{len(lines)} files, {num_bytes / 1e6:.1f} MB, intact")
