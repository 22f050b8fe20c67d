"""How busy this machine is: a pace measured beside other work is too slow, and whoever reads it must know."""

from __future__ import annotations

import os
from typing import Final

_BUSY: Final = 0.5
"""From this share of the cores that other work wants, measured times are noticeably too long."""


def busy_words() -> str | None:
    """What to say about other work on this machine; None if there is little, or if the system does not tell."""
    try:
        wanted = os.getloadavg()[0]
    except OSError:
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if wanted < _BUSY * cores:
        return None
    factor = max(1.0, (wanted + 1) / cores)
    times = f", perhaps {factor:.1f} times" if factor > 1.05 else ""
    return (
        f"this machine is busy: other work wanted {wanted:.1f} of its {cores} cores in the last minute, so times that "
        f"are measured now are too long{times}"
    )
