"""A run that hacks its judge on purpose, watched: `python -m lab.hacking`. The numbers of docs/hacking.md come from it.

The judge has a planted blind spot: the less a clip moves, the more it agrees with whatever the prompt says. Training on
its scores teaches the model to stand still. Nothing holds it to reality: no real clips, no anchor.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from rushes.execute.progress import ProgressDisplay
from rushes.pipeline import improve
from rushes.recipe.load import parse_recipe
from rushes.recipe.recipe import Recipe

RECIPE: Final = """
from: sandbox
name: hacking
diagnose: {dimensions: [Composition], focus: [Composition], num_focus: 1, num_prompts: 2, num_takes: 1, choose: gap}
prompts: {num_weakness: 24, real: {source: null, num_clips: 0}}
generate: {sampler: {num_steps: 6}, num_takes: 4}
judge: {judge: {use: "lab.blind_judge:BlindJudgeSpec"}}
weights: {kind: contrast}
train: {num_steps: 80, learning_rate: 6.0e-4, warmup_steps: 5, schedule: constant, realism: {kind: none}}
watch: {every: 20, num_prompts: 8, num_diversity_prompts: 2}
measure:
  sampler: {num_steps: 6}
  num_prompts: 8
  num_extra_focus_prompts: 0
  num_diversity_prompts: 2
  num_diversity_takes: 4
"""


def recipe(*overrides: str) -> Recipe:
    """The recipe of the demonstration."""
    return parse_recipe(RECIPE, source="lab.hacking", overrides=overrides)


def main() -> None:
    """Run it, and print what `rushes status` shows."""
    from rushes.cli.watched import read_watch, show_watch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("runs/hacking"))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    with ProgressDisplay() as progress:
        card = improve(recipe(*arguments.overrides), arguments.home, on_progress=progress)
    show_watch(read_watch(arguments.home))
    for note in card.notes if card is not None else ():
        print(note)


if __name__ == "__main__":
    main()
