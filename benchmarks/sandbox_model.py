"""How good the sandbox's models are: the autoencoder's decibels, and how often the base model follows its prompts.

    python benchmarks/sandbox_model.py --out results.json                  584 clips: minutes on two idle cores
    python benchmarks/sandbox_model.py --clips 8 --simple 4 --prompts 2    a smoke test: the numbers mean little

The autoencoder is measured on the same held-out clips as in pre-training. The base model generates one take of
prompts of every kind in the grammar, `Simple` included, with the sampler, shape and writer of the recipe `sandbox`.
The perception measurer then answers the questions: a clip is right when every question of its prompt gets the expected
answer. Prompts have their own seed, so no run uses them as probes or held-out prompts. Intervals are 95 % intervals
over clips and over prompts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.measuring import machine
from lab.pretrain.vae import clips_psnr_db
from rushes.families.family import Family
from rushes.families.load import load_family
from rushes.plugins import WRITER, resolved
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.records import Outcome, Scored
from rushes.roles import Brief, Draft, Failed, Subject, Video
from rushes.statistics.bootstrap import score_interval
from rushes_sandbox.grammar import DIMENSIONS
from rushes_sandbox.measurer import PerceptionMeasurer
from rushes_sandbox.specs import WriterSpec
from rushes_sandbox.writer import GrammarWriter

SEED = 40_000_003
"""Seed of the prompts and of the noise; no run's seeds are near it."""
TOP_DB = 100.0
"""Above any reconstruction, so that decibels divided by it are shares, which the bootstrap takes."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    num_clips: int = 128
    """Held-out clips that the autoencoder reconstructs, a multiple of 8."""
    num_simple: int = 200
    """Prompts of `Simple`."""
    num_prompts: int = 48
    """Prompts of each other kind."""
    batch_size: int = 48
    """Clips generated at once."""

    def of(self, kind: str) -> int:
        """Prompts of a kind."""
        return self.num_simple if kind == "Simple" else self.num_prompts


@dataclass(frozen=True)
class Figure:
    """A mean with its 95 % interval."""

    what: str
    unit: str
    mean: float
    low: float
    high: float
    num: int
    """Clips or prompts in the mean."""
    num_unscored: int = 0
    """Clips that the measurer could not answer; left out."""


def reconstruction(family: Family, num_clips: int) -> Figure:
    """Peak signal-to-noise ratio of the shipped autoencoder on held-out rendered clips."""
    values_db = clips_psnr_db(family.pipeline.vae, num_clips).tolist()
    clips = [f"{number:06}" for number in range(len(values_db))]
    found = score_interval([value / TOP_DB for value in values_db], clips)
    ends = (TOP_DB * value for value in (found.value, found.low, found.high))
    return Figure("reconstruction by the autoencoder", "dB", *ends, len(values_db))


def draw_prompts(kind: str, num: int, spec: WriterSpec) -> list[Draft]:
    """The first `num` different prompts of a kind."""
    writer, start = GrammarWriter(spec.detailed), SEED + 10**6 * DIMENSIONS.index(kind)
    found: dict[str, Draft] = {}
    for index in range(50 * num):
        [draft] = writer.write([Brief(kind, "", (), (), "held_out", index, start + index)])
        if isinstance(draft, Draft):
            found.setdefault(draft.text, draft)
        if len(found) == num:
            return list(found.values())
    raise ValueError(f"expected {num} prompts of {kind}, got {len(found)} from the grammar: request fewer")


def measured_takes(
    family: Family, recipe: Recipe, kind: str, drafts: Sequence[Draft], batch_size: int
) -> list[Outcome]:
    """One take of each prompt, generated and measured."""
    measurer, found = PerceptionMeasurer(), []
    for start in range(0, len(drafts), batch_size):
        some = drafts[start : start + batch_size]
        seeds = [SEED + start + number for number in range(len(some))]
        latents = family.sample([draft.text for draft in some], seeds, recipe.measure.sampler, recipe.shape)
        videos = [Video(frames, recipe.shape.fps) for frames in family.decode(latents)]
        pairs = zip(some, videos, strict=True)
        for outcome in measurer.measure([Subject(kind, one.text, one.questions, (clip,)) for one, clip in pairs]):
            if isinstance(outcome, Failed):
                raise RuntimeError(f"{outcome.message}\n{outcome.trace}")
            found.append(outcome)
    return found


def share_right(family: Family, recipe: Recipe, kind: str, size: Size) -> Figure:
    """How often the base model shows what the prompts of a kind describe."""
    writer = resolved(recipe.prompts.writer, WRITER)
    assert isinstance(writer, WriterSpec)
    drafts = draw_prompts(kind, size.of(kind), writer)
    outcomes = measured_takes(family, recipe, kind, drafts, size.batch_size)
    scored = [(one.value, draft.text) for one, draft in zip(outcomes, drafts, strict=True) if isinstance(one, Scored)]
    found = score_interval([value for value, _ in scored], [text for _, text in scored])
    num_unscored = len(outcomes) - len(scored)
    return Figure(kind, "share of clips right", found.value, found.low, found.high, len(scored), num_unscored)


def run(size: Size) -> dict[str, object]:
    """All figures as JSON values; each is printed as soon as it is known."""
    began = time.monotonic()
    recipe = load_recipe("sandbox")
    family = load_family(recipe.base)
    figures = [_printed(reconstruction(family, size.num_clips))]
    figures += [_printed(share_right(family, recipe, kind, size)) for kind in DIMENSIONS]
    return {
        "model": family.fingerprint,
        "machine": machine(torch.device("cpu")),
        "is_smoke_test": size != Size(batch_size=size.batch_size),
        "size": asdict(size),
        "seconds": time.monotonic() - began,
        "results": [asdict(figure) for figure in figures],
    }


def _printed(figure: Figure) -> Figure:
    if figure.unit == "dB":
        words = f"{figure.mean:.2f} dB ({figure.low:.2f} to {figure.high:.2f}) of {figure.num} clips"
    else:
        mean, low, high = (100 * value for value in (figure.mean, figure.low, figure.high))
        words = f"{mean:.1f} % right ({low:.1f} to {high:.1f}) of {figure.num} prompts"
    unscored = f", {figure.num_unscored} more could not be answered" if figure.num_unscored else ""
    print(f"{figure.what}: {words}{unscored}", flush=True)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write JSON if requested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=Size.num_clips, help="clips to reconstruct, a multiple of 8")
    parser.add_argument("--simple", type=int, default=Size.num_simple, help="prompts of `Simple`, at least 2")
    parser.add_argument("--prompts", type=int, default=Size.num_prompts, help="prompts of each other kind, at least 2")
    parser.add_argument("--batch", type=int, default=Size.batch_size, help="clips generated at once")
    parser.add_argument("--out", type=Path, help="write the results here, as JSON")
    asked = parser.parse_args(arguments)
    if asked.clips < 8 or asked.clips % 8 or min(asked.simple, asked.prompts) < 2 or asked.batch < 1:
        parser.error("expected --clips 8, 16, ..., --simple and --prompts of at least 2, and --batch of at least 1")
    found = run(Size(asked.clips, asked.simple, asked.prompts, asked.batch))
    print(f"on {found['machine']}, {found['seconds']:.0f} s")
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
