"""Which attention kernel is chosen, and that a call goes through whichever comes first."""

import pytest
import torch

from rushes.errors import RecipeError
from rushes.families.attention import AttentionCall, attention_for, attention_for_sampling
from rushes.families.kernel_trial import Tried
from rushes.train import kernels
from rushes.train.kernels import choose_kernel, try_kernel

CPU = torch.device("cpu")
SHORT = AttentionCall((1, 2, 16, 8), (1, 2, 24, 8), torch.float32, None)
LONG = AttentionCall((1, 2, 4096, 8), (1, 2, 4096, 8), torch.float32, None)


def test_a_cpu_keeps_the_plain_kernel_for_short_sequences_and_times_nothing() -> None:
    assert choose_kernel("auto", [SHORT], CPU) == ("math", {})
    assert choose_kernel("auto", [SHORT, LONG], CPU) == ("flash", {})
    assert choose_kernel("auto", [], CPU) == ("math", {})


def test_elsewhere_the_fastest_of_those_that_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"native": Tried(0.5, 1e-3), "efficient": Tried(0.2, 1e-3), "cudnn": Tried(0.1, 0.1)}
    monkeypatch.setattr(kernels, "try_kernel", lambda name, calls, device: found.get(name))
    assert choose_kernel("auto", [SHORT], torch.device("cuda")) == ("efficient", found), "cudnn is wrong"
    monkeypatch.setattr(kernels, "try_kernel", lambda name, calls, device: None)
    assert choose_kernel("auto", [SHORT], torch.device("cuda")) == ("native", {})


def test_a_kernel_that_cannot_is_none_and_named_an_error() -> None:
    assert try_kernel("cudnn", [SHORT], CPU) is None
    with pytest.raises(RecipeError, match="'cudnn' cannot be used here"):
        choose_kernel("cudnn", [SHORT], CPU)


def test_real_trials_cover_masks_and_gradients_and_find_torchs_kernels_right() -> None:
    masked = AttentionCall((1, 2, 16, 8), (1, 2, 24, 8), torch.bfloat16, (1, 1, 1, 24))
    for name in ("native", "math", "flash"):
        made = try_kernel(name, [SHORT, masked], CPU)
        assert made is not None and made.seconds > 0 and made.error < 0.02
        exact = try_kernel(name, [SHORT], CPU)
        assert exact is not None and exact.error < 1e-5


def test_the_plain_kernel_is_not_tried_where_its_scores_would_not_fit() -> None:
    huge = AttentionCall((1, 12, 32_760, 128), (1, 12, 32_760, 128), torch.bfloat16, None)
    assert try_kernel("math", [huge], CPU) is None


@pytest.mark.parametrize("first", ["flash", "math", "cudnn", "native"])
def test_calls_that_the_first_kernel_cannot_do_fall_to_the_usual_ones(first: str) -> None:
    x = torch.randn((1, 2, 8, 4), generator=torch.Generator().manual_seed(0))
    expected = torch.softmax(x @ x.transpose(-1, -2) / 2.0, dim=-1) @ x
    with attention_for(CPU, first):
        torch.testing.assert_close(torch.nn.functional.scaled_dot_product_attention(x, x, x), expected)


def test_sampling_may_use_the_flash_kernel_where_training_uses_the_plain_one() -> None:
    x = torch.randn((1, 2, 8, 4), generator=torch.Generator().manual_seed(0))
    for context, kernel in ((attention_for_sampling(), "flash_attention_for_cpu"), (attention_for(CPU), "math")):
        with context, torch.profiler.profile() as seen:
            torch.nn.functional.scaled_dot_product_attention(x, x, x)
        assert any(kernel in event.name for event in seen.events()), kernel
