"""Training on several processes: the settings from the command line and a launcher, and what each process does."""

from __future__ import annotations

import os
import sys

from rushes.cli.show import say
from rushes.train.launched import check_launch, end_with_parent, launched, left_over


def sharing(num_processes: int | None) -> list[str]:
    """The recipe settings implied by `--num-processes` and a launcher's environment, as `a.b=value` each."""
    num = num_processes or launched()
    settings = [] if num is None else [f"runtime.train.num_processes={num}"]
    fsdp = launched() is not None and os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("true", "1", "yes")
    return [*settings, "runtime.train.parallel=fsdp"] if fsdp else settings


def check_sharing(num_processes: int) -> None:
    """Check that a recipe can have this many processes here; prints which variables are ignored.

    Raises:
        RecipeError: the environment contradicts this, or is ambiguous.
    """
    check_launch(num_processes)
    if variables := left_over():
        say(f"ignoring {variables}: neither torchrun nor accelerate launch set them", file=sys.stderr)


def assisting() -> bool:
    """Assist to the end, and return True, if a launcher started this process as one of several, not the first."""
    if launched() is None:
        return False
    end_with_parent()
    if os.environ["RANK"] == "0":
        return False
    from rushes.train.worker import assist

    assist()
    return True


def dismiss_others() -> None:
    """End the other processes of the launcher, if one started this process as the first of several."""
    if launched() is not None:
        from rushes.train.worker import dismiss

        dismiss()
