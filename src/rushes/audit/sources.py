"""The clips of an audit: from a run, a folder with `metadata.jsonl`, or a plug-in whose clips have known content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np

from rushes.audit.cases import Case
from rushes.errors import InputError
from rushes.extensions import extensions
from rushes.judge.labels import key_name
from rushes.plugins import CLIP_SOURCE, build
from rushes.prompts.captions import read_clip_folder
from rushes.prompts.metadata import METADATA_NAMES
from rushes.recipe.base import ShapeSpec
from rushes.recipe.dimensions import known
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Clip, Prompt
from rushes.roles import ClipSource, RealClip, Video
from rushes.store.blobs import Blobs
from rushes.store.files import read_file
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run
from rushes.store.spreadsheet import NotText, as_utf8, read_spreadsheet

_SEED: Final = 77_000_003
"""Added to the seed of rendered clips, so that they differ from the real clips that a run renders."""


@dataclass(frozen=True, eq=False)
class Source:
    """The clips of an audit and where they came from."""

    name: str
    """Description for the report."""
    cases: tuple[Case, ...]
    """The clips, by dimension and name."""
    is_truth_known: bool
    """True when the clips are what their prompts say."""
    notes: tuple[str, ...] = ()
    """What was left out."""


@dataclass(frozen=True)
class Choice:
    """Which clips of a source to take."""

    num_clips: int = 24
    """Clips per dimension at most, from as many different prompts as possible."""
    dimensions: tuple[str, ...] = ()
    """Only these dimensions; empty for all."""
    seed: int = 0
    """Seed of the choice."""
    labels: Path | None = None
    """File of labels: clips that it names are taken first."""


def find_clips(source: str, choice: Choice, shape: ShapeSpec, origin: Literal["model", "real"] = "model") -> Source:
    """The clips of an audit.

    Args:
        source: a run folder, a folder of videos whose metadata contains questions, or a source of clips that an
            installed package offers, such as "sandbox".
        choice: which of its clips.
        shape: the shape that videos of a folder are cut to.
        origin: for a run, the clips that its models generated, or its real ones.

    Raises:
        InputError: there is no such source, or none of its clips has questions.
        StoreError: the run folder cannot be read.
    """
    folder = Path(source)
    if (folder / "header.json").is_file():
        found = _of_run(folder, choice, origin)
    elif any((folder / name).is_file() for name in METADATA_NAMES):
        found = _of_folder(folder, choice, shape)
    elif source in extensions(CLIP_SOURCE.group):
        found = _of_plugin(source, choice, shape)
    else:
        raise InputError(
            f"{source} has no clips for an audit",
            expected=f"a run folder, a folder with {' or '.join(METADATA_NAMES)}, or one of {_offered()}",
            got=sorted(path.name for path in folder.iterdir())[:5] if folder.is_dir() else "no such folder",
            next_step="try: rushes judge audit sandbox",
        )
    if not found.cases:
        raise InputError(
            f"no clip in {source} has usable questions",
            expected=f"clips with questions{' in ' + ', '.join(choice.dimensions) if choice.dimensions else ''}",
            got=list(found.notes) or "none",
            next_step="leave --dimension out to ask about all dimensions"
            if choice.dimensions
            else 'write "questions": {"is the ball red?": "yes"} into the rows of metadata.jsonl',
        )
    return found


def _offered() -> str:
    return ", ".join(extensions(CLIP_SOURCE.group))


def _of_plugin(name: str, choice: Choice, shape: ShapeSpec) -> Source:
    """Clips of a plug-in. Those with the same caption count as takes of one prompt."""
    source: ClipSource = build(PluginSpec(use=name), CLIP_SOURCE, RuntimeSpec(), "SOURCE")
    names = [each for each in source.dimensions if _wanted(each, choice)]
    clips = source.clips(choice.num_clips * len(names), _SEED + choice.seed, shape, names) if names else []
    cases = tuple(_real_case(clip) for clip in sorted(clips, key=lambda clip: clip.dimension))
    return Source(f"clips of {name}", cases, is_truth_known=True)


def _of_folder(folder: Path, choice: Choice, shape: ShapeSpec) -> Source:
    found = read_clip_folder(folder, shape).require_some(str(folder))
    asked = [clip for clip in found.clips if clip.questions and _wanted(clip.dimension, choice)]
    notes = [f"{row.name}: {row.detail}" for row in found.dropped]
    unasked = sum(not clip.questions for clip in found.clips)
    if unasked:
        notes.append(f"{unasked} clips have no questions")
    cases = _chosen([_real_case(clip) for clip in asked], choice)
    return Source(f"clips of {folder.name}", cases, is_truth_known=True, notes=tuple(notes))


def _real_case(clip: RealClip) -> Case:
    prompt = hashlib.sha256(clip.text.encode("utf-8", "surrogateescape")).hexdigest()
    return Case(clip.name, prompt, clip.dimension, clip.text, clip.questions, clip.load)


def _of_run(folder: Path, choice: Choice, origin: Literal["model", "real"]) -> Source:
    groups = {each.name for each in known(recipe_of(folder).diagnose) if each.group}
    with Run.view(folder) as run:
        prompts = {prompt.key: prompt for prompt in run.prompts.all()}
        clips = [clip for clip in run.clips.all() if clip.origin == origin and clip.video is not None]
        blobs = run.blobs
    asked = [
        (clip, prompts[clip.prompt_key])
        for clip in clips
        if clip.dimension not in groups and _wanted(clip.dimension, choice) and prompts[clip.prompt_key].questions
    ]
    cases = _chosen([_run_case(clip, prompt, blobs) for clip, prompt in asked], choice)
    kind = "real clips" if origin == "real" else "clips made by the models"
    return Source(f"{kind} of the run {folder.name}", cases, is_truth_known=origin == "real")


def _run_case(clip: Clip, prompt: Prompt, blobs: Blobs) -> Case:
    load = partial(_read, blobs, clip)
    return Case(clip.key[:12], clip.prompt_key, clip.dimension, prompt.text, prompt.questions, load)


def _read(blobs: Blobs, clip: Clip) -> Video:
    return Video(blobs.read_video(clip.frames), clip.fps)


def _wanted(dimension: str, choice: Choice) -> bool:
    return not choice.dimensions or dimension in choice.dimensions


def _chosen(cases: Sequence[Case], choice: Choice) -> tuple[Case, ...]:
    """At most `num_clips` per dimension: labelled clips first, then one of each prompt, in a random order."""
    labelled = _named_in(choice.labels) if choice.labels is not None else set()
    rng = np.random.default_rng(choice.seed)
    picked: list[Case] = []
    for dimension in sorted({case.dimension for case in cases}):
        own = sorted((case for case in cases if case.dimension == dimension), key=lambda case: case.name)
        order = [own[int(i)] for i in rng.permutation(len(own))]
        seen: dict[str, int] = {}
        rank: dict[str, tuple[bool, int]] = {}
        for case in order:
            rank[case.name] = (case.name not in labelled, seen.setdefault(case.prompt, 0))
            seen[case.prompt] += 1
        picked += sorted(order, key=lambda case: rank[case.name])[: choice.num_clips]
    return tuple(picked)


def _named_in(labels: Path) -> set[str]:
    """Clips that the labels are about; errors in the file are reported by `read_labels`."""
    try:
        table = read_spreadsheet(as_utf8(read_file(labels)), lambda columns: "clip" in columns)
    except (OSError, NotText):
        return set()
    names = {row.cells.get(column, "").strip() for row in table.rows or () for column in ("clip", "other")}
    return names | {key_name(name) for name in names}
