"""Run what is not kept, and keep it: for every program that runs arms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.arms import Arm
from lab.outcomes import Outcome, Result, read, write
from lab.runs import Laboratory
from lab.tables import in_points
from rushes.errors import UserError
from rushes.execute.display import ProgressDisplay


def run_arms(laboratory: Laboratory, chosen: Sequence[Arm], seeds: Iterable[int], folder: Path) -> dict[str, str]:
    """Run what is not kept, and keep it; every arm of one seed before the next seed.

    Args:
        laboratory: where and how.
        chosen: the arms.
        seeds: one run each.
        folder: where outcomes are kept.

    Returns:
        Arm and seed -> why it could not be run.
    """
    failed: dict[str, str] = {}
    for seed in seeds:
        for arm in chosen:
            try:
                result = run_or_read(laboratory, arm, seed, folder)
            except (UserError, ValueError) as error:
                failed[f"{arm.name}, seed {seed}"] = str(error)
                continue
            gain = Outcome(arm.name, (result,)).gain.gain if result.focus_gains else None
            said = "not measured" if gain is None else "{} ({})".format(*in_points(gain))
            print(f"{arm.name}, seed {seed}: {said}", flush=True)
    return failed


def run_or_read(laboratory: Laboratory, arm: Arm, seed: int, folder: Path) -> Result:
    """The outcome of an arm with a seed: kept before, perhaps under another name or budget, or found now."""
    wanted = laboratory.hashes_of(arm, seed)
    found = [each for each in read(folder, laboratory.split) if each.recipe_hash in wanted]
    kept = max(found, key=lambda each: len(each.dimensions), default=None)
    if kept is None:
        with ProgressDisplay() as show:
            kept = laboratory.run(arm, seed, show)
    named = kept.model_copy(update={"arm": arm.name, "equal": laboratory.equal})
    write(named, folder)
    return named
