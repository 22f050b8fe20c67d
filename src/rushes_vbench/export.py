"""Writes clips of a run, or of a folder, under the benchmark's names, with a list of where each file came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from rushes.errors import InputError
from rushes.records import Clip, Record
from rushes.records.base import Count, Text
from rushes.store.blobs import Blobs
from rushes.store.files import explained, make_folder, read_pieces, visible, write_atomic
from rushes.store.run import Run
from rushes_vbench.catalogue import SOURCE
from rushes_vbench.placing import Layout, Placed, Placing, Take, shown_name
from rushes_vbench.suite import Edition, Suite

ModelName = Annotated[str, StringConstraints(pattern=r"^[\w][\w.+-]{0,99}$")]
"""Name of a model's folder: letters, digits and _ . + - only."""


class ExportedFile(Record):
    """Where one file came from.

    Example:
        ExportedFile(path="A dog sits down.-0.mp4", prompt="A dog sits down.", sample=0, seed=7, source="2d" * 32)
    """

    path: Text
    """Relative to the model's folder."""
    prompt: Text
    """The original prompt."""
    sample: Count
    """Which clip of the prompt."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Seed of the first noise; None if unknown."""
    source: Text
    """Key of the run's clip, or name of the copied file."""


class Manifest(Record):
    """What an export contains. It is stored next to the model's folder, since that folder may contain only clips.

    Example:
        Manifest(model="tuned", layout="flat", edition="repository", files=())
    """

    model: ModelName
    """Name of the model's folder."""
    layout: Layout
    """How clips are arranged in it."""
    edition: Edition
    """Edition of the suite that supplies the names."""
    files: tuple[ExportedFile, ...]
    """Every file, in the order of the suite."""


@dataclass(frozen=True)
class Exported:
    """The result of an export."""

    folder: Path
    """The model's folder."""
    num_written: int
    """Files written now."""
    num_kept: int
    """Files already written by an earlier export of the same clips."""


def write_export(
    placing: Placing,
    target: Path,
    *,
    model: str,
    suite: Suite,
    layout: Layout,
    blobs: Blobs | None = None,
    link: bool = False,
    on_file: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write the files of a placing to `target/model/`; run it again to resume.

    Args:
        placing: which clip goes where.
        target: folder for exports; `model` becomes a folder in it, and `model.json` lists the source of each file.
        model: name of the model's folder.
        suite: supplies the names.
        layout: that of the placing.
        blobs: where the clips of a run are stored; None if all clips are files.
        link: hard-link files instead of copying, where the file system allows it.
        on_file: receives the number of files done, and of all, after each.

    Raises:
        InputError: the name is not a folder name, the folder contains another export, or there is nothing to write.
        StoreError: disk full or read-only.
    """
    manifest = _manifest(placing, model, suite, layout)
    folder = target / manifest.model
    _begin(folder, target / f"{manifest.model}.json", manifest)
    num_written = 0
    for number, placed in enumerate(placing.files, 1):
        path = folder / placed.path
        if not path.exists():
            make_folder(path.parent)
            _write(placed.take, path, blobs, link)
            num_written += 1
        if on_file is not None:
            on_file(number, len(placing.files))
    return Exported(folder, num_written, len(placing.files) - num_written)


def _manifest(placing: Placing, model: str, suite: Suite, layout: Layout) -> Manifest:
    if not placing.files:
        raise InputError(
            "there is no clip of the suite to write",
            expected="clips of VBench-2.0 prompts",
            next_step="generate them first: a run with measure.suite, or supply clips under the benchmark's names",
        )
    try:
        return Manifest(
            model=model, layout=layout, edition=suite.edition, files=tuple(_row(placed) for placed in placing.files)
        )
    except ValidationError as error:
        raise InputError(
            "this is not a valid name for a model's folder", expected="letters, digits and _ . + -", got=model
        ) from error


def _row(placed: Placed) -> ExportedFile:
    take = placed.take
    clip = take.source
    seed, source = (clip.seed, clip.key) if isinstance(clip, Clip) else (None, shown_name(clip.name))
    return ExportedFile(
        path=placed.path,
        prompt=take.prompt,
        sample=take.sample,
        seed=seed,
        source=source,
    )


def _begin(folder: Path, list_file: Path, manifest: Manifest) -> None:
    """Write the list first. An earlier list must be the same, so that clips of two models are never mixed."""
    text = f"{manifest.model_dump_json(indent=1)}\n".encode()
    if list_file.exists():
        with explained(list_file):
            same = list_file.read_bytes() == text
        if not same:
            raise InputError(
                f"{list_file} lists another export",
                expected="the same clips and layout, or a new name",
                next_step="name another folder or model, or remove the earlier export and its list",
            )
    elif folder.exists() and visible(folder):
        raise InputError(f"{folder} contains other files", expected="an empty or new folder", next_step="name another")
    make_folder(folder)
    write_atomic(list_file, text)


def _write(take: Take, path: Path, blobs: Blobs | None, link: bool) -> None:
    if isinstance(take.source, Clip):
        from rushes.store.video import write_video

        if blobs is None:
            raise ValueError("clips of a run need the run's blobs")
        write_video(path, blobs.read_video(take.source.frames), take.source.fps)
        return
    if link:
        with suppress(OSError):  # another disk, or one without links: copied below
            os.link(take.source.resolve(), path)
            return
    write_atomic(path, read_pieces(take.source))


# ---------------------------------------------------------------------------------------------- clips of a run

Which = Literal["base", "tuned"]


def takes_of_run(run: Run, suite: Suite) -> dict[Which, list[Take]]:
    """The clips that a run generated for the suite's prompts, of the untouched and of the tuned model.

    Raises:
        InputError: the run generated none.
    """
    prompts = {
        prompt.key: prompt
        for prompt in run.prompts.all()
        if prompt.origin == "held_out"
        and prompt.source == SOURCE
        and suite.find(prompt.base_text, prompt.dimension) is not None
    }
    models = models_of_run(run)
    found: dict[Which, list[Take]] = {}
    for clip in run.clips.all():
        if clip.prompt_key in prompts and clip.model in models:
            prompt = prompts[clip.prompt_key]
            take = Take(prompt.base_text, clip.seed_index, prompt.dimension, clip)
            found.setdefault(models[clip.model], []).append(take)
    if not found:
        raise InputError(
            f"the run in {run.home} generated no clip of a VBench-2.0 prompt",
            expected="a run with measure.suite set that has started measuring",
            next_step="run its recipe again with measure.suite, as docs/vbench.md shows, and with --allow-change",
        )
    return found


def models_of_run(run: Run) -> Mapping[str, Which]:
    """Names of the weights that generated the clips -> their role in the run; earlier rounds are left out."""
    checkpoints = {checkpoint.key: checkpoint for checkpoint in run.checkpoints.all()}
    scorecard = run.scorecard()
    if scorecard is not None:
        return {scorecard.base_model: "base", scorecard.tuned_model: "tuned"}
    parents = {checkpoint.parent for checkpoint in checkpoints.values()}
    last = [key for key in checkpoints if key not in parents]
    names: dict[str, Which] = {clip.model: "base" for clip in run.clips.all() if clip.origin == "model"}
    names = {name: which for name, which in names.items() if name not in checkpoints}
    return {**names, **dict.fromkeys(last, "tuned")}
