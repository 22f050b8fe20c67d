"""One finding about this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "missing"]
"""Fine; works but look at it; something that Rushes needs is not there or broken."""


@dataclass(frozen=True)
class Check:
    """What was looked at and found."""

    name: str
    """What was looked at: "torch", "disk", "sandbox weights"."""
    status: Status
    """How it is."""
    found: str
    """What is there, in words."""
    fix: str = ""
    """What to type, or to do; empty where nothing is to be done."""
