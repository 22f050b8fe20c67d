"""The base model of a checkpoint: its folder, its transformer's class and weights, and a check that it is unchanged.

Nothing here is specific to a family: a diffusers folder names the classes that it consists of.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import diffusers
import torch
from safetensors.torch import load_file
from torch import Tensor

from rushes.errors import InputError
from rushes.export.source import SHORT, Source
from rushes.families.experts import PARTS, PartName, of_part
from rushes.families.folder import as_loaded, hub_error, model_folder
from rushes.families.weights import hash_model

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline, ModelMixin

WEIGHTS = "diffusion_pytorch_model"
"""Name of a transformer's weight file in a diffusers folder, without its extension."""


@dataclass(frozen=True)
class Base:
    """A diffusers folder on this machine."""

    folder: Path
    """Where it is."""
    name: str
    """What the recipe calls it: a path, `package:folder`, or a Hub id."""
    is_on_hub: bool
    """True if the name is a Hub id, so that it is valid for others too."""
    home: Path = Path()
    """The run folder of the checkpoint, for what errors tell to type; the working folder outside a run."""
    part: PartName = "transformer"
    """Which of two transformers by noise level is meant; the first of models with one."""

    @property
    def public_name(self) -> str:
        """The name to publish: a Hub id, `package:folder`, or a folder's last part; never a path of this machine."""
        return self.name if self.is_on_hub or self.in_package else self.folder.resolve().name

    @property
    def in_package(self) -> tuple[str, str] | None:
        """Package and folder inside it, for a model in an installed package; None for others."""
        package, colon, inside = self.name.partition(":")
        return (package, inside) if colon and self.folder != Path(self.name) else None

    @cached_property
    def index(self) -> dict[str, Any]:
        """`model_index.json`: the pipeline's class and its components."""
        return _read_json(self.folder / "model_index.json")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The transformer's `config.json`."""
        return _read_json(self.folder / self.part / "config.json")

    @property
    def suffix(self) -> str:
        """What the names of files end with: nothing, or which of two transformers they are of."""
        if self.index.get(PARTS["low"], [None])[0] is None:
            return ""
        return "_high_noise" if self.part == PARTS["high"] else "_low_noise"

    @property
    def transformer_class_name(self) -> str:
        """Class of the transformer in diffusers."""
        return str(self.config.get("_class_name"))

    @property
    def pipeline_class(self) -> type[DiffusionPipeline]:
        """Class of the pipeline.

        Raises:
            InputError: diffusers has no pipeline of that name.
        """
        found: type[DiffusionPipeline] = _class_in_diffusers(
            str(self.index.get("_class_name")), diffusers.DiffusionPipeline
        )
        return found

    @property
    def transformer_class(self) -> type[ModelMixin]:
        """Class of the transformer.

        Raises:
            InputError: diffusers has no model of that name.
        """
        found: type[ModelMixin] = _class_in_diffusers(self.transformer_class_name, diffusers.ModelMixin)
        return found

    def empty_transformer(self) -> ModelMixin:
        """The transformer on the meta device, without memory for its weights."""
        with torch.device("meta"):
            return self.transformer_class.from_config(self.config)

    def transformer_weights(self) -> dict[str, Tensor]:
        """The transformer's weights as float32, by name.

        Raises:
            InputError: the folder holds no safetensors weights.
        """
        files = sorted((self.folder / self.part).glob(f"{WEIGHTS}*.safetensors"))
        if not files:
            raise InputError(
                f"{self.folder / self.part} holds no weights",
                expected=f"{WEIGHTS}.safetensors, in one file or sharded",
                next_step="check base.model in the run's recipe.yaml: it must be a complete diffusers folder",
            )
        return {name: value.float() for file in files for name, value in load_file(file).items()}


