"""Tables of arms: each against its base, against the arm that it is compared with, and what it cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lab.outcomes import Outcome, difference
from rushes.report.claims import loss_sentences
from rushes.statistics.comparison import ALPHA, decide
from rushes.statistics.power import fewest_prompts
from rushes.statistics.resampling import Estimate
from rushes.statistics.seeds import SeedGains

_ARM = ("arm", "focus gain, points", "95 % interval", "each seed")
_COST = ("clips judged", "steps", "forwards, thousands", "minutes")
_COMPARED = ("compared with", "difference", "95 % interval", "verdict")


@dataclass(frozen=True)
class _Row:
    """What a sentence on losses reads of a dimension, see `rushes.report.claims.Compared`."""

    dimension: str
    gain_low: float
    num_prompts: int


def arms_table(outcomes: Sequence[Outcome], versus: Mapping[str, Outcome]) -> str:
    """A Markdown table in points: the focus gain of each arm, its cost, and its difference to another arm.

    Args:
        outcomes: arms of one group.
        versus: name of an arm -> the one that it is compared with; arms without one have no difference.
    """
    found = {each.name: difference(each, versus[each.name]) for each in outcomes if each.name in versus}
    known = {name: each for name, each in found.items() if each is not None}
    decided = decide(known)
    titles = [*_ARM, *_COST, *(_COMPARED if found else ())]
    lines = [_line(titles), _line(["---"] * len(titles))]
    for each in outcomes:
        cells = [each.name, *in_points(each.gain.gain), _each_seed(each), *_cost(each)]
        if each.name in known:
            verdict = _verdict(decided[each.name].verdict, _num_prompts(list(each.focus.values())), len(known))
            cells += [versus[each.name].name, *in_points(known[each.name].gain), verdict]
        elif found:
            cells += [versus[each.name].name, "not paired", "", ""] if each.name in found else ["", "", "", ""]
        lines.append(_line(cells))
    return "\n".join(lines)


def dimensions_table(outcome: Outcome) -> str:
    """Every dimension of one arm over all seeds, decided together, and the losses that all of them exclude."""
    titles = ["dimension", "before", "after", "gain", "95 % interval", "verdict"]
    lines = [_line(titles), _line(["---"] * len(titles))]
    found, runs = outcome.by_dimension, [each.gains for each in outcome.results]
    decided = decide(found)
    prompts = {name: _num_prompts([{name: each[name]} for each in runs if name in each]) for name in found}
    for name in found:
        rows = [each.dimensions[name] for each in outcome.results if name in each.dimensions]
        before, after = fmean(row.before for row in rows), fmean(row.after for row in rows)
        mark = " (focus)" if any(name in each.focus for each in outcome.results) else ""
        verdict = _verdict(decided[name].verdict, prompts[name], len(found))
        gain = in_points(found[name].gain)
        lines.append(_line([f"{name}{mark}", f"{100 * before:.1f}", f"{100 * after:.1f}", *gain, verdict]))
    lines += ["", *loss_sentences([_Row(name, found[name].gain.low, prompts[name]) for name in found])]
    return "\n".join(lines)


def in_points(interval: Estimate) -> tuple[str, str]:
    """Two cells of a table: the mean, and the ends of its interval."""
    return f"{100 * interval.value:+.1f}", f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def _cost(outcome: Outcome) -> tuple[str, str, str, str]:
    """Means over seeds; what is not known of every seed is not known."""
    budgets = [each.budget for each in outcome.results]
    clips, steps = fmean(each.clips_judged for each in budgets), fmean(each.steps for each in budgets)
    seconds = [each.seconds for each in budgets if each.seconds is not None]
    minutes = f"{fmean(seconds) / 60:.1f}" if len(seconds) == len(budgets) else "unknown"
    return f"{clips:,.0f}", f"{steps:,.0f}", f"{fmean(each.forwards for each in budgets) / 1000:.1f}", minutes


def _verdict(verdict: str, num_prompts: int, num_compared: int) -> str:
    """The verdict, or that so few prompts cannot have one."""
    needed = fewest_prompts(ALPHA / num_compared)
    is_open = verdict == "no clear change"
    return f"too few prompts ({num_prompts} of {needed})" if is_open and num_prompts < needed else verdict


def _num_prompts(runs: Sequence[SeedGains]) -> int:
    """Prompts behind a mean over seeds: those that any seed has."""
    return len({cluster for gains in runs for means in gains.values() for cluster in means})


def _each_seed(outcome: Outcome) -> str:
    gains = [each.focus_gain for each in outcome.results]
    return ", ".join("not measured" if gain is None else f"{100 * gain:+.1f}" for gain in gains)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
