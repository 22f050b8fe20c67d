"""Checks whether the official evaluator would accept a folder of clips: missing, stray, unreadable, short, uneven."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rushes.errors import InputError, command
from rushes.store.files import is_hidden
from rushes_vbench.catalogue import facts, identifier
from rushes_vbench.names import file_name, parse
from rushes_vbench.placing import dimension_folders
from rushes_vbench.suite import INSTALLED, Suite

Kind = Literal["missing", "stray", "unreadable", "short", "uneven"]
"""`uneven`: clips of a Diversity prompt with different numbers of frames, on which the evaluator crashes."""
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.+-]+")
KINDS: Final[tuple[Kind, ...]] = ("missing", "stray", "unreadable", "short", "uneven")
"""All kinds."""


@dataclass(frozen=True)
class VideoFacts:
    """What a file's container states, without decoding.

    Example: `VideoFacts(num_frames=81, fps=16.0)`.
    """

    num_frames: int
    """Frames, at least 1."""
    fps: float
    """Frames per second."""


@dataclass(frozen=True)
class Problem:
    """Something that makes the evaluator fail, or find nothing to measure."""

    kind: Kind
    """What is wrong."""
    dimension: str
    """Exact identifier; empty for a flat folder."""
    path: str
    """Relative to the folder that was checked."""
    detail: str
    """In words, with what to do."""


@dataclass(frozen=True)
class Checked:
    """One folder of clips, or one dimension's."""

    name: str
    """The dimension; "all" for a flat folder."""
    num_expected: int
    """Files that should be there."""
    num_found: int
    """Those that are present."""
    problems: tuple[Problem, ...]
    """Everything that is wrong, missing files first."""

    def num(self, kind: Kind) -> int:
        """How many problems of one kind."""
        return sum(problem.kind == kind for problem in self.problems)


Probe = Callable[[Path], VideoFacts | str]
"""Reads a file's facts, or returns why there are none."""


def check_folder(
    folder: Path,
    suite: Suite,
    *,
    dimensions: Sequence[str] = (),
    probe: Probe | None = None,
    suite_path: str = INSTALLED,
) -> list[Checked]:
    """Check a folder of clips.

    A folder with sub-folders named after dimensions is checked as `by-dimension`, a folder named after a dimension as
    that dimension, and any other as `flat`.

    Args:
        folder: the clips.
        suite: supplies the expected names.
        dimensions: check only these in a folder by dimension; empty for all of the suite.
        probe: reads every file that is present (`probe_video`); None checks names only.
        suite_path: what the user named as the suite, for the error.

    Raises:
        InputError: there is no such folder, or it is flat and dimensions were given.
    """
    if not folder.is_dir():
        raise InputError("there is no such folder of clips", expected="a folder with .mp4 files", got=str(folder))
    inner = {name: paths[0] for name, paths in dimension_folders(folder).items()}
    own = identifier(folder.name)
    if inner:
        wanted = [name for name in suite.names_by_dimension if not dimensions or name in dimensions]
        return [_check(name, inner.get(name, folder / name), folder, suite, probe) for name in wanted]
    if own is not None and own in suite.names_by_dimension:
        return [_check(own, folder, folder, suite, probe)]
    if dimensions:
        target = folder.with_name(f"{folder.name}-by-dimension")
        name = _NOT_IN_NAMES.sub("-", folder.name)
        arrange = command(
            "vbench", "export", folder, target, "--suite", suite_path, "--layout", "by-dimension", "--name", name
        )
        raise InputError(
            "a flat folder has no dimensions of its own",
            expected="a folder with a sub-folder per dimension",
            got=str(folder),
            next_step=f"arrange it: {arrange}",
        )
    return [_check("", folder, folder, suite, probe)]


def least_frames(dimension: str, fps: float) -> int:
    """Fewest frames that the official scoring of a dimension needs, at the fastest motion it counts.

    Multi-View_Consistency compares frames g apart, g = int(40 / (3 r)) at its largest flow with r = max(1,
    round(fps / 8)), and needs int((T - 1 - g) / g) >= 1 of T frames.

    Args:
        dimension: exact identifier.
        fps: frames per second of the clip.
    """
    least = facts()[dimension].min_frames
    if dimension == "Multi-View_Consistency":
        gap = int(40 / (3 * max(1, round(fps / 8))))
        least = max(least, 2 * gap + 1)
    return least


