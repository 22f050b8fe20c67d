"""Equal effort for every objective before arms are compared: six configurations each, on development prompts.

    python -m lab.tuning --plan
    python -m lab.tuning --arms dpo nft --seeds 1 2
    python -m lab.tuning --write docs/lab.md

Three learning rates times two strengths; objectives without a strength get two noise schedules instead. Which is best
is decided by the focus gain on development prompts, by the measurer and never by the judge that trained. Outcomes are
kept in `lab/outcomes/tuning`, and what is kept is not run again; after a kill, the same command resumes. Once all six
configurations of an objective have the same seeds, `python -m lab.results` knows an arm of that name and ", tuned".
"""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Final

from lab.arms import BEST, OBJECTIVES, Arm, arms
from lab.budgets import planned
from lab.keep import run_arms
from lab.outcomes import FOLDER, Outcome, Result, read, together
from lab.runs import Laboratory
from lab.tables import gain_of, line
from rushes.errors import Stopped
from rushes.recipe.load import load_recipe
from rushes.recipe.train import TrainSpec
from rushes.store.files import write_atomic

RATES: Final = ("2.0e-4", "4.0e-4", "8.0e-4")
"""Learning rates: half the demo's, the demo's, and twice it."""
STRENGTHS: Final = ("0.5", "1.0")
"""`train.objective.strength`, of objectives that have one."""
SHIFTS: Final = ("6", "12")
"""`train.shift`, of the others."""
NUM: Final = len(RATES) * len(STRENGTHS)
"""Configurations of each arm."""
KEPT: Final = FOLDER / "tuning"
"""Where outcomes lie."""
MARK: Final = "<!-- tuning: python -m lab.tuning --write docs/lab.md -->"
"""Stands before and after what is written into a page."""
_TITLE: Final = "## The same tuning for every objective"
_NAMES: Final = {"train.learning_rate": "lr", "train.objective.strength": "strength", "train.shift": "shift"}


@dataclass(frozen=True)
class Choice:
    """What is known of an arm's configurations.

    Example: `Choice("dpo", outcomes, best=outcomes[3])`.
    """

    name: str
    """Name of the arm that is tuned."""
    outcomes: tuple[Outcome | None, ...]
    """Of each configuration, in order; None where it was not run."""
    best: Outcome | None
    """The one with the highest mean gain; None until all were run with the same seeds."""


def tunable(best: tuple[str, str] = BEST) -> dict[str, Arm]:
    """The arms that are tuned: every objective, and flow matching with each weighting and real clips."""
    known = arms(best)
    return {name: arm for name, arm in known.items() if name in OBJECTIVES or name.endswith(" + real clips")}


def configurations(arm: Arm) -> tuple[Arm, ...]:
    """The arm with each of its six configurations, by names of their own."""
    spec = load_recipe("sandbox", list(arm.overrides)).train
    return tuple(_configured(arm, rate, *second) for rate in RATES for second in _seconds(spec))


def choices(results: Iterable[Result], laboratory: Laboratory, of: Mapping[str, Arm]) -> list[Choice]:
    """What is known of arms, and which configuration is best. Outcomes of an earlier recipe count for nothing.

    Args:
        results: outcomes of configurations.
        laboratory: which says what the recipes are now.
        of: the arms that are tuned.
    """
    kept = list(results)
    named = {each.arm for each in kept}
    found = []
    for name, arm in of.items():
        configured = configurations(arm)
        known = {each.name: each for each in configured if each.name in named}
        now = [each for each in kept if each.arm in known and _is_now(each, laboratory, known[each.arm])]
        by_name = together(now, "own")
        own = tuple(by_name.get(each.name) for each in configured)
        found.append(Choice(name, own, _best(own)))
    return found


def tuned_arms(folder: Path = KEPT) -> dict[str, Arm]:
    """The arms whose tuning is complete, with their best configuration, for `lab.results`.

    Raises:
        InputError: a file in the folder is no outcome.
    """
    if not (results := read(folder, "development")):
        return {}
    of = tunable()
    best = {each.name: each.best.name for each in choices(results, _laboratory(), of) if each.best is not None}
    reference = f"{BEST[0]}, tuned" if BEST[0] in best else ""
    found = {}
    for name, chosen in best.items():
        (arm,) = (each for each in configurations(of[name]) if each.name == chosen)
        title = f"{name}, tuned"
        versus = reference if title != reference else ""
        found[title] = replace(arm, name=title, group="tuned", versus=versus)
    return found


def plan(of: Mapping[str, Arm], seeds: Sequence[int], kept: Iterable[Result]) -> str:
    """What the runs cost, in words: trainings, their forward-equivalents, and the time that kept ones took."""
    laboratory, results = _laboratory(), list(kept)
    lines, total, num = [], 0, 0
    for name, arm in of.items():
        configured = {each.name: each for each in configurations(arm)}
        mine = [each for each in results if each.arm in configured]
        done = {(each.arm, each.seed) for each in mine if _is_now(each, laboratory, configured[each.arm])}
        own = [each for each in configured.values() for seed in seeds if (each.name, seed) not in done]
        cost = [planned(laboratory.recipe(each, seeds[0])) for each in own]
        forwards = sum(each.forwards for each in cost)
        lines.append(f"{name}: {len(own)} runs, {forwards / 1000:,.0f} thousand forward-equivalents")
        total, num = total + forwards, num + len(own)
    took = [each.budget.seconds for each in results if each.budget.seconds is not None]
    minutes = f"; the {len(took)} kept ones took {fmean(took) / 60:.1f} minutes each" if took else ""
    lines.append(
        f"together {num} runs, at most {total / 1000:,.0f} thousand forward-equivalents: the clips of a seed, which "
        f"are counted in each, are sampled once{minutes}. Measuring is not counted."
    )
    return "\n".join(lines)


