"""Attention by kernels of packages: who gets a call, in which format; which kernel a trial chooses; what is refused.

The package is a stand-in: none of them computes on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models import attention_dispatch
from diffusers.models.attention_dispatch import AttentionBackendName
from torch import Tensor

from rushes.errors import RecipeError
from rushes.families import kernels, speed
from rushes.families.attention import AttentionCall, attention_for, attention_for_sampling
from rushes.families.kernel_trial import Tried, candidates, fastest, tried
from rushes.families.kernels import KERNELS, check_kernel
from rushes.families.load import load_family
from rushes.families.recompute import apply_recompute
from rushes.families.speed import Speed
from rushes.recipe.runtime import SamplingRuntime
from rushes.store.events import EventLog
from rushes.store.identity import canonical_json
from tests.support.tiny_families import TINY

CPU = torch.device("cpu")
CALL = AttentionCall((1, 2, 16, 8), (1, 2, 24, 8), torch.float32, None)


@dataclass
class Package:
    """Stands in for xformers: exact attention in (B, L, heads, width) that notes its calls."""

    factor: float = 1.0
    calls: list[tuple[tuple[int, ...], torch.dtype, bool]] = field(default_factory=list)

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        scale: float | None = None,
    ) -> Tensor:
        assert query.dtype == key.dtype == value.dtype, "as real kernels demand"
        self.calls.append((tuple(query.shape), query.dtype, attn_mask is not None))
        q, k, v = (each.transpose(1, 2).float() for each in (query, key, value))
        scores = q @ k.transpose(-1, -2) * (scale or q.shape[-1] ** -0.5)
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        return (torch.softmax(scores, -1) @ v * self.factor).transpose(1, 2).to(query.dtype)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    made, registry = Package(), attention_dispatch._AttentionBackendRegistry
    names = {"query", "key", "value", "attn_mask", "is_causal", "scale"}
    monkeypatch.setitem(registry._backends, AttentionBackendName.XFORMERS, made)
    monkeypatch.setitem(registry._supported_arg_names, AttentionBackendName.XFORMERS, names)
    monkeypatch.setattr(attention_dispatch, "_CAN_USE_XFORMERS_ATTN", True)
    monkeypatch.setitem(KERNELS, "xformers", replace(KERNELS["xformers"], module="torch"))  # type: ignore[arg-type]
    yield made
    assert registry.get_active_backend()[0] == AttentionBackendName.NATIVE, "nothing is left behind"


def attention(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    return torch.nn.functional.scaled_dot_product_attention(query, key, key, attn_mask=mask)


def test_a_package_gets_the_calls_in_its_layout_and_one_format(package: Package) -> None:
    x, y = torch.randn(1, 2, 16, 8), torch.randn(1, 2, 24, 8)
    expected = attention(x, y)
    with attention_for_sampling("xformers"):
        torch.testing.assert_close(attention(x, y), expected)
        with torch.autocast("cpu", torch.bfloat16):
            made = torch.nn.functional.scaled_dot_product_attention(x, y, y.bfloat16())
    assert made.dtype == torch.bfloat16, "as torch's own call gives it under autocast"
    torch.testing.assert_close(made.float(), expected, atol=0.02, rtol=0.02)
    assert package.calls == [((1, 16, 2, 8), torch.float32, False), ((1, 16, 2, 8), torch.bfloat16, False)]


def test_calls_that_it_cannot_do_stay_with_torch(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1, 2, 16, 8)
    mask = (torch.arange(16) < 9)[None, None, None]
    expected = attention(x, x, mask)
    with attention_for_sampling("xformers"):
        torch.testing.assert_close(attention(x, x, mask), expected)
    assert package.calls[-1][2], "it takes masks"
    no_masks = replace(KERNELS["xformers"], takes_masks=False, takes_float32=False)
    monkeypatch.setitem(KERNELS, "xformers", no_masks)  # type: ignore[arg-type]
    package.calls.clear()
    with attention_for_sampling("xformers"):
        torch.testing.assert_close(attention(x, x, mask), expected)
        torch.testing.assert_close(attention(x.bfloat16(), x.bfloat16(), mask).float(), expected, atol=0.05, rtol=0.05)
        attention(x, x)
        assert package.calls == []
        wide = torch.randn(1, 1, 4, 320).bfloat16()
        attention(wide, wide)
        assert package.calls == []
        attention(x.bfloat16(), x.bfloat16())
        assert len(package.calls) == 1


def test_compiled_blocks_use_it_too(package: Package) -> None:
    tiny = TINY["wan-2.1"]
    torch.manual_seed(0)
    transformer = tiny.make().transformer.eval()
    inputs = (torch.randn(1, 4, 2, 4, 4), torch.tensor([500.0]), torch.randn(1, 16, 16))
    with torch.no_grad():
        expected = transformer(*inputs, return_dict=False)[0]
        speed.compile_blocks(transformer, backend="eager")
        with attention_for_sampling("xformers"):
            found = transformer(*inputs, return_dict=False)[0]
    assert package.calls
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_kernel_that_can_do_no_call_of_a_model_is_refused_and_not_ignored(package: Package) -> None:
    masked = AttentionCall((1, 2, 16, 8), (1, 2, 24, 8), torch.bfloat16, (1, 1, 1, 24))
    assert tried("flash_attn", [masked], CPU) is None and tried("flash_attn", [CALL], CPU) is None
    assert tried("xformers", [masked], CPU) is not None


def test_a_block_that_is_computed_again_uses_the_same_kernel(package: Package) -> None:
    """On a GPU that happens in another thread, where the context of the training step has no effect."""
    tiny = TINY["wan-2.1"]
    torch.manual_seed(0)
    transformer = tiny.make().transformer.train()
    apply_recompute(transformer, "all")
    inputs = (torch.randn(1, 4, 2, 4, 4), torch.tensor([500.0]), torch.randn(1, 16, 16))
    with attention_for(CPU, "xformers"):
        loss = transformer(*inputs, return_dict=False)[0].sum()
    num = len(package.calls)
    loss.backward()  # outside of the context, as in another thread
    assert num > 0 and len(package.calls) == 2 * num


@pytest.mark.parametrize("name", list(TINY))
def test_every_family_samples_through_a_package(name: str, package: Package, tmp_path: Path) -> None:
    tiny = TINY[name]
    family = load_family(tiny.base(tiny.save(tmp_path)))
    sampler = tiny.sampler.model_copy(update={"num_steps": 2})
    expected = family.sample(["a red circle"], [1], sampler, tiny.shape)
    assert package.calls == []
    log = EventLog(tmp_path / "events.jsonl")
    fast = family.with_speed(Speed(SamplingRuntime(attention="xformers"), log=log))
    with pytest.raises(RecipeError, match="made for NVIDIA GPUs"):
        fast.sample(["a red circle"], [1], sampler, tiny.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "check_kernel", lambda *_, **__: None)
        found = fast.sample(["a red circle"], [1], sampler, tiny.shape)
    assert package.calls
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
    (event,) = [each for each in log.read() if each["event"] == "sampling_attention"]
    assert event["kernel"] == "xformers" and set(event["trials"]) == {"native", "xformers"}


def test_auto_takes_the_fastest_that_is_right(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "xformers" in candidates() and "flash_attn_hub" not in candidates() and "sage" not in candidates()
    right = {name: tried(name, [CALL], CPU) for name in ("native", "math", "xformers")}
    package.factor = 1.01
    wrong = tried("xformers", [CALL], CPU)
    assert wrong is not None and 0.005 < wrong.error < 0.02
    errors = {name: each.error for name, each in right.items() if each is not None}
    assert len(errors) == 3 and max(errors.values()) < 1e-6
    found = {"native": Tried(1.0, 1e-7), "math": Tried(0.99, 1e-7), "xformers": Tried(0.5, wrong.error)}
    assert fastest(found) == "native", "one is wrong, the other hardly faster"
    assert fastest({**found, "flash": Tried(0.6, 1e-7), "cudnn": Tried(0.7, 0.0)}) == "flash"


def test_a_wrong_gradient_is_found(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(_: Any, slope: Tensor) -> Tensor:
            return slope / 2

    exact = Package()
    registry = attention_dispatch._AttentionBackendRegistry
    wrong = lambda query, **named: exact(Half.apply(query), **named)  # noqa: E731
    monkeypatch.setitem(registry._backends, AttentionBackendName.XFORMERS, wrong)
    forward, both = (tried("xformers", [CALL], CPU, has_backward=each) for each in (False, True))
    assert forward is not None and forward.error < 1e-6
    assert both is not None and both.error > 0.1


def test_what_is_not_there_is_refused_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = "runtime.sampling.attention"
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"pip install 'flash-attn>=2\.6\.3' --no-build-isolation, or --set runtime"):
        check_kernel("flash_attn", setting, "cuda")
    with pytest.raises(RecipeError, match=r"--set generate\.sampler\.attention=null"):
        check_kernel("sage", "generate.sampler.attention", "cuda")
    with pytest.raises(RecipeError, match=r"runtime\.allow_remote_code=true"):
        check_kernel("flash_attn_3_hub", setting, "cuda")
    with pytest.raises(RecipeError, match=r"pip install 'kernels>=0\.12'"):
        check_kernel("flash_attn_3_hub", setting, "cuda", allows_remote_code=True)
    for name in ("auto", "native", "flash", "math"):
        check_kernel(name, setting, "cpu")


def test_every_kernel_is_one_of_diffusers_and_every_setting_has_a_kernel() -> None:
    from typing import get_args

    from rushes.recipe.runtime import AttentionKernel
    from rushes.records import SamplerSettings

    known = {each.value for each in AttentionBackendName}
    assert {each.diffusers_name for each in KERNELS.values() if each.diffusers_name} <= known
    approximate = {name for name, each in KERNELS.items() if not each.is_exact}
    assert set(get_args(AttentionKernel)) == (set(KERNELS) - approximate) | {"auto", "native"}
    assert SamplerSettings.model_fields["attention"].annotation is not None
    for name in approximate:
        TINY["wan-2.1"].sampler.model_validate({**TINY["wan-2.1"].sampler.model_dump(), "attention": name})


def test_approximate_attention_is_part_of_keys_and_exact_attention_of_none() -> None:
    plain = TINY["wan-2.1"].sampler
    assert "attention" not in canonical_json(plain)
    assert "sage_fp8" in canonical_json(plain.model_copy(update={"attention": "sage_fp8"}))