def probe_video(path: Path) -> VideoFacts | str:
    """Frames and rate of a video file as its container states them; packets are counted if it does not.

    Args:
        path: the file.

    Returns:
        The facts, or why the file cannot be used.
    """
    import av

    try:
        if path.stat().st_size == 0:
            return "0 bytes"
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                return "contains no video"
            stream = container.streams.video[0]
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            num = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
    except (OSError, av.error.FFmpegError) as error:
        return getattr(error, "strerror", None) or str(error)
    if num < 1 or rate <= 0:
        return f"states {num} frames at {rate} per second"
    return VideoFacts(num, rate)


# ---------------------------------------------------------------------------------------------- one folder


def _check(name: str, folder: Path, root: Path, suite: Suite, probe: Probe | None) -> Checked:
    expected = suite.names_by_dimension[name] if name else suite.flat_names
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    present = set(there)
    here = folder.relative_to(root).as_posix()

    def at(file: str) -> str:
        return file if here == "." else f"{here}/{file}"

    missing = [Problem("missing", name, at(file), "no such file") for file in expected if file not in present]
    allowed = set(expected)
    stray = [Problem("stray", name, at(file), _advice(file, present, suite)) for file in there if file not in allowed]
    found = [file for file in expected if file in present]
    inside = list(_inside(name, folder, found, suite, at, probe)) if probe is not None else []
    return Checked(name or "all", len(expected), len(found), (*missing, *stray, *inside))


def _advice(file: str, present: Set[str], suite: Suite) -> str:
    if is_hidden(file):
        return "a hidden file, no clip: the folder must contain nothing else"
    found = suite.lookup.read(file)
    if found is not None:
        prompt, sample = found
        right = file_name(prompt, sample)
        if right != file and right in present:
            return f"looks like {right!r}, which is there too: remove it"
        if right != file:
            return f"looks like {right!r}: rename it, or let rushes vbench export do it"
        if sample >= suite.num_samples(prompt):
            return f"sample {sample}; the suite has samples 0 to {suite.num_samples(prompt) - 1} of this prompt"
        return "a clip of another dimension: remove it"
    return "not of the suite: the folder must contain nothing else"


def _inside(
    name: str, folder: Path, files: Sequence[str], suite: Suite, at: Callable[[str], str], probe: Probe
) -> Iterator[Problem]:
    lengths: dict[str, dict[str, int]] = {}
    for file in files:
        said = probe(folder / file)
        if isinstance(said, str):
            yield Problem("unreadable", name, at(file), said)
            continue
        found = parse(file)
        prompt = suite.lookup.exact(found[0]) if found else None
        assert found is not None and prompt is not None  # it is one of the expected names
        served = (name,) if name else suite.dimensions_of(prompt)
        for each in (each for each in served if found[1] < facts()[each].num_samples):
            if reason := _too_short(each, said):
                yield Problem("short", name, at(file), reason)
        if any(facts()[each].equal_lengths for each in served):
            lengths.setdefault(prompt, {})[file] = said.num_frames
    for of_prompt in lengths.values():
        if len(set(of_prompt.values())) > 1:
            shortest = min(of_prompt, key=lambda file: (of_prompt[file], file))
            numbers = sorted(set(of_prompt.values()))
            yield Problem(
                "uneven", name, at(shortest), f"this prompt's clips have {numbers} frames; they must be equal"
            )


def _too_short(dimension: str, video: VideoFacts) -> str:
    """Why a clip is too short for a dimension; empty if it is not."""
    least, duration_s = least_frames(dimension, video.fps), facts()[dimension].min_duration_s
    if video.num_frames < least:
        return f"{video.num_frames} frames at {video.fps:.4g} per second; {dimension} needs {least}"
    if video.num_frames / video.fps < duration_s - 1e-6:
        return f"{video.num_frames / video.fps:.2f} s; {dimension} needs {duration_s:.4g} s"
    return ""