def find_base(source: Source, *, whole: bool = False) -> Base:
    """The base model of a run, on this machine; downloads from the Hub only the needed files that are missing here.

    Args:
        source: the run.
        whole: True requires text encoder, autoencoder and scheduler as well as the transformer.

    Raises:
        InputError: it no longer exists, cannot be downloaded, or is not a diffusers folder.
    """
    spec = source.recipe.base
    folder = Path(model_folder(spec.model))
    if folder.is_dir():
        return Base(folder, spec.model, is_on_hub=False, home=source.run.home)
    from huggingface_hub import snapshot_download

    patterns = None if whole else ["model_index.json", "README.md", *(f"{part}/*" for part in PARTS.values())]
    try:
        fetched = snapshot_download(spec.model, revision=spec.revision, allow_patterns=patterns)
    except (OSError, ValueError, RuntimeError) as error:
        raise (hub_error(spec, error) or _not_found(spec.model, error)) from error
    return Base(Path(fetched), spec.model, is_on_hub=True, home=source.run.home)


def _not_found(name: str, error: Exception) -> InputError:
    return InputError(
        f"the base model of this run cannot be found: {str(error).strip().splitlines()[0] if str(error) else error!r}",
        expected="a diffusers folder, or a Hub id that can be reached",
        got=name,
        next_step="put the folder back where recipe.yaml names it, or check the network connection",
    )


def tuned_bases(source: Source, base: Base) -> tuple[Base, ...]:
    """The base once for each of its transformers that was tuned: one, or two by noise level.

    Raises:
        BlobCorrupt: the stored weights are damaged.
    """
    return tuple(replace(base, part=part) for part in source.tuned)


def read_both(source: Source, base: Base) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The base's and the tuned weights, float32, under the same names.

    Raises:
        InputError: the base is not the one that the run tuned, or the names differ.
        BlobCorrupt: the stored weights are damaged.
    """
    before = base.transformer_weights()
    check_same_base(source, base)
    stored = of_part(source.run.blobs.read_tensors(source.tuned[base.part]), base.part)
    after = {name: value.float() for name, value in stored.items()}
    odd = sorted(name for name in before.keys() | after.keys() if _shape(before, name) != _shape(after, name))
    if odd:
        raise InputError(
            f"the tuned weights do not match {base.name!r}: {len(odd)} of {len(before)} have another name or shape",
            expected=f"{odd[0]} of shape {_shape(before, odd[0])}",
            got=_shape(after, odd[0]),
            next_step="export from the original run folder, with its base model unchanged",
        )
    return before, after


def check_same_base(source: Source, base: Base) -> None:
    """Check that the base is unchanged: the difference to another model's weights would not be what was trained.

    Raises:
        InputError: the base's weights are not those that the run began with.
    """
    if not _is_whole(base):
        return  # only what an export needs was downloaded from the Hub, where the revision identifies the model
    found = as_loaded(source.recipe.base, hash_model(base.folder))
    began_with = source.chain[0].parent
    if began_with is not None and found != began_with:
        raise InputError(
            f"the base model {base.name!r} has changed since the run in {source.run.home}",
            expected=f"model files with fingerprint {began_with[:SHORT]}...",
            got=f"{found[:SHORT]}...",
            next_step="restore the files that the run began with, or run the recipe again in a new folder",
        )


def _is_whole(base: Base) -> bool:
    """Whether every component in the index is on this machine."""
    parts = [name for name, value in base.index.items() if isinstance(value, list) and value[0] is not None]
    return all((base.folder / name).is_dir() for name in parts)


def _shape(weights: dict[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(weights[name].shape) if name in weights else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read",
            expected="a diffusers folder with model_index.json and transformer/config.json",
            got=str(error),
            next_step="check base.model in the run's recipe.yaml",
        ) from error


def _class_in_diffusers(name: str, parent: type) -> Any:
    found = getattr(diffusers, name, None)
    if not (isinstance(found, type) and issubclass(found, parent)):
        raise InputError(
            "diffusers does not have the class of the base model",
            expected=f"a {parent.__name__} of diffusers {diffusers.__version__}",
            got=name,
            next_step="use the version of diffusers that the model's config.json names",
        )
    return found
