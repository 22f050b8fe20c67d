"""Measured prices: time that runs on this machine have recorded, divided by their units of the same kind of work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from rushes.errors import StoreError
from rushes.plan.calls import calls_per_draft, is_by_other, sampler_calls
from rushes.plan.kinds import Kind
from rushes.plan.prices import Price, Prices
from rushes.recipe.recipe import Recipe, as_generating
from rushes.records import Checkpoint, Clip, CostEntry
from rushes.store.identity import spec_part
from rushes.store.run import Run
from rushes.store.sums import read_summed

_DEPENDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "drafts": ("prompts.writer",),
    "clip_calls": ("base", "shape", "generate.sampler.precision"),
    "other_calls": ("generate.model", "shape", "generate.sampler.precision"),
    "answers": ("judge.judge", "judge.by_dimension", "shape"),
    "ratings": ("judge.judge", "judge.by_dimension", "shape"),
    "votes": ("judge.judge", "judge.by_dimension", "shape"),
    "measurements": ("measure.measurer", "shape"),
    "train_clips": ("base", "shape", "train.lora", "train.precision"),
}
"""Settings that affect the price of a kind of work; a run with other values does not count."""

_TABLE: Final[Mapping[Kind, str]] = {
    "drafts": "prompts",
    "clip_calls": "clips",
    "other_calls": "clips",
    "answers": "answers",
    "ratings": "ratings",
    "votes": "votes",
    "measurements": "measurements",
}
"""The table of the cost ledger in which a kind of work is recorded; training is read from its checkpoints."""


@dataclass(frozen=True)
class Spent:
    """What a run has recorded under one table."""

    seconds: float
    """Wall-clock, over all devices and sessions."""
    num_items: int
    """Records added in that time."""

    @property
    def each_s(self) -> float | None:
        """Seconds per record; None if there are no records."""
        return self.seconds / self.num_items if self.num_items else None


def spent(costs: Iterable[CostEntry]) -> dict[str, Spent]:
    """A cost ledger by table, in the order in which tables first appear."""
    found: dict[str, Spent] = {}
    for entry in costs:
        known = found.get(entry.stage, Spent(0.0, 0))
        found[entry.stage] = Spent(known.seconds + entry.seconds, known.num_items + entry.num_items)
    return found


@dataclass(frozen=True)
class Earlier:
    """What is known from earlier runs."""

    prices: Prices
    """Each price from the first run that has it."""
    skipped: tuple[str, ...]
    """Run folders that could not be read, and why."""


def earlier_runs(folder: Path) -> list[Path]:
    """Run folders in `folder`, most recently used first; empty if there is no such folder."""
    homes = [database.parent for database in folder.glob("*/records.sqlite")]
    return sorted(homes, key=lambda home: (home / "records.sqlite").stat().st_mtime, reverse=True)


def gather(homes: Iterable[Path], recipe: Recipe) -> Earlier:
    """The prices of `recipe` known from `homes`; for each kind of work the first run that has one counts."""
    prices, skipped = Prices(), []
    for home in homes:
        try:
            prices = prices.or_else(prices_of(home, recipe))
        except StoreError as error:
            skipped.append(f"{home}: {error.problem}")
    return Earlier(prices, tuple(skipped))


def measured_prices(recipe: Recipe, named: Sequence[Path], others: Sequence[Path]) -> Earlier:
    """The prices of `recipe` that earlier runs give.

    Args:
        recipe: the planned run.
        named: run folders the user named; each must be readable, and no others are read.
        others: run folders to read when none is named.

    Raises:
        StoreError: a named folder is not a run, or not readable by this version.
    """
    if not named:
        return gather(others, recipe)
    prices = Prices()
    for home in named:
        prices = prices.or_else(prices_of(home, recipe))
    return Earlier(prices, ())


def prices_of(home: Path, recipe: Recipe) -> Prices:
    """The prices of `recipe` known from one run: only kinds of work with the same model, size, device and so on.

    Raises:
        StoreError: not a run folder, or not readable by this version.
    """
    with Run.view(home) as run:
        old, new = _settings(home), {**spec_part(recipe), "runtime": recipe.runtime.model_dump(mode="json")}
        same = [kind for kind, paths in _DEPENDS.items() if all(_at(old, p) == _at(new, p) for p in paths)]
        if _at(old, "runtime.device") != recipe.runtime.device:
            same = []
        done = _done(run) if same else _Done((), (), {})
        prices = ((kind, _price(done, kind, old, recipe)) for kind in same)
        found = {kind: Price(price, str(run.home)) for kind, price in prices if price is not None}
        by: Kind = "clip_calls" if recipe.generate.model is None else "other_calls"
        if recipe.generate.draft is not None and (call := found.get(by)) is not None:
            found["draft_clips"] = Price(calls_per_draft(recipe) * call.seconds, call.source)
        return Prices(
            by_kind=found,
            clip_bytes=_mean([_clip_bytes(clip) for clip in done.clips]) if "clip_calls" in same else None,
            checkpoint_bytes=_mean([_stored_bytes(one) for one in done.checkpoints]) if "train_clips" in same else None,
        )


def _done(run: Run) -> _Done:
    judged = [float(each.get("seconds", 0)) for each in run.log.read() if each["event"] == "judge_asked_in_training"]
    return _Done(run.clips.all(), run.checkpoints.all(), spent(run.costs()), sum(judged))


def _settings(home: Path) -> dict[str, Any]:
    """A run's settings: its spec, and the runtime it was last opened with."""
    spec: dict[str, Any] = json.loads((home / "header.json").read_bytes())["spec"]
    try:
        written = yaml.safe_load(read_summed(home / "recipe.yaml", home))
    except (ValueError, yaml.YAMLError) as error:
        raise StoreError(f"cannot read {home / 'recipe.yaml'}", got=str(error)) from error
    return {**spec, "runtime": written.get("runtime") if isinstance(written, dict) else None}


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


