"""Layers that are one in a family's own code: the change that an adapter makes must stay the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rushes.errors import InputError
from rushes.export.fused import native_adapter, native_weights, same_rank, stack
from rushes.export.lowrank import LowRank
from rushes.export.native import native_names

RENAME = native_names("HunyuanVideoTransformer3DModel")
BLOCK = "single_transformer_blocks.3"


def factors(num_outputs: int, rank: int, seed: int, num_inputs: int = 5) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(rank, num_inputs, generator=generator), torch.randn(num_outputs, rank, generator=generator)
    return LowRank(*draw)


def change(of: LowRank) -> Tensor:
    return of.B_Or @ of.A_rI


def test_stacked_factors_make_the_stacked_change() -> None:
    q, v = factors(4, 2, 0), factors(6, 3, 1)
    found = stack([q, None, v], [4, 7, 6])
    assert found.rank == 5
    assert torch.allclose(change(found), torch.cat([change(q), torch.zeros(7, 5), change(v)]), atol=1e-6)


def test_adapter_of_parts_becomes_one_of_the_whole_layer() -> None:
    sizes = {f"{BLOCK}.{name}": 4 for name in ("attn.to_q", "attn.to_k", "attn.to_v")} | {f"{BLOCK}.proj_mlp": 9}
    sizes |= {"norm_out.linear": 6, "transformer_blocks.0.attn.to_out.0": 4, "proj_out": 2}
    k, mlp, last = factors(4, 2, 0), factors(9, 1, 1), factors(6, 2, 2)
    found = native_adapter({f"{BLOCK}.attn.to_k": k, f"{BLOCK}.proj_mlp": mlp, "norm_out.linear": last}, sizes, RENAME)
    assert set(found) == {"single_blocks.3.linear1", "final_layer.adaLN_modulation.1"}
    wanted = torch.cat([torch.zeros(4, 5), change(k), torch.zeros(4, 5), change(mlp)])
    assert torch.allclose(change(found["single_blocks.3.linear1"]), wanted, atol=1e-6)
    # diffusers keeps (scale, shift), the family's own code (shift, scale).
    swapped = torch.cat([change(last)[3:], change(last)[:3]])
    assert torch.allclose(change(found["final_layer.adaLN_modulation.1"]), swapped, atol=1e-6)


def test_one_rank_changes_nothing_but_the_rank() -> None:
    adapter = {"a": factors(4, 1, 0), "b": factors(6, 3, 1)}
    found = same_rank(adapter)
    assert {each.rank for each in found.values()} == {3}
    assert all(torch.allclose(change(found[name]), change(adapter[name]), atol=1e-6) for name in adapter)
    assert same_rank({}) == {}


def test_weights_that_lack_a_part_are_refused() -> None:
    weights = {f"{BLOCK}.attn.to_q.weight": torch.zeros(2, 2), f"{BLOCK}.attn.to_v.weight": torch.zeros(2, 2)}
    with pytest.raises(InputError, match=r"lack a part of single_blocks.3.linear1.weight[\s\S]*\[0, 2\]"):
        native_weights(weights, RENAME)
