"""Load a model of the family that its folder names; never runs code from the folder, never unpickles."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rushes.errors import InputError
from rushes.execute.machine import check_device
from rushes.families.adapter import Factors, fold, read_adapters
from rushes.families.experts import PARTS, PartName, named, transformers_of
from rushes.families.family import Family
from rushes.families.folder import FamilyName, as_loaded, family_of, fingerprint_of, hub_error, model_folder
from rushes.families.loaded import TEXT_PARTS, LoadedPipeline
from rushes.families.mixed_precision import store_in_float8, stored_format
from rushes.families.offload import OffloadOrder, Placement, choose_placement, place
from rushes.families.wan import Wan
from rushes.families.weights import hash_state
from rushes.recipe.base import BaseModelSpec

_CHANNELS_LAST = frozenset({"AutoencoderKLWan"})
"""Autoencoders that gain by channels-last kernels on a CPU."""


def load_family(
    base: BaseModelSpec,
    device: str = "cpu",
    order: OffloadOrder | Placement | None = None,
    *,
    with_text: bool = True,
) -> Family:
    """The adapter of a model from a package, a diffusers folder or the Hub, loaded and frozen.

    Args:
        base: the model.
        device: where it computes.
        order: what it will generate, which decides the offloading, or a placement chosen before; None keeps it all on
            the device.
        with_text: False leaves the text encoders out: only texts that are kept (`keep_texts`) can then be used.

    Raises:
        InputError: there is no such model, its family is not supported, or its files are missing or damaged.
        RecipeError: the recipe names another family, or a setting that the family does not support, or this machine has
            no such device.
    """
    pipeline_class, adapter = classes_of(family_of(base))
    check_device(device)
    takes = inspect.signature(pipeline_class.__init__).parameters
    left_out = () if with_text else tuple(name for name in TEXT_PARTS if name in takes)
    family: Family = _load(base, torch.device(device), order, (pipeline_class, adapter), left_out)
    return family


def check_adapters(base: BaseModelSpec, folder: Path) -> None:
    """Check that the adapter of `base.lora` fits the model in a folder, whose transformers get no memory for weights.

    Raises:
        InputError: as `read_adapters`.
    """
    import diffusers

    networks: dict[PartName, Any] = {}
    for part in PARTS.values():
        config = folder / part / "config.json"
        if config.is_file():
            read = json.loads(config.read_text(encoding="utf-8"))
            with torch.device("meta"):
                networks[part] = getattr(diffusers, str(read.get("_class_name"))).from_config(read)
    read_adapters(base, classes_of(family_of(base))[0], networks)


def classes_of(family: FamilyName) -> tuple[Any, type[LoadedPipeline]]:
    """The stock pipeline's class and the adapter around it."""
    import diffusers

    if family == "cogvideox":
        from rushes.families.cogvideox import CogVideoX

        return diffusers.CogVideoXPipeline, CogVideoX
    if family == "hunyuan":
        from rushes.families.hunyuan import Hunyuan

        return diffusers.HunyuanVideoPipeline, Hunyuan
    if family == "hunyuan15":
        from rushes.families.hunyuan15 import Hunyuan15

        return diffusers.HunyuanVideo15Pipeline, Hunyuan15
    if family == "ltx":
        from rushes.families.ltx import LTX

        return diffusers.LTXPipeline, LTX
    if family == "ltx2":
        from rushes.families.ltx2 import LTX2

        return diffusers.LTX2Pipeline, LTX2
    if family == "sana_video":
        from rushes.families.sana_video import SanaVideo

        return diffusers.SanaVideoPipeline, SanaVideo
    return diffusers.WanPipeline, Wan


