"""Weights from a file outside a run: all of a transformer's, or a low-rank adapter that is added to the base's.

Adapters are read in the dialects that diffusers converts (its own, ComfyUI's, kohya's). The change that a layer gets is
B A alpha / rank, as in LoRA (Hu et al. 2021, arXiv 2106.09685); without an alpha it is B A.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rushes.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

FILE: Final = "diffusion_pytorch_model.safetensors"
"""Name of a transformer's weights in a diffusers folder."""
ADAPTER: Final = "pytorch_lora_weights.safetensors"
"""Name of an adapter in a diffusers folder."""
_A, _B = ".lora_A.weight", ".lora_B.weight"
_SHOWN: Final = 3


def weights_file(path: Path) -> Path:
    """The safetensors file that a path names: itself, or the one in a folder that `rushes export` wrote.

    Raises:
        InputError: there is none.
    """
    if path.is_dir():
        inside = [path / name for name in (ADAPTER, FILE, f"transformer/{FILE}") if (path / name).is_file()]
        inside = inside or sorted(path.glob("*.safetensors"))
        if len(inside) == 1 or (inside and inside[0].name in (ADAPTER, FILE)):
            return inside[0]
    elif path.is_file() and path.suffix == ".safetensors":
        return path
    raise InputError(
        f"{path} holds no weights that can be loaded",
        expected="a .safetensors file with an adapter or with all of the transformer's weights",
        got="a folder" if path.is_dir() else "a file of another kind" if path.exists() else "nothing there",
        next_step="write one from a run: rushes export lora HOME",
    )


def read_weights(path: Path, base: Mapping[str, Tensor], pipeline: Any) -> dict[str, Tensor]:
    """All of the transformer's weights by the base's names.

    Args:
        path: the file.
        base: the base's weights, in main memory.
        pipeline: of the base; its class knows how adapters are named.

    Raises:
        InputError: not safetensors, or weights of another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unfit(path, "a whole safetensors file", str(error)) from error
    if any("lora" in name for name in state):
        return _with_adapter(path, state, base, pipeline)
    state = {name.removeprefix("transformer."): value for name, value in state.items()}
    wrong = [name for name, value in base.items() if name not in state or state[name].shape != value.shape]
    if wrong or len(state) != len(base):
        raise _unfit(path, f"the {len(base)} weights of this base model", _few(wrong or sorted(state.keys() - base)))
    return {name: state[name].to(value.dtype) for name, value in base.items()}


def _with_adapter(
    path: Path, state: Mapping[str, Tensor], base: Mapping[str, Tensor], pipeline: Any
) -> dict[str, Tensor]:
    try:
        named: dict[str, Tensor] = pipeline.lora_state_dict(dict(state))
    except (AttributeError, KeyError, ValueError) as error:
        raise _unfit(path, "an adapter that diffusers can read", str(error)) from error
    named = {name.removeprefix("transformer."): value for name, value in named.items()}
    merged, unknown = dict(base), []
    layers = {name.removesuffix(_A) for name in named if name.endswith(_A)}
    for layer in sorted(layers):
        up, down, place = named.get(layer + _B), named[layer + _A], f"{layer}.weight"
        if up is None or place not in base or (up.shape[0], down.shape[1]) != base[place].shape:
            unknown.append(layer)
            continue
        alpha = named.get(f"{layer}.alpha")
        scale = 1.0 if alpha is None else float(alpha) / down.shape[0]
        merged[place] = base[place] + scale * (up.float() @ down.float()).to(base[place].dtype)
    if unknown or not layers:
        raise _unfit(path, "layers of this base model", _few(unknown or sorted(named)))
    return merged


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _unfit(path: Path, expected: str, got: str) -> InputError:
    return InputError(
        f"the weights in {path} do not fit this base model",
        expected=expected,
        got=got[:300],
        next_step="name a file for the base model of this run, or one of its own checkpoints by its step",
    )
