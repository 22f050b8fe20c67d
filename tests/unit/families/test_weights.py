"""Fingerprints of models: whatever takes part in a clip counts, and a large file is read once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rushes.families import weights
from rushes.families.folder import fingerprint_of
from rushes.families.weights import cache_folder, hash_model
from rushes.recipe.base import BaseModelSpec
from rushes.store.identity import canonical_json, content_hash
from tests.support.tiny_wan import make_tiny_wan


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


@pytest.mark.parametrize(
    "name",
    [
        "model_index.json",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "scheduler/scheduler_config.json",
    ],
)
def test_every_file_that_decides_a_clip_counts(name: str, model: Path, tmp_path: Path) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    assert hash_model(other) == hash_model(model), "where the folder is does not count"
    data = bytearray((other / name).read_bytes())
    data[-1] ^= 1
    (other / name).write_bytes(data)
    assert hash_model(other) != hash_model(model)
    (other / name).unlink()
    assert len({hash_model(other), hash_model(model)}) == 2


@pytest.mark.parametrize("name", ["README.md", "notes.json", "transformer/diffusion_pytorch_model.bin", "vae/.cache"])
def test_files_that_nothing_reads_do_not_count(name: str, model: Path, tmp_path: Path) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    (other / name).write_bytes(b"x")
    assert hash_model(other) == hash_model(model)


def test_a_large_file_is_read_again_only_after_it_has_changed(
    model: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    plain = hash_model(other)
    file = other / "transformer" / "diffusion_pytorch_model.safetensors"
    monkeypatch.setattr(weights, "_REMEMBERED_FROM", file.stat().st_size)
    read: list[Path] = []
    whole = weights.sha256_of_file
    monkeypatch.setattr(weights, "sha256_of_file", lambda path: read.append(path) or whole(path))
    assert hash_model(other) == plain
    assert file in read and list(cache.iterdir())
    read.clear()
    assert hash_model(other) == plain
    assert file not in read
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(1, 1))
    assert hash_model(other) != plain
    assert file in read


def test_a_damaged_or_missing_cache_costs_time_only(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = hash_model(model)
    monkeypatch.setattr(weights, "_REMEMBERED_FROM", 0)
    assert hash_model(model) == plain
    for damage in (lambda text: "{half", lambda text: text.translate(str.maketrans("0123456789", "1234567890"))):
        for note in cache.iterdir():
            note.write_text(damage(note.read_text()))
        assert hash_model(model) == plain
    shutil.rmtree(cache)
    cache.parent.joinpath("hashes").write_text("a file where the folder should be")
    assert hash_model(model) == plain


def test_a_base_model_is_known_by_its_files(model: Path, tmp_path: Path) -> None:
    assert fingerprint_of(BaseModelSpec(model=str(model))) == hash_model(model)
    assert fingerprint_of(BaseModelSpec(model=str(tmp_path))) is None, "no model is there"


def test_an_autoencoder_in_bfloat16_makes_another_model(model: Path) -> None:
    half = BaseModelSpec(model=str(model), autoencoder_precision="bfloat16")
    assert fingerprint_of(half) not in (None, hash_model(model))
    plain = BaseModelSpec(model=str(model))
    for setting in ({"max_tokens": 16}, {"text_precision": "bfloat16"}):
        assert fingerprint_of(plain.model_copy(update=setting)) not in (fingerprint_of(plain), fingerprint_of(half)), (
            setting
        )
    assert content_hash(plain) == content_hash(plain.model_copy(update={"autoencoder_precision": None}))
    assert "autoencoder_precision" not in canonical_json(plain), "runs from before this setting keep their recipe"