def _load(
    base: BaseModelSpec,
    device: torch.device,
    order: OffloadOrder | Placement | None,
    classes: tuple[Any, type[LoadedPipeline]],
    left_out: Sequence[str],
) -> Any:
    pipeline_class, adapter = classes
    source = model_folder(base.model)
    text_dtype = torch.bfloat16 if base.text_precision == "bfloat16" else torch.float32
    vae_dtype = torch.bfloat16 if base.autoencoder_precision == "bfloat16" else torch.float32
    stored = stored_format(base.transformer_precision, device)
    dtypes: dict[str, torch.dtype] = {
        **{"default": torch.float32, "vae": vae_dtype},
        **dict.fromkeys(TEXT_PARTS, text_dtype),
        **dict.fromkeys(PARTS.values(), torch.bfloat16 if stored else torch.float32),
    }
    try:
        with _quiet():
            pipeline = pipeline_class.from_pretrained(
                source, revision=base.revision, dtype=dtypes, use_safetensors=True, **dict.fromkeys(left_out)
            )
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.eval().requires_grad_(False)
        if device.type == "cpu" and type(pipeline.vae).__name__ in _CHANNELS_LAST:
            channels_last(pipeline.vae)
        if base.autoencoder_tiles:
            pipeline.vae.enable_tiling()
        # Before it is placed: offloaded weights cannot be read.
        fingerprint = fingerprint_of(base) or as_loaded(base, _hash_weights(pipeline))
        adapters = read_adapters(base, pipeline_class, transformers_of(pipeline))
        for part, factors in adapters.items():
            fold(getattr(pipeline, part), factors)
        load_transformer = None
        if stored:
            load_transformer = _transformer_loader(pipeline, source, base.revision, adapters)
        if stored == "float8":
            for transformer in transformers_of(pipeline).values():
                store_in_float8(transformer)
        placement = choose_placement(pipeline, device, order)
        place(pipeline, placement.offload, device)
    except (OSError, ValueError, RuntimeError) as error:
        raise (hub_error(base, error) or _unreadable(base, error)) from error
    pipeline.set_progress_bar_config(disable=True)
    return adapter(
        pipeline=pipeline,
        fingerprint=fingerprint,
        max_tokens=base.max_tokens,
        device=device,
        scheduler_config=pipeline.scheduler.config,
        load_transformer=load_transformer,
        load_text_parts=None if left_out else _text_loader(pipeline, source, base.revision),
        placement=placement,
        adapters=adapters,
    )


def _hash_weights(pipeline: Any) -> str:
    """Hash of the weights in memory of its transformers, for a model whose files are not on this machine."""
    state: dict[str, torch.Tensor] = {}
    for name, part in transformers_of(pipeline).items():
        state |= named(part.state_dict(), name)
    return hash_state(state)


def channels_last(autoencoder: torch.nn.Module) -> None:
    """Store the kernels of 3D convolutions in channels-last layout; the values are the same.

    On a CPU this makes the sandbox's autoencoder decode faster, mostly in the norms over the channels; CogVideoX's gets
    slower (docs/performance.md). Elsewhere it was not measured, so the layout stays as loaded there.
    """
    for module in autoencoder.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last_3d)


def _unreadable(base: BaseModelSpec, error: BaseException) -> InputError:
    return InputError(
        f"base.model {base.model!r} cannot be loaded: {str(error).strip().splitlines()[0] if str(error) else error!r}",
        expected="a complete diffusers pipeline folder with .safetensors weights",
        next_step="look for missing or incomplete files, or download the model again",
    )


def _text_loader(pipeline: Any, source: str, revision: str | None) -> Callable[[], Mapping[str, Any]]:
    """A function that loads the text encoders again after they were dropped."""
    parts = {name: getattr(pipeline, name, None) for name in TEXT_PARTS}
    classes = {name: (type(part), part.dtype) for name, part in parts.items() if part is not None}

    def load() -> Mapping[str, Any]:
        with _quiet():
            return {
                name: cls.from_pretrained(source, subfolder=name, revision=revision, dtype=dtype, use_safetensors=True)
                .eval()
                .requires_grad_(False)
                for name, (cls, dtype) in classes.items()
            }

    return load


def _transformer_loader(
    pipeline: Any, source: str, revision: str | None, adapters: Mapping[PartName, Mapping[str, Factors]]
) -> Callable[[PartName, torch.dtype], torch.nn.Module]:
    """A function that loads a transformer from its files once more, into main memory, in a number format."""
    classes = {part: type(network) for part, network in transformers_of(pipeline).items()}

    def load(part: PartName, dtype: torch.dtype) -> torch.nn.Module:
        with _quiet():
            loaded = classes[part].from_pretrained(
                source, subfolder=part, revision=revision, torch_dtype=dtype, use_safetensors=True
            )
        fold(loaded, adapters.get(part, {}))
        network: torch.nn.Module = loaded.eval().requires_grad_(False)
        return network

    return load


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Load without the libraries' own progress bars, which would interfere with ours."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
    try:
        yield
    finally:
        for logging in (diffusers_logging, transformers_logging):
            logging.enable_progress_bar()
