"""Weights of blocks that come and go: the same gradients, and a backward pass that never sees what has gone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rushes.errors import RecipeError
from rushes.families import pass_bytes
from rushes.families.family import Conditions, Family
from rushes.families.load import load_family
from rushes.families.model_size import moment_bytes
from rushes.families.pass_bytes import PassBytes
from rushes.families.recompute import SAFETY, apply_recompute
from rushes.families.swap import blocks_of, comes_and_goes, swap_blocks
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import LoraSpec, TrainSpec
from rushes.train import place
from rushes.train.network import Network, make_network, merged_weights
from rushes.train.parallel import ALONE
from tests.support.tiny_families import TINY

LORA = LoraSpec(rank=2, alpha=2)
CPU = torch.device("cpu")


def built(family: Family) -> Network:
    """An adapter that does something."""
    made = make_network(family, LORA, None, autocast=False, conditions=Conditions(fps=8.0, guidance=6.0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in made.parameters().values():
            value.copy_(0.05 * torch.randn(value.shape, generator=generator))
    return made


def step(made: Network, z_t: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    made.tuned.zero_grad()
    velocity = made.velocity(z_t, torch.tensor([0.6]), made.family.encode_text(["a red circle"]))
    velocity.float().square().mean().backward()
    return velocity.detach(), {n: p.grad.clone() for n, p in made.parameters().items() if p.grad is not None}


def nothing_like(value: torch.Tensor, **how: Any) -> torch.Tensor:
    """In place of `torch.empty_like`, whose memory may hold what lay there before."""
    return torch.full_like(value, math.nan if value.is_floating_point() else 0, **how)


def weights_of_first_block(made: Network) -> list[Any]:
    return [each.weight for each in blocks_of(made.tuned)[0].modules() if comes_and_goes(each)]


@pytest.mark.parametrize("name", ["wan-2.1", "cogvideox-5b", "hunyuan", "ltx", "ltx-2", "hunyuan-1.5", "sana-video"])
def test_gradients_are_those_of_weights_that_stay(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait in files here: what has gone holds no values at all, so that any use of it would show."""
    monkeypatch.setattr(torch, "empty_like", nothing_like)
    tiny = TINY[name]
    family = load_family(tiny.base(tiny.save(tmp_path / "model")))
    z_t = torch.randn((1, *family.latent_shape(tiny.shape)), generator=torch.Generator().manual_seed(0))
    plain, swapped = built(family), built(family)
    velocity, expected = step(plain, z_t)
    swap_blocks(swapped.tuned, CPU, tmp_path / "waiting")
    away = weights_of_first_block(swapped)
    assert len(away) > 3 and all(each.isnan().all() for each in away), "they have gone"
    apply_recompute(swapped.tuned, "all", whole=True)
    for _ in range(2):
        found, gradients = step(swapped, z_t)
        # Weights read from a file lie elsewhere in memory, which can change the last bits.
        torch.testing.assert_close(found, velocity, atol=1e-5, rtol=1e-5)
        assert gradients.keys() == expected.keys() and expected
        for key, value in gradients.items():
            torch.testing.assert_close(value, expected[key], atol=1e-6, rtol=1e-4, msg=key)
        assert all(each.isnan().all() for each in away), "and are gone again"
    average = {key: value.detach() for key, value in swapped.parameters().items()}
    merged = merged_weights(swapped, average)
    assert all(torch.equal(value, merged[key]) for key, value in merged_weights(plain, average).items())


class Model:
    """Stands in for a transformer."""

    def __init__(self) -> None:
        self.config, self.dtype, self.where = dict[str, object](), torch.bfloat16, "main memory"

    def parameters(self) -> list[torch.Tensor]:
        return []

    def to(self, device: torch.device) -> None:
        self.where = device.type


def where(patched: pytest.MonkeyPatch, asked: str, free: int | None, *, is_adapter: bool = True) -> str:
    """Where the weights go on a GPU with this much free memory, for a step that takes 1000 bytes in all."""
    model = Model()
    model.__class__ = type("WanTransformer3DModel", (Model,), {})
    family = SimpleNamespace(pipeline=SimpleNamespace(config={}), max_tokens=8, transformer=model)
    network = _Standing(SimpleNamespace(type="cuda"), is_adapter, model, family)
    patched.setattr(place, "free_bytes", lambda device: free)
    patched.setattr(place, "swap_blocks", lambda found, device: setattr(found, "where", "both"))
    patched.setattr(pass_bytes, "step_bytes", lambda paper, order: PassBytes(600, 0, 10, 320))
    data = SimpleNamespace(z_0_NCThw=torch.zeros(1, 4, 3, 8, 8))
    runtime = TrainRuntime.model_validate({"offload": asked})
    spec = TrainSpec(lora=LORA if is_adapter else None, ema_decay=0.0, optimizer="adamw")
    found = place.placed(network, data, spec, runtime, ALONE)  # type: ignore[arg-type]
    assert found.is_swapped == (model.where == "both")
    return model.where


@dataclass(frozen=True)
class _Standing:
    device: Any
    is_adapter: bool
    tuned: Any
    family: Any
    autocast: bool = True
    is_swapped: bool = False

    @property
    def models(self) -> tuple[Any, ...]:
        return (self.tuned,)


def test_weights_wait_in_main_memory_where_nothing_else_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 600 + 320 + 10 * moment_bytes(TrainSpec(optimizer="adamw"))
    fits = math.ceil(needed / SAFETY) + 1
    assert where(monkeypatch, "auto", fits) == "cuda"
    assert where(monkeypatch, "auto", fits - 3) == "both"
    assert where(monkeypatch, "none", 1) == "cuda" and where(monkeypatch, "group", 10**15) == "both"
    assert where(monkeypatch, "auto", None) == "cuda", "unknown memory moves nothing"
    assert where(monkeypatch, "auto", 1, is_adapter=False) == "cuda", "what is trained stays"
    with pytest.raises(RecipeError, match="all weights"):
        where(monkeypatch, "group", 1, is_adapter=False)
