"""What is printed while a model computes in bfloat16: nothing of torch's slower norm, everything else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rushes.families import mixed_precision as module
from rushes.families.mixed_precision import computes_bfloat16, mixed_precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def each_time() -> Iterator[None]:
    """Torch says most of what it warns of once in a process."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


def norm() -> None:
    with torch.no_grad():
        torch.nn.functional.rms_norm(torch.ones(2, 4, dtype=torch.bfloat16), (4,), torch.ones(4))


def test_the_slower_norm_is_not_told_and_other_warnings_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "computes_bfloat16", lambda device: True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        norm()
        assert [str(each.message)[:14] for each in caught] == ["Mismatch dtype"], "torch warns of it as before"
        caught.clear()
        with mixed_precision(CPU, torch.bfloat16):
            norm()
            warnings.warn("Mismatch of something else", stacklevel=1)
        assert [str(each.message) for each in caught] == ["Mismatch of something else"]
        num = len(warnings.filters)
        with mixed_precision(CPU, torch.bfloat16):
            assert torch.is_autocast_enabled("cpu") and len(warnings.filters) == num
        with mixed_precision(CPU, torch.bfloat16, enabled=False):
            assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("has_instructions", [True, False])
def test_a_processor_without_instructions_for_bfloat16_computes_in_float32(
    has_instructions: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_instructions, raising=False)
    x, layer = torch.ones(2, 4), torch.nn.Linear(4, 4)
    with mixed_precision(CPU, torch.bfloat16):
        assert layer(x).dtype == (torch.bfloat16 if has_instructions else torch.float32)
    with mixed_precision(CPU, torch.float16):
        assert layer(x).dtype == torch.float16, "only bfloat16 is replaced"
    assert computes_bfloat16(CPU) == has_instructions
    assert computes_bfloat16(torch.device("cuda")), "a GPU is never asked"


def test_every_pass_of_a_transformer_computes_so() -> None:
    source = Path(__file__).resolve().parents[3] / "src" / "rushes"
    files = [path for path in source.rglob("*.py") if "torch.autocast(" in path.read_text(encoding="utf-8")]
    assert [path.name for path in files] == ["mixed_precision.py"]
