"""Which attention kernel is chosen, and that a call goes through whichever comes first."""

import pytest
import torch
from torch.nn.attention import SDPBackend

from rushes.errors import RecipeError
from rushes.families.attention import attention_for, attention_for_sampling
from rushes.train import kernels
from rushes.train.kernels import choose_kernel, kernel_seconds
from rushes.train.probe import AttentionCall

CPU = torch.device("cpu")
SHORT = AttentionCall((1, 2, 16, 8), (1, 2, 24, 8), torch.float32, None)
LONG = AttentionCall((1, 2, 4096, 8), (1, 2, 4096, 8), torch.float32, None)


def test_a_cpu_keeps_the_plain_kernel_for_short_sequences_and_times_nothing() -> None:
    assert choose_kernel("auto", [SHORT], CPU) == ("math", {})
    assert choose_kernel("auto", [SHORT, LONG], CPU) == ("flash", {})
    assert choose_kernel("auto", [], CPU) == ("math", {})


def test_elsewhere_the_fastest_of_those_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"flash": None, "efficient": 0.2, "cudnn": 0.1, "math": 0.9}
    monkeypatch.setattr(kernels, "kernel_seconds", lambda name, calls, device: times[name])
    chosen, timed = choose_kernel("auto", [SHORT], torch.device("cuda"))
    assert chosen == "cudnn"
    assert timed == {"efficient": 0.2, "cudnn": 0.1, "math": 0.9}
    monkeypatch.setattr(kernels, "kernel_seconds", lambda name, calls, device: None)
    assert choose_kernel("auto", [SHORT], torch.device("cuda")) == ("math", {})


def test_a_kernel_that_cannot_is_none_and_named_an_error() -> None:
    assert kernel_seconds("cudnn", [SHORT], CPU) is None
    with pytest.raises(RecipeError, match="'cudnn' cannot be used here"):
        choose_kernel("cudnn", [SHORT], CPU)


def test_real_timings_are_positive_and_cover_masks() -> None:
    masked = AttentionCall((1, 2, 16, 8), (1, 2, 24, 8), torch.bfloat16, (1, 1, 1, 24))
    for name in ("math", "flash"):
        seconds = kernel_seconds(name, [SHORT, masked], CPU)
        assert seconds is not None and seconds > 0


def test_the_plain_kernel_is_not_tried_where_its_scores_would_not_fit() -> None:
    huge = AttentionCall((1, 12, 32_760, 128), (1, 12, 32_760, 128), torch.bfloat16, None)
    assert kernel_seconds("math", [huge], CPU) is None


@pytest.mark.parametrize("first", [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH, SDPBackend.CUDNN_ATTENTION])
def test_calls_that_the_first_kernel_cannot_do_fall_to_the_usual_ones(first: SDPBackend) -> None:
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
