"""What of a folder is to be scored: its clips, assigned to the suite's dimensions, as work with keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rushes.errors import InputError, command
from rushes.measure.pairs import DIVERSITY
from rushes.store.files import explained, sha256_of_file, visible
from rushes.store.identity import work_key
from rushes.store.work import Work
from rushes_vbench.catalogue import facts, identifier
from rushes_vbench.metrics.folder import Piece
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
from rushes_vbench.names import SUFFIX, last_part
from rushes_vbench.placing import Listing, Placed, Placing, list_folder, place
from rushes_vbench.scoring.rules import deciding
from rushes_vbench.suite import Suite

_SHOWN = 3


@dataclass(frozen=True)
class Found:
    """What a folder has of each dimension that was asked for."""

    listing: Listing
    """Every entry of the folder."""
    placing: Placing
    """Which clip serves where, and what is missing."""
    dimensions: tuple[str, ...]
    """Dimensions with clips, in the catalogue's order."""
    wanted: tuple[str, ...]
    """Those of them that are to be scored now."""

    def files(self, dimension: str) -> list[Placed]:
        """The clips of a dimension, in the order of the suite."""
        return [each for each in self.placing.files if _dimension(each.path) == dimension]

    def missing(self, dimension: str) -> list[str]:
        """File names that a complete evaluation of a dimension has, and the folder has not."""
        return [last_part(path) for path in self.placing.missing if _dimension(path) == dimension]


def find_clips(folder: Path, suite: Suite, dimensions: Sequence[str] = ()) -> Found:
    """The clips of a folder, flat, by dimension, or of one dimension after which it is named.

    Args:
        folder: of one model.
        suite: supplies the names.
        dimensions: exact identifiers to score; empty for all that the folder has clips of.

    Raises:
        InputError: there is no such folder, or no clip of the suite (of these dimensions) in it.
    """
    with explained(folder):
        listing = list_folder(folder, suite, any_video=True)
    placing = place(listing.takes, suite, "by-dimension")
    there = {_dimension(each.path) for each in placing.files}
    if (own := identifier(folder.resolve().name)) in there:
        there = {own}
    here = tuple(name for name in facts() if name in there)
    found = Found(listing, placing, here, tuple(name for name in here if not dimensions or name in dimensions))
    if not found.wanted:
        raise _nothing(folder, listing, dimensions)
    return found


def work_of(found: Found, suite: Suite, spec: VBenchMeasurerSpec, dimensions: Sequence[str]) -> list[Work[Piece]]:
    """The work, clips that serve several dimensions side by side; Diversity last.

    A key covers the content of the files, the suite's entry and the settings that decide the dimension: not the
    names of files and folders. A file that changes is scored again.

    Args:
        found: what the folder has.
        suite: the entries.
        spec: rules and models.
        dimensions: those to score: the models that they need are named.

    Raises:
        StoreError: a file cannot be read.
    """
    pieces = [piece for name in dimensions for piece in _pieces(found, suite, name)]
    order: dict[Path, int] = {}
    for piece in pieces:
        order.setdefault(piece.files[0], len(order))
    pieces.sort(key=lambda piece: (piece.entry.dimension == DIVERSITY, order[piece.files[0]]))
    hashes = {path: _hash(path) for path in dict.fromkeys(path for piece in pieces for path in piece.files)}
    rules = {name: deciding(spec, name) for name in dimensions}
    return [
        Work(
            work_key(
                "vbench_score",
                {"measurer": rules[piece.entry.dimension], "entry": piece.entry},
                [hashes[path] for path in piece.files],
                piece.sample,
            ),
            piece,
        )
        for piece in pieces
    ]


def _pieces(found: Found, suite: Suite, name: str) -> list[Piece]:
    by_prompt: dict[str, list[Piece]] = {}
    for placed in found.files(name):
        entry, source = suite.find(placed.take.prompt, name), placed.take.source
        assert entry is not None and isinstance(source, Path)  # placed by this suite, from a folder
        by_prompt.setdefault(entry.prompt, []).append(Piece(entry, placed.take.sample, (source,)))
    if name != DIVERSITY:
        return [piece for pieces in by_prompt.values() for piece in pieces]
    return [
        Piece(pieces[0].entry, 0, tuple(path for piece in pieces for path in piece.files))
        for pieces in by_prompt.values()
    ]


def _dimension(path: str) -> str:
    return path.partition("/")[0]


def _hash(path: Path) -> str:
    with explained(path):
        return sha256_of_file(path)


def _nothing(folder: Path, listing: Listing, dimensions: Sequence[str]) -> InputError:
    of = f" of {', '.join(dimensions)}" if dimensions else ""
    inner = [path for path in visible(folder) if path.is_dir() and any(_may_be_clips(path))]
    names = listing.unknown or tuple(path.name for path in visible(folder))
    if inner and not listing.takes:
        step = f"one folder holds one model: {command('vbench', 'score', inner[0])}"
    elif listing.takes:
        step = "leave --dimension out to score what is there"
    else:
        step = "name the files as docs/vbench.md says; --suite names the prompts that they were generated from"
    return InputError(
        f"{folder} has no clip{of} of a VBench-2.0 prompt",
        expected="files called {first 180 characters of the prompt}-{number}.mp4, in one folder or one per dimension",
        got="; ".join(names[:_SHOWN]) + (f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""),
        next_step=step,
    )


def _may_be_clips(folder: Path) -> list[Path]:
    inner = [path for path in visible(folder) if path.is_dir() and identifier(path.name) is not None]
    return inner or [path for path in visible(folder) if path.suffix.lower() == SUFFIX]
