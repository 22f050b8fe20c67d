"""What saves memory changes no number: rounded frozen weights under autocast, recomputed blocks; every family."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rushes.families.family import Conditions, Family
from rushes.families.load import load_family
from rushes.families.recompute import apply_recompute
from rushes.recipe.train import LoraSpec
from rushes.train import network as network_module
from rushes.train.batch import FlowBatch
from rushes.train.network import Network, make_network, merged_weights
from rushes.train.probe import probe
from rushes.train.setup import compile_blocks
from tests.support.tiny_families import TINY

TEXTS = ["a red circle moves up", "a blue square"]


@pytest.fixture(scope="module", params=list(TINY))
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    tiny = TINY[request.param]
    return load_family(tiny.base(tiny.save(tmp_path_factory.mktemp("model"))))


def batch_of(family: Family) -> FlowBatch:
    shape = next(tiny.shape for tiny in TINY.values() if tiny.family == family.name)
    generator = torch.Generator().manual_seed(0)
    z_0, epsilon = (torch.randn((2, *family.latent_shape(shape)), generator=generator) for _ in range(2))
    sigma, is_real = torch.tensor([0.3, 0.8]), torch.tensor([False, False])
    return FlowBatch(z_0, epsilon, sigma, family.encode_text(TEXTS), torch.ones(2), is_real)


def build(family: Family, lora: LoraSpec | None) -> Network:
    made = make_network(family, lora, None, autocast=True, conditions=Conditions(fps=8.0, guidance=6.0))
    if lora is not None:  # an untrained adapter does nothing: give it something to do
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for value in made.parameters().values():
                value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    return made


def gradients(made: Network, batch: FlowBatch) -> dict[str, Tensor]:
    """Of a plain loss, with the prediction and the frozen base's under names of their own."""
    z_t = made.family.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
    velocity = made.velocity(z_t, batch.sigma_B, batch.text)
    velocity.float().square().mean().backward()
    found = {name: value.grad.clone() for name, value in made.parameters().items() if value.grad is not None}
    made.tuned.zero_grad(set_to_none=True)
    with torch.no_grad():
        reference = made.reference(z_t, batch.sigma_B, batch.text)
    return {**found, "prediction": velocity.detach(), "reference": reference}


@pytest.fixture(autouse=True)
def has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with instructions for bfloat16."""
    monkeypatch.setattr(network_module, "computes_bfloat16", lambda device: True)
    monkeypatch.setattr("rushes.families.mixed_precision.computes_bfloat16", lambda device: True)


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert set(first) == set(second) and len(first) > 2
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("lora", [None, LoraSpec(rank=2, alpha=2)], ids=["full", "lora"])
def test_rounding_and_recomputing_change_no_bit(
    family: Family, lora: LoraSpec | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(family)
    with monkeypatch.context() as patched:
        patched.setattr(network_module, "round_frozen", lambda model: None)
        plain = build(family, lora)
    expected = gradients(plain, batch)
    made = build(family, lora)
    frozen = made.tuned if made.frozen is None else made.frozen
    assert any(value.dtype == torch.bfloat16 for value in frozen.parameters())
    assert all(value.dtype == torch.float32 for value in made.parameters().values())
    assert_same(gradients(made, batch), expected)
    probe(made, batch)
    for policy in ("half", "all", "none"):
        apply_recompute(made.tuned, policy)  # type: ignore[arg-type]
        assert_same(gradients(made, batch), expected)
    trained = {name: value.detach().clone() for name, value in made.parameters().items()}
    assert_same(merged_weights(made, trained), merged_weights(plain, trained))


def test_the_probe_counts_what_autograd_keeps(family: Family) -> None:
    """Against all tensors that a whole forward pass keeps, and no gradient or hook is left behind."""
    made, batch = build(family, None), batch_of(family)
    found = probe(made, batch)
    assert all(value.grad is None for value in made.parameters().values())
    weights = {value.untyped_storage().data_ptr() for value in made.tuned.parameters()}
    kept: dict[int, int] = {}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    z_t = family.path.noisy(batch.z_0_BCTHW, batch.epsilon_BCTHW, batch.sigma_B)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        held: Any = made.velocity(z_t, batch.sigma_B, batch.text)
    config = made.tuned.config
    assert len(found.blocks) == config.num_layers + getattr(config, "num_single_layers", 0)
    in_blocks = sum(block.kept for block in found.blocks)
    # At this size the part of HunyuanVideo 1.5 that reads texts keeps more than its blocks.
    least = 0.3 if family.name == "hunyuan15" else 0.5
    assert least * sum(kept.values()) < in_blocks <= 1.2 * sum(kept.values()), held.shape
    assert all(0 < block.inputs < block.kept for block in found.blocks)
    assert found.calls and all(len(call.query) == 4 and call.dtype == torch.bfloat16 for call in found.calls)


def test_compiled_blocks_give_the_same_numbers_and_weights_under_the_same_names(tmp_path: Path) -> None:
    """By a backend that traces as the usual one does but generates no code: seconds instead of minutes."""
    tiny = TINY["wan-ti2v"]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    made, batch = build(family, None), batch_of(family)
    names = set(made.parameters())
    expected = gradients(made, batch)
    compile_blocks(made.tuned, backend="aot_eager")
    apply_recompute(made.tuned, "half")
    found = gradients(made, batch)
    assert set(made.parameters()) == names
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-3, rtol=2e-2)
    assert set(merged_weights(made, {})) == set(family.transformer.state_dict())
