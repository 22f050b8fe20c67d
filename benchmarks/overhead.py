"""What each stage costs beside the plain loop that one writes with diffusers and torch: ratios of processor seconds.

    python benchmarks/overhead.py --out results.json            the sandbox's model, minutes on two idle cores
    python benchmarks/overhead.py --clips 2 --repeats 1         a smoke test: the ratios mean nothing

- `sampling`: `family.sample` beside the stock pipeline called with the same noise and text.
- `decoding`: `family.decode` beside the autoencoder and the pipeline's own post-processing.
- `generating`: the stage, with its keys, chunks, files and records, beside sampling and decoding in memory.
- `judging`: the stage, with its records, beside the judge called directly.
- `training`: the loop, in full and by adapter, beside a few lines of torch and peft; with the same attention kernel, so
  that the ratio is what the loop adds. Its trial before the first step is left out.

The two ways take turns in one process, so that other work on the machine slows down both. A ratio of 1.02 is 2 % more.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.measuring import machine
from rushes.families.attention import attention_for
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.families.mixed_precision import mixed_precision
from rushes.generate.clips import PipelineGenerator, generate_chunk
from rushes.generate.takes import How, takes
from rushes.judge.stage import ask, questions
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.runtime import TrainRuntime
from rushes.recipe.train import LoraSpec
from rushes.records import Answer, Clip, Prompt, Question
from rushes.roles import JudgeRequest
from rushes.store.advance import advance
from rushes.store.decoded import Decoded
from rushes.store.run import Run
from rushes.train.data import TrainingSet
from rushes.train.hooks import Hooks
from rushes.train.job import Job
from rushes.train.loop import optimise
from rushes.train.network import make_network
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective
from rushes.train.setup import prepare

TEXT = "a red circle moves to the left"
CPU = torch.device("cpu")
PARTS = ("generating", "judging", "training")
"""What can be measured by itself; `generating` is sampling, decoding and the stage."""


@dataclass(frozen=True)
class Ratio:
    """Processor seconds of ours over those of the plain way."""

    what: str
    ratio: float
    """Median over the repeats."""
    lowest: float
    highest: float
    ours_s: float
    """Median, seconds."""
    plain_s: float


def beside(what: str, pairs: Iterator[tuple[float, float]]) -> Ratio:
    """Seconds of both ways in turn, as one ratio."""
    found = list(pairs)
    ratios = [ours / plain for ours, plain in found]
    ours_s, plain_s = (statistics.median(each) for each in zip(*found, strict=True))
    made = Ratio(what, statistics.median(ratios), min(ratios), max(ratios), ours_s, plain_s)
    print(f"{what}: {made.ratio:.3f} ({made.lowest:.3f} to {made.highest:.3f}), {plain_s:.2f} s plain", flush=True)
    return made


def in_turn(ours: Callable[[], Any], plain: Callable[[], Any], repeats: int) -> Iterator[tuple[float, float]]:
    """Both ways in turn, the other one first every second time, after one uncounted call of each."""
    ours(), plain()
    for number in range(repeats):
        if number % 2:
            plain_s = _seconds(plain)
            yield _seconds(ours), plain_s
        else:
            yield _seconds(ours), _seconds(plain)


def _seconds(do: Callable[[], Any]) -> float:
    began = time.process_time()
    do()
    return time.process_time() - began


# ---------------------------------------------------------------------------------------------- generating


def plain_latents(recipe: Recipe, family: Any, seeds: list[int]) -> torch.Tensor:
    """As diffusers' examples sample: the pipeline's call under autocast."""
    sampler, shape = recipe.generate.sampler, recipe.shape
    text, negative = (family.encode_text([each]).states_BLD for each in (TEXT, sampler.negative_prompt))
    with torch.no_grad(), mixed_precision(CPU, torch.bfloat16, enabled=sampler.precision == "bfloat16"):
        made: torch.Tensor = family.pipeline(
            prompt_embeds=text.expand(len(seeds), -1, -1),
            negative_prompt_embeds=negative.expand(len(seeds), -1, -1),
            latents=family.noise(seeds, family.latent_shape(shape)),
            height=shape.height_px, width=shape.width_px, num_frames=shape.num_frames,
            num_inference_steps=sampler.num_steps, guidance_scale=sampler.guidance_scale, output_type="latent",
            max_sequence_length=family.max_tokens,
        ).frames  # fmt: skip
    return made


def plain_frames(family: Any, latents: torch.Tensor) -> Any:
    """As the pipeline decodes."""
    vae = family.pipeline.vae
    mean, std = (torch.tensor(each).view(1, -1, 1, 1, 1) for each in (vae.config.latents_mean, vae.config.latents_std))
    with torch.no_grad():
        video = vae.decode(latents / (1.0 / std) + mean, return_dict=False)[0]
    made = family.pipeline.video_processor.postprocess_video(video, output_type="np")
    return (made * 255).round().astype(np.uint8)


def generating(recipe: Recipe, family: Family, clips: int, repeats: int) -> list[Ratio]:
    """Sampling, decoding, and the whole stage."""
    seeds, sampler, shape = list(range(clips)), recipe.generate.sampler, recipe.shape
    texts = [TEXT] * clips
    sample = partial(family.sample, texts, seeds, sampler, shape)
    plain = partial(plain_latents, recipe, family, seeds)
    latents = plain()
    assert torch.allclose(sample(), latents.float(), atol=1e-3), "both ways make the same latents"
    found = [beside("sampling", in_turn(sample, plain, repeats))]
    decode, plain_decode = partial(family.decode, latents), partial(plain_frames, family, latents)
    found.append(beside("decoding", in_turn(decode, plain_decode, repeats)))
    both = lambda: plain_frames(family, plain())  # noqa: E731
    with tempfile.TemporaryDirectory() as folder, Run.open(Path(folder) / "run", {"toy": 1}) as run:
        number = itertools.count()
        stage = lambda: generated(recipe, family, clips, run, next(number) * clips)  # noqa: E731
        found.append(beside("generating", in_turn(stage, both, repeats)))
    return found


def prompts(num: int, first: int = 0) -> list[Prompt]:
    """With the same text: what differs is their number, from `first` on."""
    question = Question(text="is there a red circle?", expected="yes", dimension="Composition", about="x")
    return [
        Prompt(
            key=f"{index:064x}", text=TEXT, base_text=TEXT, dimension="Composition", origin="weakness", index=index,
            questions=(question,) * 3,
        )
        for index in range(first, first + num)
    ]  # fmt: skip


def generated(recipe: Recipe, family: Family, clips: int, run: Run, first: int = 0) -> list[Clip]:
    """The generate stage, in a run that is open."""
    how = How("base", recipe.generate.sampler, recipe.shape, recipe.generate.stored_as)
    do = partial(generate_chunk, PipelineGenerator(family), blobs=run.blobs, how=how)
    return advance(run.clips, takes(prompts(clips, first), 1, how), do, chunk_size=clips, place=run.place())


def judging(recipe: Recipe, family: Family, clips: int, repeats: int) -> Ratio:
    """The recipe's own judge, with and without the stage."""
    from rushes.plugins import JUDGE, resolved

    judge = resolved(recipe.judge.judge, JUDGE).build(recipe.runtime)
    by_key = {each.key: each for each in prompts(clips)}
    with tempfile.TemporaryDirectory() as folder, Run.open(Path(folder) / "run", {"toy": 1}) as run:
        made = generated(recipe, family, clips, run)
        work = questions(made, by_key, recipe.judge)
        number = itertools.count()

        def ours() -> None:
            table = run.table(f"answers_{next(number)}", Answer)
            do = partial(ask, judge, videos=Decoded(run.blobs), name="judge")
            advance(table, work, do, chunk_size=len(work), place=run.place())

        def plain() -> None:
            videos = Decoded(run.blobs).of(made)
            requests = [JudgeRequest(each, TEXT, prompts(1)[0].questions) for each in videos]
            list(judge.answer(requests))

        return beside("judging", in_turn(ours, plain, repeats))


