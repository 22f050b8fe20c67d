"""What a reader must know where a measurer was shown fewer frames of a clip than it asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rushes.records import Measurement, Part, Scored

SHARE_SHOWN: Final = "share of the frames that were to be shown"
"""Name of the part of a score that a measurer gave from fewer frames, since a server allows fewer images."""


def own_parts(outcome: Scored) -> tuple[Part, ...]:
    """The parts of a score that tell right from wrong: all but the share of frames."""
    return tuple(part for part in outcome.parts if part.name != SHARE_SHOWN)


def shown_notes(measured: Iterable[Measurement]) -> Iterator[str]:
    """A note for each dimension with such scores.

    Args:
        measured: of any models and dimensions.
    """
    shares: dict[str, list[float]] = {}
    for each in measured:
        if isinstance(each.outcome, Scored):
            found = [part.value for part in each.outcome.parts if part.name == SHARE_SHOWN]
            shares.setdefault(each.dimension, []).extend(found)
    for dimension, values in shares.items():
        if values:
            yield (
                f"{dimension}: {len(values)} clips were measured from fewer frames than were to be shown (down to "
                f"{100 * min(values):.0f} %), since a server allows fewer images in a request."
            )