@dataclass(frozen=True)
class _Done:
    """What a run holds, read once."""

    clips: Sequence[Clip]
    checkpoints: Sequence[Checkpoint]
    spent: Mapping[str, Spent]
    judging_s: float = 0.0
    """Seconds of training in which its objective decoded clips and asked the judge: counted as that."""


def _price(run: _Done, kind: Kind, settings: Mapping[str, Any], recipe: Recipe) -> float | None:
    """Seconds per unit; for training from its checkpoints, which include all sessions but no set-up."""
    if kind in ("clip_calls", "other_calls") and any(is_by_other(clip, recipe.base) for clip in run.clips):
        # The ledger has the clips of both models in one table; each clip has its own time.
        base = recipe.base if kind == "clip_calls" else as_generating(recipe).base
        clips = [clip for clip in run.clips if is_by_other(clip, recipe.base) == (kind == "other_calls")]
        calls = sampler_calls(clips, base)
        return sum(clip.seconds for clip in clips if clip.sampler is not None) / calls if calls else None
    if kind == "other_calls":
        return None
    if kind == "train_clips":
        seconds = max(0.0, sum(one.seconds for one in run.checkpoints) - run.judging_s)
        units = sum(one.step for one in run.checkpoints) * int(_at(settings, "train.batch_size") or 0)
    else:
        booked = run.spent.get(_TABLE[kind], Spent(0.0, 0))
        seconds = booked.seconds
        units = sampler_calls(run.clips, recipe.base) if kind == "clip_calls" else booked.num_items
    return seconds / units if units and seconds else None


def _clip_bytes(clip: Clip) -> int:
    return sum(ref.num_bytes for ref in (clip.video, clip.latents) if ref is not None)


def _stored_bytes(checkpoint: Checkpoint) -> int:
    """Bytes of a checkpoint's weights, of both transformers if both were tuned."""
    second = checkpoint.weights_2
    return checkpoint.weights.num_bytes + (0 if second is None else second.num_bytes)


def _mean(sizes: list[int]) -> int | None:
    return round(sum(sizes) / len(sizes)) if sizes else None
