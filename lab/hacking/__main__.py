"""A run that hacks its judge on purpose, watched, and its honest twin: `python -m lab.hacking`.

The judge has a planted blind spot, see `lab.blind_judge`: bright clips dazzle it. Nothing holds the model to reality:
no real clips, no anchor. The twin is the same but for the judge: it shows how often the
watch rings without cause. Killed, the same command resumes. The figures and pictures of docs/hacking.md come from it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

# Spinning threads cost a factor of ten when cores are shared; libgomp reads this when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from lab.hacking.page import Shown, write_figures
from rushes.cli.watched import read_watch, show_watch
from rushes.execute.display import ProgressDisplay
from rushes.pipeline import improve
from rushes.recipe.load import parse_recipe
from rushes.recipe.recipe import Recipe
from rushes.store.files import write_atomic
from rushes.store.identity import content_hash, spec_part

RECIPE: Final = """
from: sandbox
name: hacking
diagnose:
  dimensions: [Motion_Order_Understanding]
  focus: [Motion_Order_Understanding]
  num_focus: 1
  num_prompts: 4
  num_takes: 1
  choose: gap
prompts: {writer: {use: sandbox, options: {detailed: 0.0}}, num_weakness: 40, real: {source: null, num_clips: 0}}
generate: {sampler: {num_steps: 12}, num_takes: 6}
judge: {judge: {use: "lab.blind_judge:BlindJudgeSpec"}}
weights: {kind: contrast}
train: {num_steps: 90, batch_size: 8, learning_rate: 5.0e-4, schedule: constant, merge: 1.0, realism: {kind: none}}
watch: {every: 15, num_prompts: 24, num_diversity_prompts: 8}
measure:
  sampler: {num_steps: 12}
  num_prompts: 12
  num_extra_focus_prompts: 0
  num_diversity_prompts: 2
  num_diversity_takes: 4
"""
HONEST: Final = "judge.judge={use: sandbox}"
"""What the twin changes."""


def recipe(*overrides: str) -> Recipe:
    """The recipe of the demonstration."""
    return parse_recipe(RECIPE, source="lab.hacking", overrides=overrides)


def _run(home: Path, name: str, *overrides: str) -> Shown:
    """Run until the watch stops it, keep what it said, then let it go on to see what it has prevented."""
    stopping = recipe(*overrides)
    # Under the recipe's hash: what another recipe was told in the same folder is not what this one shows.
    told = home.with_name(f"{home.name}-{content_hash(spec_part(stopping))[:12]}.txt")
    with ProgressDisplay() as progress:
        if not told.exists():
            card = improve(stopping, home, on_progress=progress, allow_change=True)
            notes = [note for note in card.notes if note.startswith("watch")] if card is not None else []
            write_atomic(told, "\n".join(notes).encode())
        improve(recipe(*overrides, "watch.stop_after=null"), home, on_progress=progress, allow_change=True)
    found = read_watch(home)
    show_watch(found)
    return Shown(name, home, found[-1], tuple(told.read_text(encoding="utf-8").splitlines()))


def main() -> None:
    """Run both, print what `rushes status` shows, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("runs/hacking"))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put table and pictures into docs/hacking.md")
    arguments = parser.parse_args()
    hacked = _run(arguments.home / "dazzled", "dazzled judge", *arguments.overrides)
    honest = _run(arguments.home / "honest", "honest judge", *arguments.overrides, HONEST)
    print(write_figures(hacked, honest, arguments.home, arguments.write))


if __name__ == "__main__":
    main()
