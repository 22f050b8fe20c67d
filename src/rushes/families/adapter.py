"""Somebody's adapter as part of the base (`base.lora`): found, read by diffusers' converters, folded into the weights.

W' = W + strength scale B A in float32, for every layer in the file; nothing in a file is left out silently. Its names
tell what kind of file it is (diffusers, ComfyUI, kohya), and diffusers translates each family's own names.
Legend: O outputs of a linear layer, I its inputs, r rank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rushes.errors import InputError
from rushes.families.experts import PARTS, PartName
from rushes.recipe.base import BaseModelSpec, StartAdapterSpec
from rushes.store.files import sha256_of_file

if TYPE_CHECKING:
    from torch import Tensor

_DORA: Final = ("dora_scale", "lora_magnitude_vector")
"""Parts of names in files whose change of a layer is no product of two matrices."""
_FACTOR: Final = re.compile(r"(?:transformer\.)?(?P<layer>.+)\.lora_(?P<which>[AB])\.weight")
_HUB: Final = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+):(?P<file>[\w./ -]+\.safetensors)")


@dataclass(frozen=True, eq=False)
class Factors:
    """One layer's change, B A, with strength and scale in B."""

    A_rI: Tensor
    """Down; float32."""
    B_Or: Tensor
    """Up; float32."""

    @property
    def rank(self) -> int:
        """r."""
        return int(self.A_rI.shape[0])

    @property
    def delta(self) -> Tensor:
        """The change, (O, I)."""
        return self.B_Or @ self.A_rI


def adapter_files(lora: StartAdapterSpec) -> dict[PartName, Path]:
    """The file of each transformer that an adapter changes, downloaded if it is on the Hub.

    Raises:
        InputError: it does not exist, or cannot be downloaded.
    """
    named: dict[PartName, str | None] = {PARTS["high"]: lora.file, PARTS["low"]: lora.file_2}
    return {part: _found(name) for part, name in named.items() if name is not None}


