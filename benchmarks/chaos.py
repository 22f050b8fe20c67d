"""Trouble of every kind, and what became of each case: kills, damage, garbage replies, spoiled recipes, odd folders.

Run by `make chaos`. One part alone, and the same again: python benchmarks/chaos.py --only kills --seed 1
It starts and ends only processes of its own, listens on the loopback address alone, and writes into a scratch folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

# Before torch is imported: forked children must not wait for threads that they do not have.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.support.measuring import machine
from benchmarks.trouble import damage, folders, judging, kills, recipes
from benchmarks.trouble.databases import HARMS
from benchmarks.trouble.tally import KINDS, Outcome, Row, faults_of, table
from rushes.store.provenance import commit

Part = Callable[[int, int, Path], Iterator[Outcome]]
"""Makes the cases of one kind of trouble: seed, number of cases, a folder to work in."""
PARTS: dict[str, tuple[Part, int, str]] = {
    "kills": (kills.kills, 200, "kills, over all model families"),
    "replies": (judging.judging, 3000, "replies of a judge server"),
    "recipes": (recipes.recipes, 400, "spoiled recipes"),
    "folders": (folders.folders, 200, "odd folders of clips"),
    "damage": (damage.damage, 2 * len(damage.TARGETS), "damaged run folders"),
    "databases": (damage.databases, len(HARMS), "damaged databases"),
}
"""By name: what makes the cases, how many there are, and what the table calls them. The longest is first."""


MARK = "<!-- result of benchmarks/chaos.py -->"
"""Stands before and after the result on its page."""


def run_part(name: str, seed: int, share: float) -> Row:
    """All cases of one kind."""
    torch.set_num_threads(1)
    make, count, title = PARTS[name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"rushes-chaos-{name}-") as scratch:
        outcomes = tuple(make(seed, max(1, round(count * share)), Path(scratch) / name))
    return Row(title, outcomes, time.monotonic() - began)


def with_result(page: str, result: str) -> str:
    """A page with the result between its two marks replaced."""
    before, _, rest = page.partition(MARK)
    _, _, after = rest.partition(MARK)
    return f"{before}{MARK}\n\n{result}\n\n{MARK}{after}"


def _commit() -> str:
    name, is_changed = commit()
    return f"{(name or 'unknown')[:12]}{' with changes' if is_changed else ''}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and what went wrong; 0 if every case was survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*PARTS], action="append", help="this part alone; may be given again")
    parser.add_argument("--seed", type=int, default=1, help="another one draws other cases")
    parser.add_argument("--share", type=float, default=1.0, help="of the number of cases")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also put the table into docs/reliability.md")
    chosen = parser.parse_args(arguments)
    names = [name for name in PARTS if name in (chosen.only or PARTS)]
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("fork")) as pool:
        rows = list(pool.map(partial(run_part, seed=chosen.seed, share=chosen.share), names))
    result = f"Seed {chosen.seed}, commit {_commit()}, {machine(torch.device('cpu'))}:\n\n{table(rows)}"
    print(result)
    if chosen.write is not None:
        chosen.write.write_text(with_result(chosen.write.read_text(encoding="utf-8"), result), encoding="utf-8")
    for row in rows:
        faults = faults_of(row.outcomes)
        if faults:
            print(f"\n{row.name}:", *faults, sep="\n  ")
    return int(any(row.num_with(kind) for row in rows for kind in KINDS))


if __name__ == "__main__":
    sys.exit(main())
