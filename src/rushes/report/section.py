"""Sections that installed packages add to the report: plain text in a table, escaped by the report's own template.

A package offers one as an entry point in the group `rushes.sections`: a function from `Sources` to a `Section`, or to
None if it has nothing to show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rushes.extensions import extensions
from rushes.records import Clip, Measurement, Prompt
from rushes.store.run import Run


@dataclass(frozen=True, eq=False)
class Sources:
    """The data that a section can read."""

    run: Run
    """The run."""
    before: Sequence[Measurement]
    """Measurements of the untouched model."""
    after: Sequence[Measurement]
    """Those of the tuned model."""
    prompts: Mapping[str, Prompt]
    """By key, at least those measured."""
    clips: Mapping[str, Clip]
    """By key, at least those measured."""


@dataclass(frozen=True)
class Section:
    """A titled table with notes. All of it is text, not markup.

    Example: `Section("Official results", "As the official code scored.", ("Dimension", "Now"), (("Motion", "52"),))`.
    """

    title: str
    """Heading, also used in the page's menu."""
    lead: str
    """Introduction, a sentence or two."""
    columns: tuple[str, ...]
    """Column heads; the first column names the rows."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, one per column."""
    notes: tuple[str, ...] = field(default=())
    """Small print below the table."""


def sections_of(sources: Sources) -> tuple[Section, ...]:
    """The sections of all installed packages. One that fails is shown with its error; it must not end a long run."""
    found = [_section(name, point.load, sources) for name, point in extensions("rushes.sections").items()]
    return tuple(each for each in found if each is not None)


def _section(name: str, load: Callable[[], Callable[[Sources], Section | None]], sources: Sources) -> Section | None:
    try:
        return load()(sources)
    except Exception as error:
        return Section(name, f"This section could not be created: {type(error).__name__}: {error}", (), ())