def _found(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        inside = sorted(path.glob("*.safetensors"))
        if len(inside) == 1:
            return inside[0]
        raise InputError(
            f"the folder of base.lora holds {len(inside)} .safetensors files: {name}",
            expected="a folder with one, or the file itself",
            got=[each.name for each in inside[:4]],
            next_step="name the file in base.lora.file",
        )
    if path.is_file():
        return path
    on_hub = _HUB.fullmatch(name)
    if on_hub is not None:
        from huggingface_hub import hf_hub_download

        try:
            return Path(hf_hub_download(on_hub["repo"], on_hub["file"]))
        except (OSError, ValueError, RuntimeError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"base.lora cannot be downloaded from the Hub: {said}",
                got=name,
                next_step="check its name, or download it and name the file in base.lora.file",
            ) from error
    raise InputError(
        "there is no adapter at base.lora.file",
        expected="a .safetensors file, a folder with one, or USER/NAME:FILE.safetensors on the Hub",
        got=name,
        next_step="correct base.lora.file",
    )


def adapter_hash(lora: StartAdapterSpec) -> dict[str, Any]:
    """What an adapter makes of a base: the contents of its files and its strength, wherever they are.

    Raises:
        InputError: as `adapter_files`.
    """
    files = adapter_files(lora)
    return {"strength": lora.strength, **{part: sha256_of_file(path) for part, path in files.items()}}


def read_adapters(
    base: BaseModelSpec, pipeline_class: Any, networks: Mapping[PartName, Any]
) -> dict[PartName, dict[str, Factors]]:
    """The factors of every changed layer of each transformer; empty without `base.lora`.

    Args:
        base: the model with its adapter.
        pipeline_class: the diffusers class that converts the file's names.
        networks: the transformers that there are, on any device: names and shapes are compared.

    Raises:
        InputError: no such file, not an adapter for this model, or one that holds more than products of two matrices.
    """
    if base.lora is None:
        return {}
    found = {}
    for part, path in adapter_files(base.lora).items():
        if part not in networks:
            raise InputError(
                "base.lora.file_2 is for the second of two transformers, and the model has one",
                got=base.lora.file_2,
                next_step="--set base.lora.file_2=null",
            )
        found[part] = read_factors(path, pipeline_class, networks[part], base.lora.strength)
    return found


def read_factors(path: Path, pipeline_class: Any, network: Any, strength: float) -> dict[str, Factors]:
    """One file's factors by layer name in diffusers.

    Args:
        path: the file.
        pipeline_class: the diffusers class of the model.
        network: its transformer, on any device.
        strength: factor of the change.

    Raises:
        InputError: as `read_adapters`.
    """
    _check_kind(path)
    try:
        tensors, metadata = pipeline_class.lora_state_dict(str(path), return_lora_metadata=True)
    except (ValueError, KeyError, AttributeError, IndexError, TypeError) as error:
        raise _strange(path, f"diffusers cannot translate its names: {str(error)[:200]}") from error
    parts: dict[str, dict[str, Tensor]] = {}
    alphas: dict[str, float] = {}
    for name, value in tensors.items():
        match = _FACTOR.fullmatch(name)
        if match is not None:
            parts.setdefault(match["layer"], {})[match["which"]] = value.float()
        elif name.endswith(".alpha"):
            alphas[name.removeprefix("transformer.").removesuffix(".alpha")] = float(value)
        else:
            raise _strange(path, f"it holds {name!r}, which is no factor of a linear layer")
    scale = _Scale(metadata or {}, alphas)
    factors = {}
    for layer, each in sorted(parts.items()):
        if set(each) != {"A", "B"}:
            raise _strange(path, f"{layer} has one factor of two")
        A_rI, B_Or = each["A"], each["B"]
        shape = _shape(network, layer)
        if shape != (B_Or.shape[0], A_rI.shape[1]) or A_rI.shape[0] != B_Or.shape[1]:
            raise _strange(path, f"{layer} is of shape {shape}, its factors {tuple(B_Or.shape)} x {tuple(A_rI.shape)}")
        factors[layer] = Factors(A_rI, B_Or * (strength * scale.of(layer, len(A_rI))))
    if not factors:
        raise _strange(path, "it holds no factor of a layer")
    return factors


def fold(network: Any, factors: Mapping[str, Factors]) -> None:
    """Add an adapter's change to a transformer's weights, computed in float32."""
    import torch

    with torch.no_grad():
        for layer, each in factors.items():
            weight = network.get_submodule(layer).weight
            weight.copy_((weight.float() + each.delta.to(weight.device)).to(weight.dtype))


@dataclass(frozen=True)
class _Scale:
    """alpha / r of each layer, as peft reads a file: 1 unless the file says otherwise."""

    metadata: Mapping[str, Any]
    alphas: Mapping[str, float]

    def of(self, layer: str, rank: int) -> float:
        if layer in self.alphas:
            return self.alphas[layer] / rank
        given = {name.removeprefix("transformer."): value for name, value in self.metadata.items()}
        if "lora_alpha" not in given:
            return 1.0
        patterns = (given.get("alpha_pattern") or {}).items()
        own = [value for key, value in patterns if re.fullmatch(rf"(.*\.)?({key})", layer)]
        alpha = own[0] if own else given["lora_alpha"]
        return float(alpha) / (rank**0.5 if given.get("use_rslora") else rank)


def _check_kind(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            names = list(file.keys())
    except (SafetensorError, OSError) as error:
        raise _strange(path, f"it is no safetensors file: {error}") from error
    if any(part in name for name in names for part in _DORA):
        raise _strange(path, "it is a DoRA, whose change is no product of two matrices; diffusers leaves that part out")


def _shape(network: Any, layer: str) -> tuple[int, ...] | None:
    try:
        weight = network.get_submodule(layer).weight
    except AttributeError:
        return None
    return tuple(weight.shape) if weight.ndim == 2 else None


def _strange(path: Path, problem: str) -> InputError:
    return InputError(
        f"the adapter {path.name} cannot be used with this model: {problem}",
        expected="a LoRA of linear layers of base.model, as diffusers, ComfyUI or kohya's tools write it",
        next_step="check that it was trained on base.model, or start without one: --set base.lora=null",
    )
