"""What installed packages add to Rushes, by their entry points; it loads nothing else, and everything may use it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points


@cache
def extensions(group: str) -> dict[str, EntryPoint]:
    """Entry points of installed packages, by name.

    Args:
        group: `rushes.recipes` (packages that hold YAML files), `rushes.commands` (typer apps), `rushes.sections`
            (parts of the report), `rushes.checks` (of `rushes doctor`), `rushes.question_needs` (packages that hold
            such a YAML file), or the group of a `rushes.plugins.Role`.
    """
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def is_shipped(point: EntryPoint) -> bool:
    """True for an entry point of this distribution, which every installation of Rushes has."""
    return point.dist is not None and point.dist.name == "rushes"
