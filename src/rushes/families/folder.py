"""Where a model's files are and what they contain, without loading any weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from rushes.errors import InputError, RecipeError, UserError
from rushes.families.experts import PARTS
from rushes.families.weights import hash_model
from rushes.recipe.base import BaseModelSpec
from rushes.store.identity import content_hash

FamilyName = Literal["wan", "cogvideox", "hunyuan", "ltx", "sana_video", "hunyuan15", "ltx2"]

FAMILIES: dict[str, FamilyName] = {
    "WanPipeline": "wan",
    "CogVideoXPipeline": "cogvideox",
    "HunyuanVideoPipeline": "hunyuan",
    "LTXPipeline": "ltx",
    "SanaVideoPipeline": "sana_video",
    "HunyuanVideo15Pipeline": "hunyuan15",
    "LTX2Pipeline": "ltx2",
}
"""Family of each supported diffusers pipeline class, by its name in `model_index.json`."""

_LOADING: Final = (
    "max_tokens",
    "text_precision",
    "autoencoder_precision",
    "autoencoder_tiles",
    "transformer_precision",
)
"""Settings of a base model that decide its clips beside its files."""
_PACKAGE: Final = re.compile(r"[A-Za-z_][\w.]*")
_HTTP_LIBRARIES = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"})


def model_folder(model: str) -> str:
    """The folder of a recipe's `base.model`: `package:folder` is inside an installed package; else as given.

    Raises:
        InputError: there is no such package.
    """
    package, colon, inside = model.partition(":")
    if not colon or not _PACKAGE.fullmatch(package):
        return model
    try:
        return str(files(package) / inside)
    except ImportError as error:
        raise InputError(
            f"base.model {model!r} names a package that is not installed",
            expected="package:folder of an installed package",
            got=package,
            next_step=f"install {package}, or name a folder or a Hub id",
        ) from error


def family_of(base: BaseModelSpec) -> FamilyName:
    """The family that a model's index names, checked against the recipe's.

    Raises:
        InputError: there is no such model, it cannot be reached, or its pipeline's family is not supported.
        RecipeError: the recipe names another family.
    """
    index = read_index(base)
    found = index.get("_class_name")
    if not isinstance(found, str) or found not in FAMILIES:
        hint = "a model that starts from an image cannot be used" if "Image" in str(found) else "see docs/families.md"
        raise InputError(
            f"the pipeline of base.model {base.model!r} is of an unsupported family",
            expected=f"one of {', '.join(FAMILIES)}",
            got=found,
            next_step=f"choose a text-to-video model of one of these; {hint}",
        )
    family = FAMILIES[found]
    if base.family not in ("auto", family):
        raise RecipeError(
            f"base.family does not match base.model {base.model!r}",
            expected=f"{family} (its model_index.json says {found}), or auto",
            got=base.family,
            next_step=f"--set base.family={family}, or --set base.family=auto",
        )
    return family


def known_family(base: BaseModelSpec) -> FamilyName | None:
    """The family as far as it is known without the Hub: from the recipe, or from an index on this machine."""
    if base.family != "auto":
        return base.family
    path = Path(model_folder(base.model))
    file = path / "model_index.json"
    if not path.is_dir():
        cached = _cached_index(base)
        if cached is None:
            return None
        file = cached
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return FAMILIES.get(str(index.get("_class_name"))) if isinstance(index, dict) else None


def has_experts(base: BaseModelSpec) -> bool:
    """Whether a model has two transformers by noise level, as its index says.

    Raises:
        InputError: as `read_index`.
    """
    return _names_second(read_index(base))


def known_experts(base: BaseModelSpec) -> bool | None:
    """The same as far as it is known without the Hub; None if nothing on this machine says."""
    folder = local_folder(base)
    if folder is None:
        return None
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return _names_second(index) if isinstance(index, dict) else None


def _names_second(index: Mapping[str, Any]) -> bool:
    part = index.get(PARTS["low"])
    return isinstance(part, list) and bool(part) and part[0] is not None


def read_index(base: BaseModelSpec) -> dict[str, Any]:
    """`model_index.json` of a model, from the package, a folder or the Hub.

    Raises:
        InputError: there is none, or it is not a JSON object.
    """
    path = Path(model_folder(base.model))
    file = path / "model_index.json" if path.is_dir() else _index_from_hub(base)
    try:
        index = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"the folder of base.model has no model_index.json: {path}",
            expected="a diffusers pipeline folder: model_index.json, transformer/, vae/, text_encoder/, tokenizer/",
            got=sorted(each.name for each in path.iterdir())[:8],
            next_step="point base.model at the folder that holds model_index.json, or at a Hub id ending in -Diffusers",
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}", next_step=_download_again(base)) from error
    if not isinstance(index, dict):
        raise InputError(
            f"{file} is not a diffusers index", expected="a JSON object", got=index, next_step=_download_again(base)
        )
    return index


def _download_again(base: BaseModelSpec) -> str:
    if Path(model_folder(base.model)).is_dir():
        return "download the model again"
    # A file in the Hub's cache stays there, even if damaged, until a forced download replaces it.
    at = f" --revision {base.revision}" if base.revision else ""
    return f"hf download {base.model} model_index.json{at} --force-download, and check that no proxy blocks the Hub"


def _index_from_hub(base: BaseModelSpec) -> Path:
    from huggingface_hub import hf_hub_download

    if base.model.startswith((".", "/", "~")) or base.model.count("/") != 1:
        raise InputError(
            "base.model names no folder that exists",
            expected="a diffusers folder, package:folder, or a Hub id such as Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
            got=base.model,
            next_step="correct that path",
        )
    try:
        return Path(hf_hub_download(base.model, "model_index.json", revision=base.revision))
    except Exception as error:
        found = hub_error(base, error)
        if found is None:
            raise
        raise found from error


def hub_error(base: BaseModelSpec, error: BaseException) -> UserError | None:
    """The error for the user that an error of the Hub's client means; None for any other error."""
    from huggingface_hub import errors

    name = f"base.model {base.model!r}"
    if isinstance(error, errors.GatedRepoError):
        return InputError(
            f"{name} requires you to accept its terms before you can download it",
            next_step="accept them on its page, then log in with `hf auth login` or set HF_TOKEN",
        )
    if isinstance(error, (errors.RepositoryNotFoundError, errors.HFValidationError)):
        return InputError(
            f"{name} is neither a local folder nor a model on the Hub (or it is private)",
            expected="an existing diffusers folder, or a Hub id such as Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
            got=base.model,
            next_step="check the spelling; for a private model log in with `hf auth login` or set HF_TOKEN",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return InputError(f"{name} has no such revision", got=base.revision, next_step="correct base.revision")
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        # "Neither on the Hub nor in the cache": the reason is in the exception that it was raised from.
        cause = hub_error(base, error.__cause__)
        return cause if cause is not None else _unreachable(name, error)
    if isinstance(error, (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError)):
        return _unreachable(name, error)
    if isinstance(error, errors.EntryNotFoundError):
        return InputError(
            f"{name} has no model_index.json, so it is not a diffusers pipeline",
            next_step="Hub ids of diffusers pipelines often end in -Diffusers",
        )
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code in (401, 403):
        return InputError(
            f"the Hub refused access to {name}: {_first_line(error)}",
            next_step="check that its page can be opened, then log in with `hf auth login` or correct HF_TOKEN",
        )
    if isinstance(error, errors.HfHubHTTPError) or _is_of_the_network(error):
        return _unreachable(name, error)
    return None


def _unreachable(name: str, error: BaseException) -> UserError:
    return InputError(
        f"{name} is not a local folder, not downloaded yet, and the Hub cannot be reached: {_first_line(error)}",
        next_step="go online once (unset HF_HUB_OFFLINE), or copy the model here and name its folder in base.model",
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _is_of_the_network(error: BaseException) -> bool:
    """True for exceptions of the HTTP library under the Hub's client; that library has changed before."""
    return type(error).__module__.split(".")[0] in _HTTP_LIBRARIES


def word_level_vocabulary(base: BaseModelSpec) -> frozenset[str] | None:
    """The vocabulary of a word-level tokenizer, lower case; None for tokenizers that can read any word."""
    file = Path(model_folder(base.model)) / "tokenizer" / "tokenizer.json"
    if not file.exists():
        return None
    model = json.loads(file.read_text(encoding="utf-8")).get("model", {})
    if model.get("type") != "WordLevel":
        return None
    return frozenset(word for word in model["vocab"] if not word.startswith("<"))


BASE_FINGERPRINT: Final = "base_fingerprint"
"""Name in a run's `meta` of the fingerprint that its base model had when it began."""


def fingerprint_of(base: BaseModelSpec) -> str | None:
    """Hash of every file of a model that affects its clips, computed without loading the model.

    Transformer, autoencoder, text encoders, tokenizers, scheduler and the index: see `rushes.families.weights`.

    Returns:
        64 hex digits; None for a model on the Hub that is not in this machine's cache yet.
    """
    folder = local_folder(base)
    found = folder is not None and (folder / "transformer").is_dir()
    return as_loaded(base, hash_model(folder)) if folder is not None and found else None


def as_loaded(base: BaseModelSpec, fingerprint: str) -> str:
    """The fingerprint of a model that is loaded in another way than by default, so that its clips differ.

    Args:
        base: the model.
        fingerprint: of its files or weights.
    """
    fields = type(base).model_fields
    changed = {name: value for name in _LOADING if (value := getattr(base, name)) != fields[name].default}
    if base.lora is not None:
        from rushes.families.adapter import adapter_hash

        changed["lora"] = adapter_hash(base.lora)
    return content_hash({"model": fingerprint, **changed}) if changed else fingerprint


def local_folder(base: BaseModelSpec) -> Path | None:
    """The model's folder on this machine, in the Hub's cache too; None for a model that is not here yet.

    Raises:
        InputError: the model is in a package that is not installed.
    """
    folder = Path(model_folder(base.model))
    if folder.is_dir():
        return folder
    cached = _cached_index(base)
    return None if cached is None else cached.parent


def _cached_index(base: BaseModelSpec) -> Path | None:
    """`model_index.json` of a Hub model in this machine's cache; None if it is not cached."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(base.model, "model_index.json", revision=base.revision)
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None