def section(found: Sequence[Choice]) -> str:
    """The section of the lab book: what was tried, with the best in bold."""
    parts = [
        _filled(
            f"Each arm gets {NUM} configurations: learning rates {', '.join(RATES)} times strengths "
            f"{' and '.join(STRENGTHS)}, or times `train.shift` {' and '.join(SHIFTS)} where there is no strength. "
            "Everything else is the arm's. Gains of the focus in points, on development prompts, by the measurer; the "
            "highest mean over seeds is chosen (bold), of equals the first. The best of six is also the luckiest, so "
            "its figure is no result: the arm called tuned is measured again, on other prompts. Diversity and other "
            "dimensions take no part in the choice. How arms were found before (above) is not part of this and was not "
            "equal: `crd` and `nft` were searched more."
        )
    ]
    rows = [line(["arm", "configuration", "gain", "95 % interval", "seeds", "minutes"]), line(["---"] * 6)]
    for choice in found:
        for outcome in choice.outcomes:
            if outcome is not None:
                rows.append(line(_cells(choice, outcome)))
    if len(rows) > 2:
        parts.append("\n".join(rows))
    open_ones = [
        f"{each.name} ({sum(one is not None for one in each.outcomes)} of {NUM})" for each in found if each.best is None
    ]
    if open_ones:
        parts.append(_filled(f"Not complete with the same seeds: {', '.join(open_ones)}."))
    return "\n\n".join(parts)


def put(text: str, page: Path) -> None:
    """Put the section between its marks; a page without them gets it at its end."""
    before, mark, rest = page.read_text(encoding="utf-8").partition(MARK)
    after = rest.partition(MARK)[2] if mark else "\n"
    lead = before if mark else f"{before.rstrip()}\n\n{_TITLE}\n\n"
    write_atomic(page, f"{lead}{MARK}\n\n{text}\n\n{MARK}{after}".encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is not kept, or plan or write; returns the exit code."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = tunable()
    parser.add_argument("--home", type=Path, default=Path("runs/tuning"), help="run folder of all configurations")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--arms", nargs="+", choices=list(known), metavar="NAME", help="; ".join(known))
    parser.add_argument("--outcomes", type=Path, default=KEPT, help="where outcomes are kept")
    parser.add_argument("--plan", action="store_true", help="say what it costs; nothing is run")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into a page; nothing is run")
    given = parser.parse_args(typed)
    of = {name: known[name] for name in given.arms or known}
    results = read(given.outcomes, "development")
    if given.plan:
        print(plan(of, given.seeds, results))
        return 0
    if given.write:
        put(section(choices(results, _laboratory(), known)), given.write)
        return 0
    laboratory = replace(_laboratory(given.home), command=shlex.join(["python", "-m", "lab.tuning", *typed]))
    try:
        chosen = [each for arm in of.values() for each in configurations(arm)]
        failed = run_arms(laboratory, chosen, given.seeds, given.outcomes)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return 130
    for name, reason in failed.items():
        print(f"{name} could not be run: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _laboratory(home: Path = Path("runs/tuning")) -> Laboratory:
    return Laboratory(home, "development")


def _seconds(spec: TrainSpec) -> tuple[tuple[str, str], ...]:
    """The second setting, with each of its values."""
    if hasattr(spec.objective, "strength"):
        return tuple(("train.objective.strength", value) for value in STRENGTHS)
    return tuple(("train.shift", value) for value in SHIFTS)


def _configured(arm: Arm, rate: str, key: str, value: str) -> Arm:
    given = {"train.learning_rate": rate, key: value}
    said = ", ".join(f"{_NAMES[each]} {value}" for each, value in given.items())
    overrides = (*arm.overrides, *(f"{each}={value}" for each, value in given.items()))
    # The focus alone, for all alike: which configuration is best says nothing else.
    focus = ("measure.only_focus=true",)
    return replace(arm, name=f"{arm.name}, {said}", group="tuning", versus="", overrides=(*overrides, *focus))


def _is_now(result: Result, laboratory: Laboratory, arm: Arm) -> bool:
    return result.recipe_hash in laboratory.hashes_of(arm, result.seed)


def _best(outcomes: Sequence[Outcome | None]) -> Outcome | None:
    known = [each for each in outcomes if each is not None and each.seeds]
    if len(known) < NUM or len({each.seeds for each in known}) > 1:
        return None
    return max(known, key=lambda each: each.gain.gain.value)


def _cells(choice: Choice, outcome: Outcome) -> list[str]:
    mark = "**" if choice.best is outcome else ""
    gain, interval = gain_of(outcome)
    seconds = [each.budget.seconds for each in outcome.results if each.budget.seconds is not None]
    minutes = f"{fmean(seconds) / 60:.1f}" if seconds else "unknown"
    name = outcome.name.removeprefix(f"{choice.name}, ")
    return [choice.name, name, f"{mark}{gain}{mark}", interval, ", ".join(map(str, outcome.seeds)), minutes]


def _filled(text: str) -> str:
    return textwrap.fill(text, 116, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.exit(main())
