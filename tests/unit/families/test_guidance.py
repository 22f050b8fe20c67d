"""Guidance in one call: the same latents as in two, half the calls, and only where calls come in pairs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from rushes.families.family import Family
from rushes.families.guidance import InOneCall
from rushes.families.load import load_family
from rushes.families.speed import Speed
from rushes.recipe.runtime import SamplingRuntime
from rushes.records.caches import TaylorSeerCache
from tests.support.tiny_families import TINY, TinyFamily

TWICE = ("wan-2.1", "wan-a14b", "wan-ti2v", "hunyuan-1.5")
TEXTS, SEEDS, NUM_STEPS = ["a red circle", "a blue square moves up"], [1, 2], 4
ONE_CALL = Speed(SamplingRuntime(guidance="one_call", attention="native"))


@pytest.fixture(scope="module", params=TINY)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Family, TinyFamily, str]:
    tiny = TINY[request.param]
    return load_family(tiny.base(tiny.save(tmp_path_factory.mktemp(request.param)))), tiny, request.param


def sampled(family: Family, tiny: TinyFamily, **changes: Any) -> tuple[Tensor, list[int]]:
    """Latents, and the batch of each call of a transformer."""
    sizes: list[int] = []
    count = lambda _, args, inputs: sizes.append(len(inputs.get("hidden_states", args[0] if args else None)))  # noqa: E731
    # On a part of the network: a hook on the network itself is called for calls that need no pass.
    parts = [network.get_submodule(_first_block(network)) for network in family.transformers.values()]
    hooks = [part.register_forward_pre_hook(count, with_kwargs=True) for part in parts]
    sampler = tiny.sampler.model_copy(update={"num_steps": NUM_STEPS, "guidance_scale": 3.0, **changes})
    try:
        return family.sample(TEXTS, SEEDS, sampler, tiny.shape), sizes
    finally:
        for hook in hooks:
            hook.remove()


def _first_block(network: torch.nn.Module) -> str:
    return next(name for name, _ in network.named_modules() if name.endswith("blocks.0") and "refiner" not in name)


def test_one_call_makes_the_latents_of_two(model: tuple[Family, TinyFamily, str]) -> None:
    family, tiny, name = model
    expected, two = sampled(family, tiny)
    found, one = sampled(family.with_speed(ONE_CALL), tiny)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    if name not in TWICE:
        assert one == two, "one call a step already"
        assert torch.equal(found, expected)
        return
    assert two == [2] * (2 * NUM_STEPS)
    parts = 2 if family.has_experts else 1  # each learns in its first step what the two calls differ in
    assert sorted(one) == sorted([2, 2] * parts + [4] * (NUM_STEPS - parts))


def test_nothing_is_paired_without_guidance_or_with_a_cache(model: tuple[Family, TinyFamily, str]) -> None:
    family, tiny, name = model
    if name not in TWICE:
        pytest.skip("one call a step already")
    without: dict[str, Any] = {"guidance_scale": 1.0, "guidance_scale_2": None}
    for changes in (without, {"cache": TaylorSeerCache(interval=2, num_first=2)}):
        expected, two = sampled(family, tiny, **changes)
        found, one = sampled(family.with_speed(ONE_CALL), tiny, **changes)
        assert one == two and torch.equal(found, expected)


def test_afterwards_the_network_is_called_as_before(model: tuple[Family, TinyFamily, str]) -> None:
    family, tiny, _ = model
    sampled(family.with_speed(ONE_CALL), tiny)
    assert not any("forward" in vars(network) for network in family.transformers.values())


def test_on_a_cpu_auto_is_two_calls(model: tuple[Family, TinyFamily, str]) -> None:
    family, tiny, _ = model
    found, calls = sampled(family.with_speed(Speed(SamplingRuntime())), tiny)
    expected, two = sampled(family, tiny)
    assert calls == two and torch.equal(found, expected)


def test_calls_that_are_no_pair_are_computed_as_they_are() -> None:
    def forward(**inputs: Tensor) -> tuple[Tensor]:
        seen.append(len(inputs["hidden_states"]))
        return (inputs["hidden_states"] + inputs["text"],)

    seen: list[int] = []
    one = InOneCall(forward)
    prompt, negative, other = (torch.full((1, 3), value) for value in (1.0, 2.0, 3.0))
    z_1, z_2, z_3 = (torch.full((1, 3), value) for value in (10.0, 20.0, 30.0))
    fixed = {"return_dict": False}

    def call(z: Tensor, text: Tensor) -> float:
        return float(one(hidden_states=z, text=text, **fixed)[0][0, 0])

    assert [call(z_1, prompt), call(z_1, negative)] == [11.0, 12.0] and seen == [1, 1]
    assert [call(z_2, prompt), call(z_2, negative)] == [21.0, 22.0] and seen == [1, 1, 2]
    assert [call(z_3, prompt), call(z_1, negative)] == [31.0, 12.0], "not the step that was computed ahead"
    assert call(z_2, other) == 23.0, "another text"


def test_texts_of_two_lengths_are_no_batch() -> None:
    def forward(**inputs: Tensor) -> tuple[Tensor]:
        return (inputs["hidden_states"] + inputs["text"].sum(),)

    one, z = InOneCall(forward), [torch.zeros(1, 3) for _ in range(3)]
    short, long = torch.ones(1, 2), torch.ones(1, 3)
    for each in z:
        made = [float(one(hidden_states=each, text=text, return_dict=False)[0][0, 0]) for text in (short, long)]
        assert made == [2.0, 3.0]
