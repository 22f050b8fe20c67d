"""Whose clips: the base, a checkpoint of the run by its step or key, or weights from a file; and at which strength."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rushes.errors import InputError, StoreError, command, resume_command
from rushes.export.source import SHORT, choose
from rushes.families.models import Model
from rushes.families.outside import weights_file
from rushes.records import Checkpoint
from rushes.store.files import explained, sha256_of_file
from rushes.store.identity import work_key
from rushes.store.run import Run

BASE: Final = "base"
"""Name of the model before any training."""
MAX_STRENGTH: Final = 4.0
"""Largest strength: the change four times over. Beyond it there is nothing left to see."""
_STEP: Final = re.compile(r"@?(\d{1,9})")


@dataclass(frozen=True)
class Column:
    """Whose clips stand in one column of the page."""

    label: str
    """In words: "base", "step 200", "step 200 x 0.5", the name of a file."""
    model: Model
    """The weights, by a name that changes with everything that decides them."""
    checkpoint: str | None
    """Key of the run's checkpoint; None for the base and for a file."""
    step: int | None
    """Its steps of training, 0 for the base; None for a file."""
    strength: float
    """How much of the change counts."""


def column(run: Run, base: Model, name: str | None, strength: float = 1.0) -> Column:
    """The weights that a person names.

    Strength s takes W + s (W' - W) of base W and checkpoint W'. For a low-rank adapter that is the adapter's scale; for
    a model that was trained in full it lies on the straight line between the two models, or beyond.

    Args:
        run: an open run.
        base: its base model.
        name: `base` or 0; the steps of a checkpoint, or the beginning of its key; a file or folder of weights; None for
            the run's result.
        strength: 0 to `MAX_STRENGTH`.

    Raises:
        StoreError: the run has no checkpoint yet.
        InputError: there is no such checkpoint, or several; or a strength out of range.
    """
    if not 0.0 <= strength <= MAX_STRENGTH:
        raise InputError(
            "the strength is out of range",
            expected=f"0 (the base) to {MAX_STRENGTH:g}; 1 is the checkpoint itself",
            got=strength,
            next_step="try --strength 0.5",
        )
    if name is not None and name.lstrip("@") in (BASE, "0"):
        return Column(BASE, base, None, 0, 1.0)
    if name is not None and ("/" in name or name.endswith(".safetensors")):
        return _of_file(Path(name).expanduser(), base, strength)
    found = _checkpoint(run, name)
    suffix = "" if strength == 1.0 else f" x {strength:g}"
    label = f"step {found.step}{suffix}"
    if strength == 0.0:
        return Column(label, base, found.key, found.step, strength)
    key = found.key if strength == 1.0 else work_key("blended", {"strength": strength}, [base.name, found.key])
    return Column(
        label, Model(key, found.weights, strength, weights_2=found.weights_2), found.key, found.step, strength
    )


def _of_file(path: Path, base: Model, strength: float) -> Column:
    file = weights_file(path)
    with explained(file):
        sha256 = sha256_of_file(file)
    key = work_key("outside", {"strength": strength, "sha256": sha256}, [base.name])
    label = path.name if strength == 1.0 else f"{path.name} x {strength:g}"
    return Column(label, Model(key, None, strength, file.resolve()), None, None, strength)


def _checkpoint(run: Run, name: str | None) -> Checkpoint:
    known = run.checkpoints.all()
    if not known:
        raise StoreError(
            f"{run.home} has no checkpoint yet",
            expected="a run that has trained; or clips of the base model alone, by --checkpoint base",
            next_step=f"see how far it is: {command('status', run.home)}; then continue it: {resume_command(run.home)}",
        )
    step = _STEP.fullmatch(name or "")
    if step is None:
        return choose(run, name).checkpoint
    there = [each for each in known if each.step == int(step[1])]
    if len(there) > 1:
        there = [each for each in choose(run).chain if each.step == int(step[1])]
    if len(there) == 1:
        return there[0]
    shown = ", ".join(f"{each.step} ({each.key[:SHORT]})" for each in sorted(known, key=lambda one: one.step))
    raise InputError(
        f"{run.home} has {'several checkpoints' if there else 'no checkpoint'} at step {step[1]}",
        expected=f"one of {shown}",
        got=name,
        next_step="name one of them with --checkpoint, by its step or its key",
    )
