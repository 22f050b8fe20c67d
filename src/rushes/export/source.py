"""Which checkpoint of a run is exported, and what it was tuned from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from safetensors import safe_open

from rushes.errors import InputError, StoreError, command, resume_command
from rushes.families.adapter import adapter_files
from rushes.families.experts import PREFIX, PartName
from rushes.recipe.recipe import Recipe
from rushes.records import BlobRef, Checkpoint
from rushes.store.recipe_copy import recipe_of
from rushes.store.run import Run

SHORT = 12
"""Digits of a key that are shown and that are enough to name it."""


@dataclass(frozen=True)
class Source:
    """A run with the checkpoint to export."""

    run: Run
    """The run, open for looking."""
    recipe: Recipe
    """What it ran."""
    chain: tuple[Checkpoint, ...]
    """The checkpoints from the first round to the chosen one; at least one."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The chosen one."""
        return self.chain[-1]

    @property
    def weights(self) -> BlobRef:
        """Its weights: all of a transformer's, adapters merged, under the base's own names."""
        return self.checkpoint.weights

    @cached_property
    def tuned(self) -> dict[PartName, BlobRef]:
        """The weights of each transformer that was tuned: of the only one, or of one or both of two.

        Raises:
            BlobCorrupt: the file is missing or damaged.
        """
        second = self.checkpoint.weights_2
        if second is not None:
            return {"transformer": self.weights, "transformer_2": second}
        with safe_open(str(self.run.blobs.checked_path(self.weights)), framework="numpy") as file:
            is_second = any(name.startswith(PREFIX) for name in file.keys())
        return {"transformer_2" if is_second else "transformer": self.weights}

    @property
    def max_lora_rank(self) -> int | None:
        """Largest rank that the change can have by the way it was trained; None for full fine-tuning."""
        if any(each.kind != "lora" for each in self.chain) or self.recipe.train.lora is None:
            return None
        lora, start = self.recipe.train.lora, self.start_rank
        return start + lora.rank * (len(self.chain) - (lora.continues and start > 0))

    @cached_property
    def start_rank(self) -> int:
        """The largest rank of the adapter that the run's base has (`base.lora`); 0 without one.

        Raises:
            InputError: its file is missing.
        """
        adapter, ranks = self.recipe.base.lora, [0]
        for path in adapter_files(adapter).values() if adapter is not None else ():
            with safe_open(str(path), framework="numpy") as file:
                shapes = [file.get_slice(name).get_shape() for name in file.keys()]
            ranks += [min(shape) for shape in shapes if len(shape) == 2]
        return max(ranks)


def choose(run: Run, key: str | None = None) -> Source:
    """The checkpoint that a run is about: the one that its scorecard compares, else the end of its only chain.

    Args:
        run: an open run.
        key: a checkpoint's key, or the beginning of one, to take another.

    Raises:
        StoreError: the run has no finished checkpoint.
        InputError: `key` names none or several; or there are several chains and no `key`.
    """
    known = {checkpoint.key: checkpoint for checkpoint in run.checkpoints.all()}
    if not known:
        raise StoreError(
            f"{run.home} has no finished checkpoint to export",
            expected="a run that has trained",
            next_step=f"see how far it is: {command('status', run.home)}; then continue it: {resume_command(run.home)}",
        )
    chosen = _named(known.values(), key) if key is not None else _main(run, known)
    chain = [chosen]
    while chain[0].parent in known:
        chain.insert(0, known[chain[0].parent])
    return Source(run, recipe_of(run.home), tuple(chain))


def _named(checkpoints: Iterable[Checkpoint], key: str) -> Checkpoint:
    everything = sorted(checkpoints, key=lambda each: each.key)
    found = [each for each in everything if each.key.startswith(key)]
    if len(found) != 1:
        raise InputError(
            f"{'several checkpoints begin' if found else 'no checkpoint begins'} with that key",
            expected=f"one of {', '.join(each.key[:SHORT] for each in everything)}",
            got=key,
            next_step="name one of them with --checkpoint",
        )
    return found[0]


def _main(run: Run, known: dict[str, Checkpoint]) -> Checkpoint:
    scorecard = run.scorecard()
    if scorecard is not None and scorecard.tuned_model in known:
        return known[scorecard.tuned_model]
    parents = {each.parent for each in known.values()}
    ends = [each for each in known.values() if each.key not in parents]
    if len(ends) == 1:
        return ends[0]
    raise InputError(
        f"{run.home} has {len(ends)} checkpoints that could be meant, and it is not finished",
        expected=f"one of {', '.join(sorted(each.key[:SHORT] for each in ends))}",
        next_step=f"name one of them with --checkpoint, or finish the run: {resume_command(run.home)}",
    )