# ---------------------------------------------------------------------------------------------- training


def training(recipe: Recipe, family: Family, steps: int, repeats: int, lora: LoraSpec | None) -> Ratio:
    """One optimiser step of the recipe's batch: our loop beside a hand-written one."""
    spec = recipe.train.model_copy(
        update={
            "lora": lora, "num_steps": steps + 1, "num_epochs": None, "ema_decay": 0.0, "caption_drop": 0.0,
            "checkpoint_every": 10**6, "objective": type(recipe.train).model_fields["objective"].default,
            "realism": recipe.train.realism.model_copy(update={"kind": "none"}), "anchor": 0.0,
        }
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    num, shape = spec.batch_size, family.latent_shape(recipe.shape)
    z_0 = torch.randn(num, *shape, generator=generator)
    text = family.encode_text([TEXT])

    def pairs() -> Iterator[tuple[float, float]]:
        for _ in range(repeats):
            yield _our_step(family, spec, z_0, text), _plain_step(family, spec, z_0, text)

    return beside(f"training {'in full' if lora is None else 'by adapter'}", pairs())


def _our_step(family: Family, spec: Any, z_0: torch.Tensor, text: Any) -> float:
    """Median seconds of a step, without the first."""
    num = len(z_0)
    data = TrainingSet(
        z_0_NCThw=z_0, text=text[[0] * num], empty=text, weight_N=torch.ones(num), preference_N=torch.ones(num),
        is_real_N=torch.zeros(num, dtype=torch.bool),
    )  # fmt: skip
    network = make_network(family, spec.lora, None, autocast=spec.precision == "bfloat16")
    size = z_0.shape[1:3]
    objective = TrainingLoss(spec, build_objective(spec), None, torch.zeros(size), torch.ones(size))
    chosen = prepare(network, data, spec, TrainRuntime(recompute="none"))
    done: list[float] = []
    job = Job(network, data, objective, spec, seed=0, setup=chosen)
    with tempfile.TemporaryDirectory() as scratch:
        optimise(job, Path(scratch), Hooks(on_step=lambda _: done.append(time.process_time())))
    return statistics.median(after - before for before, after in itertools.pairwise(done))


def _plain_step(family: Family, spec: Any, z_0: torch.Tensor, text: Any) -> float:
    """The same of a few lines of diffusers, peft and torch."""
    from peft import LoraConfig

    model = copy.deepcopy(family.transformer).train().requires_grad_(spec.lora is None)
    if spec.lora is not None:
        targets = list(family.lora_targets)
        model.add_adapter(LoraConfig(r=spec.lora.rank, lora_alpha=spec.lora.alpha, target_modules=targets))
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    states = text.states_BLD.expand(len(z_0), -1, -1)
    done = []
    for _ in range(spec.num_steps):
        sigma = torch.rand(len(z_0))
        noise, part = torch.randn_like(z_0), sigma.view(-1, 1, 1, 1, 1)
        with attention_for(CPU), mixed_precision(CPU, torch.bfloat16, enabled=spec.precision == "bfloat16"):
            velocity = model((1 - part) * z_0 + part * noise, sigma * 1000, states, return_dict=False)[0]
        loss = (velocity.float() - (noise - z_0)).square().mean()
        with attention_for(CPU):
            loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done.append(time.process_time())
    return statistics.median(after - before for before, after in itertools.pairwise(done))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8, help="clips at once")
    parser.add_argument("--steps", type=int, default=6, help="optimiser steps of each training")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="change the sandbox's recipe, as in rushes run")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    recipe = load_recipe("sandbox", asked.set)
    family = load_family(recipe.base)
    found = generating(recipe, family, asked.clips, asked.repeats) if "generating" in asked.only else []
    if "judging" in asked.only:
        found.append(judging(recipe, family, asked.clips, asked.repeats))
    if "training" in asked.only:
        found += [training(recipe, family, asked.steps, asked.repeats, lora) for lora in (None, LoraSpec())]
    results = {"machine": machine(CPU), "results": [asdict(each) for each in found]}
    if asked.out is not None:
        asked.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
