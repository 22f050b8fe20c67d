"""Main memory beside a GPU, from the numbers of parameters."""

from __future__ import annotations

import pytest

from rushes.plan import main_memory
from rushes.plan.gpus import find_gpu
from rushes.plan.main_memory import main_memory_bytes
from rushes.plan.memory import LIBRARIES
from rushes.plan.models import known_model
from rushes.recipe.load import load_recipe

GPU, LORA = find_gpu("H100"), "train.lora={rank: 16, alpha: 16}"
TRANSFORMER, TEXT, AUTOENCODER = 1.419e9, 5.68e9, 0.127e9


def needed(patched: pytest.MonkeyPatch, *overrides: str, recompute: str = "all", swaps: bool = False) -> float:
    recipe = load_recipe("wan2.1-1.3b", list(overrides))
    patched.setattr(main_memory, "recompute_on", lambda *_: (recompute, swaps))
    return main_memory_bytes(known_model(recipe, otherwise="").size, recipe, GPU) - LIBRARIES


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = 2 * TRANSFORMER + 2 * TEXT + 4 * AUTOENCODER
    # The start, read once more, the merged weights, and their bytes.
    half = needed(monkeypatch, LORA)
    assert half == pytest.approx(pipeline + 3 * 4 * TRANSFORMER, rel=1e-3)
    # A float32 base has a copy that is kept, and is its own start.
    whole = needed(monkeypatch, LORA, "base.transformer_precision=null")
    assert whole == pytest.approx(pipeline + 6 * TRANSFORMER + 2 * 4 * TRANSFORMER, rel=1e-3)


def test_what_waits_there_comes_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, swapped = needed(monkeypatch, LORA), needed(monkeypatch, LORA, swaps=True)
    assert 0.9 * 2 * TRANSFORMER < swapped - plain < 2 * TRANSFORMER
    # The inputs of 30 blocks of 21 x 30 x 52 tokens of 1,536 numbers are less than what merging takes.
    assert needed(monkeypatch, LORA, recompute="offload") == plain
