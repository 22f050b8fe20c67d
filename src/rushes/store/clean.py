"""What of a run folder may go, and cleaning it away: the run stays finished, checks clean and exports as before.

Stored files that records name are noted as removed before they are deleted, so that a check does not miss them and a
kill in between leaves nothing half done. Work that needs one of them later makes its clip again.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rushes.records import BlobRef, Clip, Removed
from rushes.store.database import Database
from rushes.store.files import explained
from rushes.store.lock import ProcessLock
from rushes.store.named import REMOVED, refs_named
from rushes.store.run import Run

PartName = Literal["leftovers", "states", "curves", "previews", "replies", "latents"]
"""Names of the parts, in the order in which they are shown."""


@dataclass(frozen=True)
class Part:
    """Files of one kind that may go."""

    name: PartName
    what: str
    """What they are."""
    lost: str
    """What cannot be had again, or costs again; empty if nothing is lost."""
    paths: tuple[Path, ...]
    """Files, and folders to go whole."""
    num_bytes: int
    """What is freed."""
    refs: tuple[BlobRef, ...] = ()
    """Those of the files that records name."""


def what_may_go(home: Path) -> tuple[Part, ...]:
    """The parts of a run folder that may go; of a run that is not finished only what nothing will read.

    Raises:
        StoreError: not a run folder, or not readable.
    """
    with Run.view(home) as run:
        parts = [
            _part("leftovers", "half-written and replaced files, stored files that no record names", "", _left(run))
        ]
        if run.is_done:
            parts += _of_finished(run)
    return tuple(part for part in parts if part.paths)


def clean(home: Path, names: Collection[str]) -> int:
    """Delete parts of a run folder. What may go is looked up again, with the folder locked.

    Args:
        home: the run folder.
        names: of the parts.

    Returns:
        Bytes freed.

    Raises:
        RunLocked: a process works there.
        StoreError: not a run folder, or not writable.
    """
    lock = ProcessLock(home / "lock")
    try:
        parts = [part for part in what_may_go(home) if part.name in names]
        with Run.view(home) as viewed:
            header = viewed.header
        with Run(home, None, Database(home / "records.sqlite"), header) as run:
            table = run.table(REMOVED, Removed)
            for part in parts:
                table.land([Removed(key=each.sha256) for each in part.refs])
                run.log.write("cleaned", part=part.name, num_bytes=part.num_bytes)
                for path in part.paths:
                    _delete(path)
    finally:
        lock.release()
    return sum(part.num_bytes for part in parts)


def _of_finished(run: Run) -> Iterator[Part]:
    home = run.home
    yield _part("states", "states of training to resume from", "", home.glob("scratch/*"))
    yield _part(
        "curves", "curves for TensorBoard", "TensorBoard shows them no more; the report does", home.glob("tensorboard")
    )
    lost = "cannot be made again; a report that is there keeps those that it shows"
    yield _part("previews", "preview clips of training", lost, home.glob("previews"))
    lost = "an answer that has to be made again is asked again, and paid for again"
    yield _part(
        "replies", "kept replies of language models", lost, (path for path in home.glob("llm/*") if path.is_dir())
    )
    refs = tuple(_latents(run))
    lost = "to train again with other settings, these clips are generated again"
    what = "latents of the clips that were trained on, and of those that were left out"
    yield _part("latents", what, lost, map(run.blobs.path, refs), refs)


def _latents(run: Run) -> Iterator[BlobRef]:
    """Latents of the rounds' own clips that have frames too, and that no clip which is measured shares."""
    trained_on = {each.key for each in run.prompts.each() if each.origin in ("weakness", "caption")}
    found: dict[BlobRef, None] = {}
    kept: set[BlobRef] = set()
    for clip in _clips(run):
        if clip.latents is None:
            continue
        if clip.origin == "model" and clip.video is not None and clip.prompt_key in trained_on:
            found[clip.latents] = None
        else:
            kept.add(clip.latents)
    return (ref for ref in found if ref not in kept and run.blobs.path(ref).is_file())


def _clips(run: Run) -> Iterator[Clip]:
    for name in ("clips", "watch_clips", "draft_clips"):
        yield from run.table(name, Clip).each()


def _left(run: Run) -> Iterator[Path]:
    home = run.home
    for pattern in (".*.tmp", "derived/.*.tmp", "scratch/*/.*.tmp", "blobs/tmp/*", "*.damaged"):
        yield from home.glob(pattern)
    named = {run.blobs.path(ref) for ref in refs_named(run.database)}
    yield from (path for path in home.glob("blobs/[0-9a-f][0-9a-f]/*") if path not in named)


def _part(name: PartName, what: str, lost: str, paths: Iterable[Path], refs: tuple[BlobRef, ...] = ()) -> Part:
    found = tuple(sorted(paths))
    return Part(name, what, lost, found, sum(map(_size, found)), refs)


def _size(path: Path) -> int:
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(each.lstat().st_size for each in path.rglob("*") if each.is_file() or each.is_symlink())


def _delete(path: Path) -> None:
    with explained(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
