"""`rushes doctor`: what this machine has, what is missing, and which command fixes it."""

from pathlib import Path

from rushes.doctor.check import Check, Status
from rushes.doctor.imports import check_imports
from rushes.doctor.machine import check_machine
from rushes.doctor.packages import check_packages
from rushes.extensions import extensions

__all__ = ["Check", "Status", "examine"]


def examine(home: Path) -> list[Check]:
    """Run all checks; takes some seconds, since the libraries are actually imported (in another process).

    Args:
        home: folder that runs are written to.

    Packages add their own checks by entry points in the group `rushes.checks`: functions that return a `Check`.
    """
    own = [*check_packages(), *check_imports(), *check_machine(home)]
    return [*own, *(point.load()() for point in extensions("rushes.checks").values())]
