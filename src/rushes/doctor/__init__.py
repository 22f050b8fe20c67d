"""`rushes doctor`: what is there on this machine, what is missing, and what to type to get it."""

from pathlib import Path

from rushes.doctor.check import Check, Status
from rushes.doctor.imports import check_imports
from rushes.doctor.machine import check_machine
from rushes.doctor.packages import check_packages
from rushes.doctor.weights import check_weights, write_sums

__all__ = ["Check", "Status", "check_weights", "examine", "write_sums"]


def examine(home: Path) -> list[Check]:
    """Look at everything; takes some seconds, since the libraries are really imported (in another process).

    Args:
        home: folder that runs will be written to.
    """
    return [*check_packages(), *check_imports(), *check_machine(home), check_weights()]
