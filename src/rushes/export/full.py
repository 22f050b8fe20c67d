"""All tuned weights: a diffusers `transformer/` folder, a whole pipeline, or one file in the family's own names."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from rushes.errors import InputError, command
from rushes.export.base import Base, find_base, read_both, tuned_bases
from rushes.export.folder import new_folder
from rushes.export.fused import native_weights
from rushes.export.lora import check_strength, file_stem
from rushes.export.native import native_names
from rushes.export.source import Source
from rushes.families.weights import blend
from rushes.store.tensors import write_tensors


def export_transformer(source: Source, target: Path, strength: float, dtype: torch.dtype) -> Path:
    """Write a folder that `from_pretrained` of the transformer's class reads.

    Of a model with two transformers by noise level it holds a folder for each one that was tuned, named as in the base.

    Args:
        source: the run and checkpoint.
        target: a new or empty folder.
        strength: how much of the change to apply: 1 is what was trained.
        dtype: number format; weights that the family needs in float32 stay in float32.

    Returns:
        What was written: `target`.

    Raises:
        InputError: the base has changed; the strength is out of range; the target is not empty.
    """
    base = find_base(source)
    with new_folder(target) as folder:
        write_transformers(folder, source, base, strength, dtype)
    return target


def export_pipeline(source: Source, target: Path, strength: float, dtype: torch.dtype) -> Path:
    """Write a complete folder that `DiffusionPipeline.from_pretrained` reads: the base's, with the tuned transformer.

    Args, Returns and Raises as `export_transformer`.
    """
    base = find_base(source, whole=True)
    with new_folder(target) as folder:
        write_pipeline(folder, source, base, strength, dtype)
    return target


def export_merged(source: Source, target: Path, strength: float, dtype: torch.dtype) -> Path:
    """Write all weights as one file in the family's own names, which ComfyUI and `from_single_file` read.

    Of a model with two transformers by noise level each one that was tuned has a file.

    Returns:
        The file, or the folder of both.

    Args and Raises as `export_transformer`; also InputError if the family's own names are not known.
    """
    base = find_base(source)
    rename = native_names(base.transformer_class_name, base.home)
    names = []
    with new_folder(target) as folder:
        for each in tuned_bases(source, base):
            weights = _cast(tuned_weights(source, each, strength) | fixed_positions(each), dtype, _keep_float32(each))
            names.append(f"{file_stem(source)}-merged{each.suffix}.safetensors")
            header = {"format": "pt", "rushes_base_model": base.public_name, "rushes_checkpoint": source.checkpoint.key}
            write_tensors(folder / names[-1], native_weights(weights, rename), header)
    return target / names[0] if len(names) == 1 else target


def fixed_positions(base: Base) -> dict[str, Tensor]:
    """The table of positions of CogVideoX 2B, which diffusers computes and does not store; empty for other models.

    Without the table, ComfyUI assumes a CogVideoX with rotary positions.
    """
    config = base.config
    is_fixed = base.transformer_class_name == "CogVideoXTransformer3DModel" and not (
        config.get("use_rotary_positional_embeddings") or config.get("use_learned_positional_embeddings")
    )
    if not is_fixed:
        return {}
    without_blocks = base.transformer_class.from_config({**config, "num_layers": 0})
    return {"patch_embed.pos_embedding": without_blocks.get_buffer("patch_embed.pos_embedding").clone()}


def tuned_weights(source: Source, base: Base, strength: float) -> dict[str, Tensor]:
    """The tuned weights, float32, with the change scaled by `strength`."""
    check_strength(strength)
    before, after = read_both(source, base)
    return {name: blend(before[name], after[name], strength) for name in before}


def write_transformer(folder: Path, base: Base, weights: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Write `config.json` and the weights into a folder, sharded if they are large."""
    transformer = base.empty_transformer()
    transformer.load_state_dict(_cast(weights, dtype, _keep_float32(base)), assign=True)
    with _without_progress_bars():
        transformer.save_pretrained(str(folder))


def write_transformers(folder: Path, source: Source, base: Base, strength: float, dtype: torch.dtype) -> None:
    """Write the tuned transformer into a folder, or each tuned one of two into a folder of its own there."""
    for each in tuned_bases(source, base):
        write_transformer(
            folder / each.part if each.suffix else folder, each, tuned_weights(source, each, strength), dtype
        )


def write_pipeline(folder: Path, source: Source, base: Base, strength: float, dtype: torch.dtype) -> None:
    """Copy the base's other components and write what was tuned beside them."""
    tuned = tuned_bases(source, base)
    shutil.copy(base.folder / "model_index.json", folder / "model_index.json")
    for name in _components(base):
        if name not in [each.part for each in tuned]:
            shutil.copytree(base.folder / name, folder / name)
    for each in tuned:
        write_transformer(folder / each.part, each, tuned_weights(source, each, strength), dtype)


def _components(base: Base) -> list[str]:
    """The subfolders of a pipeline: names from its index, never a path outside its folder."""
    listed = [name for name, value in base.index.items() if isinstance(value, list) and value[0] is not None]
    for name in listed:
        if not name.isidentifier() or not (base.folder / name).is_dir():
            raise InputError(
                f"the base model {base.name!r} lacks a component that its model_index.json names",
                expected=f"a folder {name!r} in {base.folder}",
                next_step="complete the folder, or export the transformer alone: "
                f"{command('export', 'transformer', base.home)}",
            )
    return listed


def _keep_float32(base: Base) -> tuple[str, ...]:
    """Parts of the names of weights that this family computes in float32, whatever the format of the rest."""
    return tuple(getattr(base.transformer_class, "_keep_in_fp32_modules", None) or ())


def _cast(weights: Mapping[str, Tensor], dtype: torch.dtype, keep: tuple[str, ...]) -> dict[str, Tensor]:
    kept = re.compile("|".join(rf"(^|\.){re.escape(part)}(\.|$)" for part in keep)) if keep else None
    return {
        name: (value if kept is not None and kept.search(name) else value.to(dtype)).contiguous()
        for name, value in weights.items()
    }


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    from diffusers.utils import logging

    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
