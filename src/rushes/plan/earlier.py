"""The pace of earlier runs on this machine, as far as they did the same kind of work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from rushes.errors import StoreError
from rushes.plan.throughput import Kind, Pace, Throughput
from rushes.plan.work import calls_per_clip, missing_kinds
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.recipe import Recipe
from rushes.records import BlobRef, Checkpoint, Clip
from rushes.store.identity import spec_part
from rushes.store.run import Run

_DEPENDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "drafts": ("prompts.writer",),
    "clip_calls": ("base", "shape", "generate.sampler.precision"),
    "answers": ("judge.judge", "shape"),
    "measurements": ("measure.measurer", "shape"),
    "train_clips": ("base", "shape", "train.lora", "train.precision"),
}
"""Settings that decide the pace of a kind of work; a run with others says nothing about it."""

_STAGE: Final[Mapping[Kind, str]] = {
    "drafts": "prompts",
    "clip_calls": "clips",
    "answers": "answers",
    "measurements": "measurements",
}
"""Entries of the cost ledger that a kind of work is booked under; training is read from its checkpoints."""


@dataclass(frozen=True)
class Earlier:
    """What earlier runs tell."""

    throughput: Throughput
    """Paces and sizes, each from the first run that knows it."""
    skipped: tuple[str, ...]
    """Run folders that could not be read, and why."""


def earlier_runs(folder: Path) -> list[Path]:
    """Run folders in `folder`, the one worked in last first; none where there is no such folder."""
    homes = [database.parent for database in folder.glob("*/records.sqlite")]
    return sorted(homes, key=lambda home: (home / "records.sqlite").stat().st_mtime, reverse=True)


def gather(homes: Iterable[Path], recipe: Recipe) -> Earlier:
    """What `homes` tell about the pace of `recipe`; the first that knows a kind of work counts."""
    throughput, skipped = Throughput(), []
    for home in homes:
        try:
            throughput = throughput.or_else(throughput_of(home, recipe))
        except StoreError as error:
            skipped.append(f"{home}: {error.problem}")
    return Earlier(throughput, tuple(skipped))


def estimate_throughput(
    recipe: Recipe,
    named: Sequence[Path],
    others: Sequence[Path],
    calibrate: Callable[[Recipe], Throughput] | None = None,
) -> Earlier:
    """What is known about the pace of `recipe`: from runs, and where they say nothing from a short trial.

    Args:
        recipe: what is to be done.
        named: run folders the user named; each must be readable, and no others are looked at.
        others: run folders to look at when none is named.
        calibrate: tries a small batch of each kind of work; called only when a pace is missing. None: no trial.

    Raises:
        StoreError: a named folder is not a run, or not readable by this version.
    """
    if named:
        throughput = Throughput()
        for home in named:
            throughput = throughput.or_else(throughput_of(home, recipe))
        earlier = Earlier(throughput, ())
    else:
        earlier = gather(others, recipe)
    if calibrate is not None and missing_kinds(recipe, earlier.throughput):
        return Earlier(earlier.throughput.or_else(calibrate(recipe)), earlier.skipped)
    return earlier


def throughput_of(home: Path, recipe: Recipe) -> Throughput:
    """What one run tells about the pace of `recipe`: only kinds of work with the same model, size, device and so on.

    Raises:
        StoreError: not a run folder, or not readable by this version.
    """
    with Run.view(home) as run:
        old, new = _settings(home), {**spec_part(recipe), "runtime": recipe.runtime.model_dump(mode="json")}
        same = [kind for kind, paths in _DEPENDS.items() if all(_at(old, p) == _at(new, p) for p in paths)]
        if _at(old, "runtime.device") != recipe.runtime.device:
            same = []
        paces = {kind: pace for kind in same if (pace := _pace(run, kind, old, recipe.base)) is not None}
        return Throughput(
            paces=paces,
            clip_bytes=_mean([_clip_bytes(clip) for clip in run.clips.all()]) if "clip_calls" in same else None,
            checkpoint_bytes=_mean([_weight_bytes(one) for one in run.checkpoints.all()])
            if "train_clips" in same
            else None,
        )


def _settings(home: Path) -> dict[str, Any]:
    """A run's settings: its spec, and the runtime it was last opened with."""
    spec: dict[str, Any] = json.loads((home / "header.json").read_bytes())["spec"]
    try:
        written = yaml.safe_load((home / "recipe.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise StoreError(f"cannot read {home / 'recipe.yaml'}", got=str(error)) from error
    return {**spec, "runtime": written.get("runtime") if isinstance(written, dict) else None}


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _pace(run: Run, kind: Kind, settings: Mapping[str, Any], base: BaseModelSpec) -> Pace | None:
    if kind == "train_clips":
        seconds, units = _training(run.checkpoints.all(), settings)
    else:
        entries = [entry for entry in run.costs() if entry.stage == _STAGE[kind]]
        seconds = sum(entry.seconds for entry in entries)
        units = sum(entry.num_items for entry in entries)
        if kind == "clip_calls":
            units = _sampler_calls(run.clips.all(), base)
    return Pace(seconds / units, str(run.home)) if units and seconds else None


def _sampler_calls(clips: Iterable[Clip], base: BaseModelSpec) -> int:
    return sum(calls_per_clip(clip.sampler, base) for clip in clips if clip.sampler is not None)


def _training(checkpoints: Iterable[Checkpoint], settings: Mapping[str, Any]) -> tuple[float, int]:
    """Seconds of training, and clips in its batches."""
    batch_size = _at(settings, "train.batch_size")
    done = list(checkpoints)
    return sum(one.seconds for one in done), sum(one.step for one in done) * int(batch_size or 0)


def _clip_bytes(clip: Clip) -> int:
    return sum(ref.num_bytes for ref in (clip.video, clip.latents) if ref is not None)


def _weight_bytes(checkpoint: Checkpoint) -> int:
    if isinstance(checkpoint.weights, BlobRef):
        return checkpoint.weights.num_bytes
    return sum(file.blob.num_bytes for file in checkpoint.weights.files)


def _mean(sizes: list[int]) -> int | None:
    return round(sum(sizes) / len(sizes)) if sizes else None
