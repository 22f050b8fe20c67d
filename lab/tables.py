"""Tables of arms: each against its base, and against the arm that its group is compared with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from rushes.records import Scorecard
from rushes.report.claims import loss_sentences
from rushes.statistics.comparison import ALPHA, Comparison, decide
from rushes.statistics.power import fewest_prompts
from rushes.statistics.resampling import Estimate, Resampling
from rushes.statistics.seeds import DIFFERENCE_BOUNDS, SeedGains, compare_seeds, differences

HOW: Final = Resampling(num_resamples=5000)
"""Resamples of every table."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """An arm over all seeds."""

    name: str
    """Name of the arm."""
    scorecards: tuple[Scorecard, ...]
    """One per seed."""
    gains: Mapping[int, SeedGains]
    """Per seed, the gain of every prompt in every dimension."""

    @property
    def focus(self) -> Mapping[int, SeedGains]:
        """Per seed, the gains in the dimensions that it aimed at; seeds without any are left out."""
        found = {}
        for card, (seed, gains) in zip(self.scorecards, self.gains.items(), strict=True):
            aimed_at = {row.dimension for row in card.rows if row.is_focus}
            own = {name: means for name, means in gains.items() if name in aimed_at}
            if own:
                found[seed] = own
        return found

    @property
    def gain(self) -> Comparison:
        """Mean gain over the focus dimensions and seeds.

        Raises:
            ValueError: no focus dimension was measured.
        """
        return compare_seeds(list(self.focus.values()), HOW)

    @property
    def by_dimension(self) -> dict[str, Comparison]:
        """Mean gain of every dimension over the seeds that measured it."""
        names = dict.fromkeys(name for gains in self.gains.values() for name in gains)
        return {
            name: compare_seeds([{name: gains[name]} for gains in self.gains.values() if name in gains], HOW)
            for name in names
        }


@dataclass(frozen=True)
class _Row:
    """What a sentence on losses reads of a dimension, see `rushes.report.claims.Compared`."""

    dimension: str
    gain_low: float
    num_prompts: int


def difference(one: Outcome, other: Outcome) -> Comparison | None:
    """The focus gain of one arm less that of another, paired by seed, dimension and prompt.

    Returns:
        None where they share no seed, or fewer than two prompts in some dimension.
    """
    runs = differences(one.focus, other.focus)
    if not runs or any(len(means) < 2 for run in runs for means in run.values()):
        return None
    return compare_seeds(runs, HOW, bounds=DIFFERENCE_BOUNDS)


def arms_table(outcomes: Sequence[Outcome], reference: str) -> str:
    """A Markdown table in points: the focus gain of each arm, and its difference to the reference arm.

    Args:
        outcomes: arms of one group.
        reference: name of the arm that the others are compared with; without it there are no differences.
    """
    others = {each.name: each for each in outcomes}
    compared = others.pop(reference, None)
    found = {name: difference(each, compared) for name, each in others.items()} if compared and others else {}
    known = {name: each for name, each in found.items() if each is not None}
    decided = decide(known)
    titles = ["arm", "focus gain, points", "95 % interval", "each seed"]
    titles += [f"less {reference}", "95 % interval", "verdict"] if found else []
    lines = [_line(titles), _line(["---"] * len(titles))]
    for each in outcomes:
        cells = [each.name, *in_points(each.gain.gain), _each_seed(each)]
        if each.name in known:
            num_prompts = _num_prompts(list(each.focus.values()))
            verdict = _verdict(decided[each.name].verdict, num_prompts, len(known))
            cells += [*in_points(known[each.name].gain), verdict]
        elif found:
            cells += ["", "", ""] if each.name == reference else ["not paired", "", ""]
        lines.append(_line(cells))
    return "\n".join(lines)


def dimensions_table(outcome: Outcome) -> str:
    """Every dimension of one arm over all seeds, decided together, and the losses that all of them exclude."""
    titles = ["dimension", "before", "after", "gain", "95 % interval", "verdict"]
    lines = [_line(titles), _line(["---"] * len(titles))]
    found, runs = outcome.by_dimension, list(outcome.gains.values())
    decided = decide(found)
    prompts = {name: _num_prompts([{name: each[name]} for each in runs if name in each]) for name in found}
    for name in dict.fromkeys(row.dimension for card in outcome.scorecards for row in card.rows):
        rows = [row for card in outcome.scorecards for row in card.rows if row.dimension == name]
        before, after = (fmean(values) for values in zip(*((row.before, row.after) for row in rows), strict=True))
        mark = " (focus)" if any(row.is_focus for row in rows) else ""
        verdict = _verdict(decided[name].verdict, prompts[name], len(found))
        gain = in_points(found[name].gain)
        lines.append(_line([f"{name}{mark}", f"{100 * before:.1f}", f"{100 * after:.1f}", *gain, verdict]))
    lines += ["", *loss_sentences([_Row(name, found[name].gain.low, prompts[name]) for name in found])]
    return "\n".join(lines)


def in_points(interval: Estimate) -> tuple[str, str]:
    """Two cells of a table: the mean, and the ends of its interval."""
    return f"{100 * interval.value:+.1f}", f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def _verdict(verdict: str, num_prompts: int, num_compared: int) -> str:
    """The verdict, or that so few prompts cannot have one."""
    needed = fewest_prompts(ALPHA / num_compared)
    is_open = verdict == "no clear change"
    return f"too few prompts ({num_prompts} of {needed})" if is_open and num_prompts < needed else verdict


def _num_prompts(runs: Sequence[SeedGains]) -> int:
    """Prompts behind a mean over seeds: those that any seed has."""
    return len({cluster for gains in runs for means in gains.values() for cluster in means})


def _each_seed(outcome: Outcome) -> str:
    gains = [card.focus_gain for card in outcome.scorecards]
    return ", ".join("not measured" if gain is None else f"{100 * gain:+.1f}" for gain in gains)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
