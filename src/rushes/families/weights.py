"""Fingerprints of models: equal exactly for equal models. And weights that lie between those of two models."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushes.errors import StoreError
from rushes.store.files import make_folder, sha256_of_file, write_atomic
from rushes.store.sums import closed, opened

if TYPE_CHECKING:
    from torch import Tensor

PARTS: Final = (
    *("transformer", "transformer_2", "vae", "scheduler", "guider"),
    *("text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3"),
    *("connectors", "audio_vae"),
)
"""Folders of a diffusers pipeline that affect its clips."""
_NOT_LOADED: Final = frozenset({".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".onnx", ".md"})
"""Files that are never read: weights in other formats, notes."""
_REMEMBERED_FROM: Final = 64 * 2**20
"""File size, bytes, from which the hash is cached between processes; smaller files are read every time."""


def blend(before: Tensor, after: Tensor, strength: float) -> Tensor:
    """W + s (W' - W); exactly W' at s = 1 and W at s = 0."""
    if strength == 1.0:
        return after
    return before + strength * (after - before) if strength else before


def hash_model(folder: Path) -> str:
    """sha256 over the names and contents of all files of a pipeline that affect its clips.

    Every byte is hashed, and read only once: the hashes of large files are kept in the user's cache by the file's path,
    size and modification time, so that later processes do not read these files again.

    Args:
        folder: of the pipeline; `PARTS` are hashed.

    Returns:
        64 hex digits.
    """
    found = [folder / "model_index.json"]
    for part in PARTS:
        found += sorted(path for path in (folder / part).rglob("*") if not path.name.startswith("."))
    digest = hashlib.sha256()
    for path in found:
        if path.is_file() and path.suffix not in _NOT_LOADED:
            digest.update(f"{path.relative_to(folder).as_posix()}\0{hash_file(path)}\n".encode())
    return digest.hexdigest()


def hash_autoencoder(folder: Path) -> str:
    """sha256 over what an autoencoder computes: its config without notes on its origin, and its weights.

    Args:
        folder: of the pipeline.

    Returns:
        64 hex digits; equal for pipelines whose latents mean the same.

    Raises:
        OSError, ValueError: it has no autoencoder, or its config cannot be read.
    """
    config = json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8"))
    known = {name: value for name, value in config.items() if not name.startswith("_")}
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for path in sorted((folder / "vae").glob("*.safetensors")):
        digest.update(f"{hash_file(path)}\n".encode())
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """sha256 of a file: 64 hex digits; that of a large one is kept in the user's cache, see `hash_model`."""
    stat = path.stat()
    if stat.st_size < _REMEMBERED_FROM:
        return sha256_of_file(path)
    place = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"
    note = cache_folder() / f"{hashlib.sha256(place.encode()).hexdigest()}.json"
    try:
        noted = opened(note.read_bytes(), ("file", "sha256"))
    except OSError:
        noted = None
    if noted is not None:
        known = str(noted["sha256"])
    else:
        known = sha256_of_file(path)
        try:
            make_folder(note.parent)
            write_atomic(note, closed({"file": str(path), "sha256": known}))
        except StoreError:  # an unwritable cache only costs time
            return known
    return known


def cache_folder() -> Path:
    """Where hashes of large files are cached: `$XDG_CACHE_HOME/rushes/hashes`, else under `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "rushes" / "hashes"


def hash_state(state: Mapping[str, Tensor]) -> str:
    """sha256 over the names and values of a state dict in memory."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
