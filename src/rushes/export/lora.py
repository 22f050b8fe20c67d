"""A run's tuned weights as a low-rank adapter: recovered if one was trained, extracted from a full fine-tune."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from rushes.errors import InputError, command
from rushes.export.base import Base, find_base, read_both, tuned_bases
from rushes.export.dialects import DIFFUSERS_FILE, Dialect, adaptable_layers, write_adapter
from rushes.export.folder import new_folder
from rushes.export.lowrank import Fit, LowRank, extract
from rushes.export.source import Source

MAX_STRENGTH = 4.0


@dataclass(frozen=True)
class LoraOptions:
    """How an adapter is made."""

    rank: int | None = None
    """Largest rank of a layer; None for the rank used in training."""
    energy: float | None = None
    """Share (0 to 1) of each layer's squared change to keep, instead of a fixed rank."""
    strength: float = 1.0
    """How much of the change to apply: 1 is what was trained, 0 is the base."""
    dtype: torch.dtype = torch.float32
    """Number format of the file."""
    device: str = "cpu"
    """Where the decompositions are computed."""


def export_lora(source: Source, target: Path, dialect: Dialect, options: LoraOptions) -> Fit:
    """Write an adapter folder: for diffusers with its fixed file name, else one file named after the run.

    Of a model with two transformers by noise level each one that was tuned has a file, whose name says which it is.

    Args:
        source: the run and checkpoint.
        target: a new or empty folder.
        dialect: which program will read it.
        options: rank, strength, number format.

    Returns:
        How much of the change the adapter keeps.

    Raises:
        InputError: full weights and neither `rank` nor `energy`; no change that an adapter can hold; the base has
            changed; the target is not empty.
    """
    base = find_base(source)
    with new_folder(target) as folder:
        return write_lora(source, base, folder, dialect, options)[1]


def write_lora(
    source: Source, base: Base, folder: Path, dialect: Dialect, options: LoraOptions
) -> tuple[list[Path], Fit]:
    """`export_lora` into an existing folder; returns the files too."""
    written = [_write_part(source, each, folder, dialect, options) for each in tuned_bases(source, base)]
    whole = Fit(
        tuple(layer for _, fit in written for layer in fit.layers),
        {f"{path.stem}/{name}": energy for path, fit in written for name, energy in fit.left_out.items()},
    )
    return [path for path, _ in written], written[0][1] if len(written) == 1 else whole


def _write_part(source: Source, base: Base, folder: Path, dialect: Dialect, options: LoraOptions) -> tuple[Path, Fit]:
    adapter, fit = make_adapter(source, base, dialect, options)
    stronger = {name: factors.times(options.strength) for name, factors in adapter.items()}
    header = {
        "format": "pt",
        "rushes_base_model": base.public_name,
        "rushes_checkpoint": source.checkpoint.key,
        "rushes_strength": f"{options.strength:g}",
        "rushes_relative_error": f"{fit.relative_error:.6f}",
    }
    name = Path(DIFFUSERS_FILE).stem if dialect == "diffusers" else f"{file_stem(source)}-{dialect}"
    name = f"{name}{base.suffix}.safetensors"
    path = write_adapter(folder, stronger, base, dialect, options.dtype, file_name=name, header=header)
    return path, fit


def make_adapter(source: Source, base: Base, dialect: Dialect, options: LoraOptions) -> tuple[dict[str, LowRank], Fit]:
    """The factors at strength 1, and what they lose."""
    rank = options.rank if options.rank is not None or options.energy is not None else source.max_lora_rank
    _check(source, options, rank)
    before, after = read_both(source, base)
    layers = adaptable_layers(base.empty_transformer(), base, dialect)
    adapter, fit = extract(before, after, layers, rank=rank, energy=options.energy, device=options.device)
    lora = source.recipe.train.lora
    if source.max_lora_rank is not None and lora is not None and (lora.targets or source.start_rank):
        _check_whole(source, fit, dialect)
    if not adapter:
        raise InputError(
            "no tuned weight can be held by a low-rank adapter",
            expected="a change in a linear layer",
            got=f"changes in {', '.join(sorted(fit.left_out)[:3]) or 'no weight at all'}",
            next_step=f"export all weights: {command('export', 'transformer', source.run.home)}",
        )
    return adapter, fit


def _check_whole(source: Source, fit: Fit, dialect: Dialect) -> None:
    """Layers that a recipe or `base.lora` has chosen are exported all: what a dialect cannot hold is not dropped.

    Raises:
        InputError: it has changed layers that the dialect's readers do not know.
    """
    if fit.left_out:
        raise InputError(
            f"files of the dialect {dialect} cannot hold all layers of this adapter",
            expected="layers that its readers know; train.lora.targets and base.lora decide which there are",
            got=sorted(fit.left_out)[:4],
            next_step=f"export it for diffusers: {command('export', 'lora', source.run.home)}",
        )


def check_strength(strength: float) -> None:
    """Check that the strength is in range; 0 is the base, 1 is what was trained.

    Raises:
        InputError: outside 0 to 4, or not a number.
    """
    if not (math.isfinite(strength) and 0.0 <= strength <= MAX_STRENGTH):
        raise InputError(
            "the strength is out of range",
            expected=f"0 (the base) to {MAX_STRENGTH:g}; 1 is what was trained",
            got=strength,
            next_step="--strength 0.8 applies four fifths of the change",
        )


def file_stem(source: Source) -> str:
    """Name for a file of this run, whatever the recipe is called."""
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in source.recipe.name)
    return safe.strip("-.")[:80] or "rushes"


def _check(source: Source, options: LoraOptions, rank: int | None) -> None:
    check_strength(options.strength)
    if options.rank is not None and options.rank < 1:
        raise InputError("the rank is out of range", expected="1 or more", got=options.rank, next_step="--rank 32")
    if options.energy is not None and not 0.0 < options.energy <= 1.0:
        raise InputError(
            "the share of energy is out of range",
            expected="above 0, up to 1",
            got=options.energy,
            next_step="--energy 0.9 keeps nine tenths of each layer's squared change",
        )
    if rank is None and options.energy is None:
        raise InputError(
            "this run tuned all weights and did not train a low-rank adapter",
            expected="--rank or --energy, to extract the closest adapter; its error is reported",
            got="neither",
            next_step=f"{command('export', 'lora', source.run.home, '--rank', 64)}, or "
            f"{command('export', 'transformer', source.run.home)}",
        )
