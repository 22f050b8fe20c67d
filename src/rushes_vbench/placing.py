"""Assigns the available clips to the files of a layout. Pure except for listing a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rushes.errors import InputError
from rushes.records import Clip
from rushes.store.files import visible
from rushes_vbench.catalogue import facts, identifier
from rushes_vbench.names import OTHER_SUFFIXES, SUFFIX, file_name
from rushes_vbench.suite import Suite

Layout = Literal["flat", "by-dimension"]
"""`flat`: one folder, as models are sampled and submitted; `by-dimension`: one folder each, as the evaluator reads."""


@dataclass(frozen=True)
class Take:
    """An available clip.

    Example: `Take("A dog sits down.", 0, None, Path("clips/A dog sits down.-0.mp4"))`.
    """

    prompt: str
    """The original English prompt, as the suite has it."""
    sample: int
    """Which clip of the prompt: 0, 1, ..."""
    dimension: str | None
    """Dimension it was generated for; None if it serves all dimensions of its prompt."""
    source: Clip | Path
    """A clip of a run, or a video file."""


@dataclass(frozen=True)
class Placed:
    """A file to write."""

    path: str
    """Relative to the model's folder, with forward slashes."""
    take: Take
    """The clip that it will contain."""


@dataclass(frozen=True)
class Placing:
    """Which clip goes where, and what is missing or left over."""

    files: tuple[Placed, ...]
    """In the order of the suite."""
    missing: tuple[str, ...]
    """Files for which there is no clip."""
    num_unused: int
    """Clips that no file needs."""


def place(takes: Sequence[Take], suite: Suite, layout: Layout) -> Placing:
    """Find the clip for every file of a layout.

    A dimension's folder gets the clips generated for that dimension. If clips serve all dimensions of their prompt, a
    prompt's samples 0 to 2 go to each of them, and 0 to 19 to Diversity. A flat folder contains each prompt once: clips
    generated for Diversity, which needs 20, otherwise those for the first dimension of the prompt in the suite.

    Args:
        takes: the available clips; of two for the same dimension, prompt and sample the first counts.
        suite: prompts and their dimensions.
        layout: one folder, or one per dimension.
    """
    at: dict[tuple[str | None, str, int], Take] = {}
    for take in takes:
        at.setdefault((take.dimension, take.prompt, take.sample), take)
    files: list[Placed] = []
    missing: list[str] = []
    for path, prompt, sample, wanted in _wanted(suite, layout):
        found = next((at[key, prompt, sample] for key in (*wanted, None) if (key, prompt, sample) in at), None)
        if found is None:
            missing.append(path)
        else:
            files.append(Placed(path, found))
    used = {id(placed.take) for placed in files}
    return Placing(tuple(files), tuple(missing), sum(id(take) not in used for take in takes))


def _wanted(suite: Suite, layout: Layout) -> Iterable[tuple[str, str, int, tuple[str, ...]]]:
    """Path, prompt, sample, and the dimensions whose clip may be used there, the best first."""
    if layout == "flat":
        for prompt in suite.prompts:
            served = sorted(suite.dimensions_of(prompt), key=lambda name: -facts()[name].num_samples)
            for sample in range(suite.num_samples(prompt)):
                able = tuple(name for name in served if sample < facts()[name].num_samples)
                yield file_name(prompt, sample), prompt, sample, able
        return
    for name, fact in facts().items():
        for prompt in suite.prompts_of(name):
            for sample in range(fact.num_samples):
                # A clip of another dimension shows the same prompt and serves if its own one is missing.
                others = tuple(other for other in suite.dimensions_of(prompt) if other != name)
                yield f"{name}/{file_name(prompt, sample)}", prompt, sample, (name, *others)


@dataclass(frozen=True)
class Listing:
    """The clips of a folder."""

    takes: tuple[Take, ...]
    """Video files whose prompt is known."""
    renamed: tuple[tuple[str, str], ...]
    """Damaged file names whose prompt was found all the same, each with the exact name."""
    unknown: tuple[str, ...]
    """Other entries: not of the suite, of a sample that it does not have, or not named as the benchmark names clips."""
    doubles: tuple[str, ...] = ()
    """Damaged file names of clips that are there under their exact name, or under an earlier damaged one: not used."""


