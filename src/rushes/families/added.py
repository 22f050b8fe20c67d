"""A LoRA file that is added to a loaded model's weights: where it is, what it contains, and how it is added.

Diffusers reads the file, in its own format, kohya's or ComfyUI's, as far as the model's pipeline does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.errors import InputError
from rushes.families.folder import hub_error, model_folder
from rushes.families.weights import hash_file
from rushes.recipe.base import BaseModelSpec
from rushes.recipe.generate import GenerateLoraSpec

if TYPE_CHECKING:
    from rushes.families.family import Family

_USUAL: Final = "pytorch_lora_weights.safetensors"
"""File name on the Hub where none is given."""


@dataclass(frozen=True)
class Added:
    """A LoRA file on this machine."""

    file: Path
    sha256: str
    """Hash of the file."""
    strength: float
    """Factor of its change of the weights."""


def added_lora(spec: GenerateLoraSpec) -> Added:
    """The file that a recipe names, downloaded if it is on the Hub only.

    Raises:
        InputError: there is no such file, or a folder has several and none is named.
    """
    local = lora_file(spec)
    file = _from_hub(spec) if local is None else local
    return Added(file.resolve(), hash_file(file), spec.strength)


def lora_file(spec: GenerateLoraSpec) -> Path | None:
    """The file on this machine that a recipe names; None for one on the Hub.

    Raises:
        InputError: it names a place on this machine where there is no such file.
    """
    path = Path(model_folder(spec.model)).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        found = sorted(path.glob("*.safetensors")) if spec.file is None else [path / spec.file]
        if len(found) == 1 and found[0].is_file() and found[0].resolve().is_relative_to(path.resolve()):
            return found[0]
        names = [each.name for each in sorted(path.glob("*.safetensors"))]
        raise InputError(
            f"generate.lora.model {spec.model!r} is a folder, and generate.lora.file names no file in it",
            expected=f"one of {', '.join(names)}" if names else "a .safetensors file in that folder",
            got=spec.file,
            next_step="name the file in generate.lora.file",
        )
    if spec.model.startswith((".", "/", "~")) or spec.model.count("/") != 1:
        raise InputError(
            "generate.lora.model names no file that exists",
            expected="a .safetensors file, a folder that holds one, or a Hub id",
            got=spec.model,
            next_step="correct that path",
        )
    return None


def _from_hub(spec: GenerateLoraSpec) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(spec.model, spec.file or _USUAL, revision=spec.revision))
    except Exception as error:
        found = hub_error(BaseModelSpec(model=spec.model, revision=spec.revision), error)
        if found is None:
            raise
        raise InputError(
            f"the LoRA file of generate.lora cannot be had: {found.problem.replace('base.model ', '')}",
            expected=f"the file {spec.file or _USUAL} in a repository on the Hub",
            got=spec.model,
            next_step="check generate.lora.model and generate.lora.file, and that the Hub can be reached",
        ) from error


def add_lora(family: Family, added: Added) -> None:
    """Add a LoRA's change to the transformer's weights: W + strength * B A, in the weights' own number format.

    Args:
        family: its transformer holds the weights to change, and is a plain one afterwards.
        added: what to add.

    Raises:
        InputError: the file cannot be read, or fits no layer of this model.
    """
    pipeline = family.pipeline
    with family.plain_weights():
        try:
            pipeline.load_lora_weights(str(added.file.parent), weight_name=added.file.name, adapter_name="added")
            if "added" not in getattr(pipeline.transformer, "peft_config", {}):
                raise ValueError("none of its layers is one of the transformer's")
            pipeline.fuse_lora(components=["transformer"], lora_scale=added.strength, adapter_names=["added"])
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"the LoRA file {added.file} cannot be added to this {family.name} model: {_first_line(error)}",
                expected="a .safetensors file made for this model, in the format of diffusers, kohya or ComfyUI",
                next_step="check which model the file was made for, or leave generate.lora out",
            ) from error
        finally:
            pipeline.unload_lora_weights()


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
