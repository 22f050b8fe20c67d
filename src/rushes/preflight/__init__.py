"""Checks before any expensive work: what can be known to fail is told at once, in seconds, before anything is spent.

The pipeline and the command line use it. It loads no weights, writes nothing, and knows no stage of a run.
"""

from rushes.preflight.base import check_base
from rushes.preflight.checks import check, found, found_in_recipe, found_on_machine

__all__ = ["check", "check_base", "found", "found_in_recipe", "found_on_machine"]
