"""One adapter in each of the file dialects that other programs read. All use scale 1: the strength is in the factors.

diffusers   `transformer.<module>.lora_A.weight`; rank and alpha in the header, for readers that look there; one rank
comfyui     `diffusion_model.<native module>.lora_A.weight`; no alpha, which ComfyUI reads as scale 1; one rank
kohya       `lora_unet_<native_module>.lora_down.weight` with `.alpha` equal to the rank; only the layers kohya trains
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor

from rushes.errors import InputError
from rushes.export.fused import native_adapter, same_rank
from rushes.export.lowrank import LowRank
from rushes.export.native import comfyui_layer_names, kohya_file, native_names
from rushes.store.tensors import write_tensors

if TYPE_CHECKING:
    from diffusers import ModelMixin

    from rushes.export.base import Base

Dialect = Literal["diffusers", "comfyui", "kohya"]
DIFFUSERS_FILE: Final = "pytorch_lora_weights.safetensors"
"""The name that `load_lora_weights` looks for in a folder."""
_PREFIX: Final = "transformer."
"""Where pipelines look for what belongs to the transformer, in names and in the header."""


def adaptable_layers(transformer: ModelMixin, base: Base, dialect: Dialect) -> list[str]:
    """The linear layers of the base's transformer that a dialect can hold, by name in diffusers.

    Raises:
        InputError: the dialect is not supported for this family.
    """
    linear = [name for name, module in transformer.named_modules() if isinstance(module, torch.nn.Linear)]
    if dialect == "kohya":
        pattern = re.compile(kohya_file(base.transformer_class_name, base.home).layers)
        return [name for name in linear if pattern.fullmatch(name)]
    if dialect == "comfyui":
        native_names(base.transformer_class_name, base.home)
    return linear


def write_adapter(
    folder: Path,
    adapter: Mapping[str, LowRank],
    base: Base,
    dialect: Dialect,
    dtype: torch.dtype,
    *,
    file_name: str,
    header: Mapping[str, str],
) -> Path:
    """Write one adapter file.

    Args:
        folder: output folder.
        adapter: factors by layer name in diffusers.
        base: what it is an adapter of.
        dialect: decides the names in the file.
        dtype: number format of the factors.
        file_name: the file's name; fixed in folders for diffusers.
        header: metadata for the file's header: strings only.

    Raises:
        InputError: the adapter matches no layer of the base.
    """
    transformer = base.empty_transformer()
    layers = adaptable_layers(transformer, base, dialect)
    check_matches(adapter, layers, base.name)
    shapes = {name: transformer.get_submodule(name).weight.shape for name in layers}
    if dialect == "diffusers":
        level = same_rank(adapter)
        tensors = peft_tensors({f"{_PREFIX}{name}": factors for name, factors in level.items()})
        header = {**header, "lora_adapter_metadata": _peft_config(level)}
    elif dialect == "comfyui":
        tensors = _comfyui_tensors(adapter, shapes, base.transformer_class_name)
    else:
        tensors = _kohya_tensors(adapter, shapes, base.transformer_class_name)
        header = {**header, **_kohya_header(tensors, kohya_file(base.transformer_class_name).module)}
    path = folder / file_name
    write_tensors(path, {key: _cast(key, value, dtype) for key, value in tensors.items()}, header)
    return path


def _cast(key: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor in the file's number format. Alphas stay exact: bfloat16 has no 259, and alpha / rank must be 1."""
    return value if key.endswith(".alpha") else value.to(dtype)


def _comfyui_tensors(
    adapter: Mapping[str, LowRank], shapes: Mapping[str, torch.Size], transformer_class: str
) -> dict[str, Tensor]:
    rename = comfyui_layer_names(transformer_class)
    native = native_adapter(adapter, _num_outputs(shapes), native_names(transformer_class))
    return peft_tensors({f"diffusion_model.{rename(name)}": factors for name, factors in same_rank(native).items()})


def _kohya_tensors(
    adapter: Mapping[str, LowRank], shapes: Mapping[str, torch.Size], transformer_class: str
) -> dict[str, Tensor]:
    whole = dict(adapter)
    if kohya_file(transformer_class).wants_all:
        whole = {name: adapter.get(name) or _no_change(shape) for name, shape in shapes.items()}
    return kohya_tensors(native_adapter(whole, _num_outputs(shapes), native_names(transformer_class)))


def _num_outputs(shapes: Mapping[str, torch.Size]) -> dict[str, int]:
    return {name: shape[0] for name, shape in shapes.items()}


def peft_tensors(adapter: Mapping[str, LowRank]) -> dict[str, Tensor]:
    """Factors under PEFT's names."""
    downs = {f"{name}.lora_A.weight": factors.A_rI for name, factors in adapter.items()}
    return downs | {f"{name}.lora_B.weight": factors.B_Or for name, factors in adapter.items()}


def kohya_tensors(adapter: Mapping[str, LowRank]) -> dict[str, Tensor]:
    """Factors under kohya's names, by native module name, each with its alpha."""
    tensors: dict[str, Tensor] = {}
    for name, factors in adapter.items():
        key = f"lora_unet_{name.replace('.', '_')}"
        tensors[f"{key}.lora_down.weight"] = factors.A_rI
        tensors[f"{key}.lora_up.weight"] = factors.B_Or
        tensors[f"{key}.alpha"] = torch.tensor(float(factors.rank))
    return tensors


def _peft_config(adapter: Mapping[str, LowRank]) -> str:
    """What a reader must be told of an adapter of one rank, as JSON.

    A reader gives every entry to its own `LoraConfig`, so an entry that only a newer PEFT knows would make the file
    unreadable. These are what diffusers 0.34 to 0.36 cannot do without, and older than any of them.
    """
    rank = next(iter(adapter.values())).rank
    config = {"r": rank, "lora_alpha": rank, "rank_pattern": {}, "target_modules": sorted(adapter)}
    return json.dumps({f"{_PREFIX}{name}": value for name, value in config.items()}, sort_keys=True)


def check_matches(names: Iterable[str], layers: Iterable[str], base_name: str) -> None:
    """Check that every layer of an adapter exists in the base: readers would silently load only the others.

    Raises:
        InputError: the adapter has no layer at all, or one that the base lacks.
    """
    names, layers = sorted(names), sorted(layers)
    strange = sorted(set(names) - set(layers))
    if strange or not names:
        raise InputError(
            "the adapter matches no layer of the base model"
            if len(strange) == len(names)
            else f"the adapter has {len(strange)} of {len(names)} layers that the base model lacks",
            expected=f"linear layers of {base_name!r}: {', '.join(layers[:3])}, ...",
            got=strange[:3],
            next_step="check that the adapter was trained on this base model",
        )


def _no_change(shape: torch.Size) -> LowRank:
    num_outputs, num_inputs = shape
    return LowRank(torch.zeros(1, num_inputs), torch.zeros(num_outputs, 1))


def _kohya_header(tensors: Mapping[str, Tensor], module: str) -> dict[str, str]:
    ranks = {len(value) for name, value in tensors.items() if name.endswith(".lora_down.weight")}
    rank = str(ranks.pop()) if len(ranks) == 1 else "Dynamic"
    return {"ss_network_module": module, "ss_network_dim": rank, "ss_network_alpha": rank}
