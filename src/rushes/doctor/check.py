"""One finding about this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "missing"]
"""Fine; works but needs attention; something that Rushes needs is missing or broken."""


@dataclass(frozen=True)
class Check:
    """One check and its result."""

    name: str
    """What was checked: "torch", "disk", "sandbox weights"."""
    status: Status
    """The result."""
    found: str
    """What was found, in words."""
    fix: str = ""
    """What to type or do; empty if nothing needs to be done."""
