"""Tables of arms: each against its base, against the arm that it is compared with, and what it cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lab.budgets import Equal
from lab.outcomes import Outcome, all_differences
from rushes.measure.pairs import DIVERSITY
from rushes.report.claims import loss_sentences
from rushes.statistics.comparison import ALPHA, Comparison, decide
from rushes.statistics.power import fewest_prompts
from rushes.statistics.resampling import Estimate
from rushes.statistics.seeds import SeedGains

_ARM = ("arm", "focus gain, points", "95 % interval", "each seed")
_COST = ("clips judged", "steps", "forwards, thousands", "minutes")
_COMPARED = ("compared with", "difference", "95 % interval", "verdict")
_COLUMNS: Mapping[Equal, str] = {
    "own": "as it is",
    "clips": "equal clips judged",
    "steps": "equal steps",
    "forwards": "equal forwards",
}
_DRIFT = ("motion amount", "saturation")


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
    known = decided_together(outcomes, versus)
    is_any_compared = any(each.name in versus for each in outcomes)
    titles = [*_ARM, *_COST, *(_COMPARED if is_any_compared else ())]
    lines = [line(titles), line(["---"] * len(titles))]
    for each in outcomes:
        cells = [each.name, *in_points(each.gain.gain), _each_seed(each), *_cost(each)]
        if each.name in known:
            found, verdict = known[each.name]
            cells += [versus[each.name].name, *in_points(found.gain), verdict]
        elif is_any_compared:
            cells += [versus[each.name].name, "not paired", "", ""] if each.name in versus else ["", "", "", ""]
        lines.append(line(cells))
    return "\n".join(lines)


def decided_together(outcomes: Sequence[Outcome], versus: Mapping[str, Outcome]) -> dict[str, tuple[Comparison, str]]:
    """The difference of every arm of a table to the one that it is compared with, and its verdict among all of them.

    Args:
        outcomes: arms of one table.
        versus: name of an arm -> the one that it is compared with.

    Returns:
        By name; arms that cannot be paired are left out.
    """
    found = all_differences({each.name: (each, versus[each.name]) for each in outcomes if each.name in versus})
    known = {name: each for name, each in found.items() if each is not None}
    prompts = {each.name: _num_prompts([*each.focus.values()]) for each in outcomes}
    return {
        name: (known[name], _verdict(each.verdict, prompts[name], len(known))) for name, each in decide(known).items()
    }


def side_effects_table(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table of what arms change beside their focus: other dimensions, Diversity, and how clips drift.

    Args:
        outcomes: arms; what one of them did not measure is said to be missing.

    Returns:
        "" where no arm measured any of it.
    """
    titles = ["arm", "other dimensions, points", "95 % interval", "Diversity, % of its value", "95 % interval"]
    titles += [f"{name}, %" for name in _DRIFT]
    rows = [
        [each.name, *_unaimed(each), *_diversity(each), *(_drift(each, name) for name in _DRIFT)] for each in outcomes
    ]
    if all(not cell for row in rows for cell in row[1:]):
        return ""
    filled = [line([cell or "not measured" for cell in row]) for row in rows]
    return "\n".join([line(titles), line(["---"] * len(titles)), *filled])


def budgets_table(by_equal: Mapping[Equal, Mapping[str, Outcome]], names: Sequence[str]) -> str:
    """A Markdown table of the focus gain of arms at each budget, in points with its interval.

    Args:
        by_equal: what arms have in common -> those that were run so.
        names: the arms, in order; those that were run at no equal budget are left out.

    Returns:
        "" where none is left.
    """
    shown = [name for name in names if any(name in by_equal.get(equal, {}) for equal in _COLUMNS if equal != "own")]
    if not shown:
        return ""
    lines = [line(["arm", *_COLUMNS.values()]), line(["---"] * (1 + len(_COLUMNS)))]
    for name in shown:
        at = [by_equal.get(equal, {}).get(name) for equal in _COLUMNS]
        lines.append(line([name, *("not run" if each is None else "{} ({})".format(*gain_of(each)) for each in at)]))
    return "\n".join(lines)


def dimensions_table(outcome: Outcome) -> str:
    """Every dimension of one arm over all seeds, decided together, and the losses that all of them exclude."""
    titles = ["dimension", "before", "after", "gain", "95 % interval", "verdict"]
    lines = [line(titles), line(["---"] * len(titles))]
    found, runs = outcome.by_dimension, [each.gains for each in outcome.results]
    decided = decide(found)
    prompts = {name: _num_prompts([{name: each[name]} for each in runs if name in each]) for name in found}
    for name in found:
        rows = [each.dimensions[name] for each in outcome.results if name in each.dimensions]
        before, after = fmean(row.before for row in rows), fmean(row.after for row in rows)
        mark = " (focus)" if any(name in each.focus for each in outcome.results) else ""
        verdict = _verdict(decided[name].verdict, prompts[name], len(found))
        gain = in_points(found[name].gain)
        lines.append(line([f"{name}{mark}", f"{100 * before:.1f}", f"{100 * after:.1f}", *gain, verdict]))
    lines += ["", *loss_sentences([_Row(name, found[name].gain.low, prompts[name]) for name in found])]
    return "\n".join(lines)


def in_points(interval: Estimate) -> tuple[str, str]:
    """Two cells of a table: the mean, and the ends of its interval."""
    return f"{100 * interval.value:+.1f}", f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def gain_of(outcome: Outcome) -> tuple[str, str]:
    """The mean gain of the focus and the ends of its interval, in points."""
    return in_points(outcome.gain.gain)


def share_of_diversity(outcome: Outcome) -> tuple[float, float, float] | None:
    """By which share of its value Diversity changed, and the ends of the interval; None if it was not measured."""
    found = outcome.by_dimension.get(DIVERSITY)
    before = [each.dimensions[DIVERSITY].before for each in outcome.results if DIVERSITY in each.dimensions]
    if found is None or not fmean(before):
        return None
    value, low, high = (each / fmean(before) for each in (found.gain.value, found.gain.low, found.gain.high))
    return value, low, high


def _unaimed(outcome: Outcome) -> tuple[str, str]:
    return in_points(outcome.unaimed.gain) if outcome.unaimed is not None else ("", "")


def _diversity(outcome: Outcome) -> tuple[str, str]:
    found = share_of_diversity(outcome)
    return ("", "") if found is None else (f"{100 * found[0]:+.1f}", f"{100 * found[1]:+.1f} to {100 * found[2]:+.1f}")


def _drift(outcome: Outcome, name: str) -> str:
    """By which share of its value a quantity changed, the mean over the seeds that kept it."""
    rows = [row for each in outcome.results for row in each.drift if row.name == name and row.before and row.after]
    return f"{100 * fmean(row.after / row.before - 1 for row in rows):+.1f}" if rows else ""


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
    """The gain of each seed; a single one is said to be that."""
    gains = [each.focus_gain for each in outcome.results]
    said = ", ".join("not measured" if gain is None else f"{100 * gain:+.1f}" for gain in gains)
    return said if len(gains) > 1 else f"{said} (seed {outcome.results[0].seed} alone)"


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"
