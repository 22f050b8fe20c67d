"""Run arms, keep their outcomes, and write `docs/results.md` from what was kept.

    python -m lab.results --arms nft dpo --seeds 1 2 3
    python -m lab.results --equal forwards --arms nft dpo crd
    python -m lab.results --write

All arms use one run folder, so that what arms and seeds share (prompts, clips, answers, the base model's measurements)
is computed once. After a kill, the same command resumes. An arm whose outcome is kept is not run again, also on a
machine without the run folder, unless its recipe, the sandbox's models or its measurer have changed. Nothing is
selected by its outcome.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from lab.arms import BEST, arms
from lab.budgets import Equal
from lab.keep import run_arms
from lab.outcomes import FOLDER, read
from lab.page import write_page
from lab.runs import Laboratory
from lab.tuning import KEPT, tuned_arms
from rushes.errors import Stopped
from rushes.recipe.measure import Split


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the requested arms, or write the page; returns the exit code."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("runs/results"), help="run folder of all arms")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--arms", nargs="+", metavar="NAME", help="some of the table in lab/arms.py; all if left out")
    parser.add_argument("--best", nargs=2, default=BEST, metavar="OBJECTIVE", help="the two that are varied")
    parser.add_argument("--split", choices=get_args(Split), default="development")
    parser.add_argument("--equal", choices=get_args(Equal), default="own", help="a budget that all arms get")
    parser.add_argument("--everything", action="store_true", help="measure all dimensions of each arm, not the focus")
    parser.add_argument("--recipe", default="sandbox", help="what arms change: a packaged recipe, or a file")
    parser.add_argument("--outcomes", type=Path, default=FOLDER, help="where outcomes are kept")
    parser.add_argument("--write", action="store_true", help="write the page from what is kept; nothing is run")
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    given = parser.parse_args(typed)
    known = {**arms(tuple(given.best)), **tuned_arms(given.outcomes / KEPT.name)}
    if unknown := [name for name in given.arms or () if name not in known]:
        parser.error(f"no arm is called {unknown[0]!r}; there are: {'; '.join(known)}")
    if given.write:
        if not (results := read(given.outcomes, given.split)):
            parser.error(f"nothing is kept of {given.split} prompts in {given.outcomes}; run some arms first")
        write_page(results, known, given.best, given.out)
        return 0
    command = shlex.join(["python", "-m", "lab.results", *typed])
    laboratory = Laboratory(given.home, given.split, given.equal, given.recipe, (), given.everything, command)
    chosen = [known[name] for name in given.arms or known]
    try:
        failed = run_arms(laboratory, chosen, given.seeds, given.outcomes)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return 130
    for name, reason in failed.items():
        print(f"{name} could not be run: {reason}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
