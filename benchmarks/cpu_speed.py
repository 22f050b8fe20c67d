"""What makes the sandbox faster on a CPU, each against the way without it: ratios of processor seconds, taken in turn.

    python benchmarks/cpu_speed.py --out results.json           minutes on two idle cores
    python benchmarks/cpu_speed.py --clips 2 --repeats 1        a smoke test: the ratios mean nothing

- `sampling`: the flash kernel of attention beside the plain one.
- `guidance`: both passes as one batch beside two calls (`runtime.sampling.guidance`).
- `layout`: decoding with kernels in channels-last layout, as models are loaded on a CPU, beside the usual layout.
- `decode`, `encode`: the autoencoder in bfloat16 beside float32 (`base.autoencoder_precision`), with the differences.
- `training step`: the base asked about own clips only beside all clips, half of the batch being real; with the largest
  difference of a gradient.

The two ways take turns in one process, so that other work on the machine slows down both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.measuring import machine
from rushes.families import loaded
from rushes.families.attention import attention_for, attention_for_sampling
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.families.speed import Speed
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import SamplingRuntime
from rushes.train.batch import FlowBatch
from rushes.train.data import Step
from rushes.train.network import make_network
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective


@dataclass(frozen=True)
class Ratio:
    """The seconds of one way over those of another."""

    what: str
    ratio: float
    """Median over the repeats; below 1 is faster."""
    lowest: float
    highest: float
    difference: float
    """Of the results: of latents or pixels as a share of their deviation (root mean square), of gradients the
    largest."""


def beside(what: str, new: Callable[[], Any], old: Callable[[], Any], repeats: int, difference: Any) -> Ratio:
    """Both ways in turn, after one uncounted call of each."""
    value = difference(new(), old())
    ratios = [_seconds(new) / _seconds(old) for _ in range(repeats)]
    found = Ratio(what, statistics.median(ratios), min(ratios), max(ratios), value)
    print(f"{what}: {found.ratio:.2f} ({found.lowest:.2f} to {found.highest:.2f}), difference {value:.2g}", flush=True)
    return found


def _seconds(do: Callable[[], Any]) -> float:
    began = time.process_time()
    do()
    return time.process_time() - began


def _relative(new: Any, old: Any) -> float:
    new, old = (np.asarray(each, dtype=np.float64) for each in (new, old))
    return float(np.sqrt(np.mean((new - old) ** 2)) / old.std())


def _largest(new: torch.Tensor, old: torch.Tensor) -> float:
    return float((new - old).abs().max())


def generating(recipe: Recipe, family: Family, clips: int, repeats: int) -> list[Ratio]:
    """Sampler and autoencoder."""
    half = load_family(recipe.base.model_copy(update={"autoencoder_precision": "bfloat16"}))
    texts, seeds = ["a red circle moves to the left"] * clips, list(range(clips))

    def sample(context: Callable[[], Any]) -> torch.Tensor:
        before, loaded.attention_for_sampling = loaded.attention_for_sampling, context
        try:
            return family.sample(texts, seeds, recipe.generate.sampler, recipe.shape)
        finally:
            loaded.attention_for_sampling = before

    plain = lambda: attention_for(torch.device("cpu"))  # noqa: E731
    found = beside("sampling", lambda: sample(attention_for_sampling), lambda: sample(plain), repeats, _relative)
    z, frames = sample(plain), family.decode(sample(plain))
    decode = beside("decode", lambda: half.decode(z), lambda: family.decode(z), repeats, _relative)
    encode = beside("encode", lambda: half.encode(frames), lambda: family.encode(frames), repeats, _relative)
    one_call = family.with_speed(Speed(SamplingRuntime(guidance="one_call", attention="native")))
    pair = lambda: one_call.sample(texts, seeds, recipe.generate.sampler, recipe.shape)  # noqa: E731
    guidance = beside("guidance", pair, lambda: sample(attention_for_sampling), repeats, _relative)
    usual = load_family(recipe.base)
    for module in usual.pipeline.vae.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.weight.data = module.weight.data.contiguous()
    layout = beside("layout", lambda: family.decode(z), lambda: usual.decode(z), repeats, _relative)
    return [found, guidance, layout, decode, encode]


def training(recipe: Recipe, family: Family, repeats: int) -> Ratio:
    """One forward and backward pass of a batch of the recipe, half of it real."""
    spec, num = recipe.train, recipe.train.batch_size
    network = make_network(family, spec.lora, None, autocast=spec.precision == "bfloat16")
    generator = torch.Generator().manual_seed(0)
    z_0, epsilon = (torch.randn((num, *family.latent_shape(recipe.shape)), generator=generator) for _ in range(2))
    is_real, sigma = torch.arange(num) % 2 == 0, torch.linspace(0.05, 0.95, num)
    text = family.encode_text(["a red circle moves to the left"] * num)
    step = Step(
        FlowBatch(z_0, epsilon, sigma, text, torch.ones(num), is_real), {"preference": torch.linspace(0, 1, num)}
    )
    z_t = family.path.noisy(z_0, epsilon, sigma)

    def gradient(reference: Callable[..., torch.Tensor]) -> torch.Tensor:
        objective = TrainingLoss(spec, build_objective(spec), reference, torch.empty(0), torch.empty(0))
        with attention_for(torch.device("cpu")):
            loss = objective.terms(network.velocity, step).total()
            found = torch.autograd.grad(loss, list(network.parameters().values()), allow_unused=True)
        return torch.cat([each.flatten() for each in found if each is not None])

    of_all = lambda *_: network.reference(z_t, sigma, text)[~is_real]  # noqa: E731
    return beside("training step", lambda: gradient(network.reference), lambda: gradient(of_all), repeats, _largest)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=16, help="clips at once")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    recipe = load_recipe("sandbox")
    family = load_family(recipe.base)
    found = [*generating(recipe, family, asked.clips, asked.repeats), training(recipe, family, asked.repeats)]
    results = {"machine": machine(torch.device("cpu")), "results": [asdict(each) for each in found]}
    if asked.out is not None:
        asked.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
