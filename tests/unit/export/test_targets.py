"""Layers that a recipe has chosen for its adapter are in the exported file, or the export is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rushes.errors import InputError
from rushes.export.lora import LoraOptions, export_lora
from rushes.export.source import choose
from rushes.families.load import load_family
from rushes.recipe.train import LoraSpec
from rushes.store.run import Run
from rushes.train.network import make_network, merged_weights
from tests.support.sandbox_recipe import sandbox_recipe
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import tiny_recipe
from tests.unit.export.conftest import add_checkpoint


def test_a_dialect_that_cannot_hold_a_chosen_layer_is_refused(tmp_path: Path) -> None:
    tiny, lora = TINY["wan-2.1"], LoraSpec(rank=2, alpha=3, targets=("to_q", "time_proj"), rslora=True)
    base = tiny.base(tiny.save(tmp_path / "base"))
    network = make_network(load_family(base), lora, None, autocast=False)
    weights = merged_weights(network, {n: torch.ones_like(v) * 0.1 for n, v in network.parameters().items()})
    train = tiny_recipe(tmp_path / "base").train.model_copy(update={"lora": lora})
    add_checkpoint(tmp_path / "run", sandbox_recipe(name="a", base=base, train=train), weights)
    with Run.view(tmp_path / "run") as run:
        fit = export_lora(choose(run), tmp_path / "lora", "diffusers", LoraOptions())
        with pytest.raises(InputError, match="cannot hold all layers"):
            export_lora(choose(run), tmp_path / "kohya", "kohya", LoraOptions())
    assert fit.relative_error < 1e-3
    layers = {name.partition(".lora_")[0] for name in load_file(tmp_path / "lora" / "pytorch_lora_weights.safetensors")}
    assert any(each.endswith("time_proj") for each in layers)
    assert all(each.endswith(("to_q", "time_proj")) for each in layers)
    before, delta = load_family(base).weights(), 0.1 * 0.1 * 2 * 3 / 2**0.5
    name = "condition_embedder.time_proj.weight"
    torch.testing.assert_close(weights[name], before[name] + delta, atol=1e-6, rtol=1e-5)