def list_folder(folder: Path, suite: Suite, *, any_video: bool = False) -> Listing:
    """The clips of a folder, flat or with a sub-folder per dimension, by their names.

    Names that copying has damaged in a known way (see `rushes_vbench.names.Lookup`) are recognised; a file of the exact
    name always wins. Hidden files, such as the `._` companions that macOS writes, are no clips.

    Args:
        folder: the clips.
        suite: supplies the names.
        any_video: True also takes video files that are no mp4, which the official code may not read; of two with one
            name the mp4 counts.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError("there is no such folder of clips", expected="a folder with .mp4 files", got=str(folder))
    found: list[_Named] = []
    unknown: list[str] = []
    for path, dimension in _videos(folder):
        name = shown_name(path.relative_to(folder).as_posix())
        named = _named(path, name, dimension, suite, any_video=any_video)
        if named is None:
            unknown.append(name)
        else:
            found.append(named)
    used: dict[tuple[str | None, str, int], _Named] = {}
    doubles: list[str] = []
    for each in sorted(found, key=lambda each: (each.rank, each.name)):
        if used.setdefault((each.take.dimension, each.take.prompt, each.take.sample), each) is not each:
            doubles.append(each.name)
    kept = sorted(used.values(), key=lambda each: each.name)
    return Listing(
        takes=tuple(each.take for each in kept),
        renamed=tuple((each.name, file_name(each.take.prompt, each.take.sample)) for each in kept if each.rank == 2),
        unknown=tuple(unknown),
        doubles=tuple(sorted(doubles)),
    )


@dataclass(frozen=True)
class _Named:
    """A clip with its file's name in the folder that is listed."""

    rank: int
    """0 for the exact name, 1 for that of another kind of video file, 2 for a damaged one; the lowest is used."""
    name: str
    take: Take


def _named(path: Path, name: str, dimension: str | None, suite: Suite, *, any_video: bool) -> _Named | None:
    """The clip in a file; None for what is no file of the suite."""
    is_other = any_video and path.suffix.lower() in OTHER_SUFFIXES
    as_mp4 = f"{path.stem}{SUFFIX}" if is_other else path.name
    take = _take_of(path, as_mp4, dimension, suite)
    if take is None:
        return None
    is_exact = as_mp4 == file_name(take.prompt, take.sample) and dimension in (None, path.parent.name)
    return _Named(int(is_other) if is_exact else 2, name, take)


def shown_name(name: str) -> str:
    """A file's name as text that can be shown and stored: bytes that are no UTF-8 as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _take_of(path: Path, name: str, dimension: str | None, suite: Suite) -> Take | None:
    """The clip in a file that is read as of this name; None for what is no file of the suite."""
    found = suite.lookup.read(name)
    if found is None or not path.is_file():
        return None
    prompt, sample = found
    if dimension is not None and dimension not in suite.dimensions_of(prompt):
        return None
    num_samples = suite.num_samples(prompt) if dimension is None else facts()[dimension].num_samples
    return Take(prompt, sample, dimension, path) if sample < num_samples else None


def dimension_folders(folder: Path) -> dict[str, list[Path]]:
    """Sub-folders that are named after a dimension: the one of the exact name first, other spellings after it."""
    found: dict[str, list[Path]] = {}
    for path in visible(folder):
        if path.is_dir() and (name := identifier(path.name)) is not None:
            found.setdefault(name, []).append(path)
    return {name: sorted(paths, key=lambda path: (path.name != name, path.name)) for name, paths in found.items()}


def _videos(folder: Path) -> Iterable[tuple[Path, str | None]]:
    """Every visible entry of a folder, and of those of its sub-folders that are named after a dimension."""
    inner = dimension_folders(folder)
    arranged = {path for paths in inner.values() for path in paths}
    yield from ((path, None) for path in visible(folder) if path not in arranged)
    for name, paths in inner.items():
        yield from ((path, name) for each in paths for path in visible(each))
