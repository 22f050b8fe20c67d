"""The page of results in sentences: what was found, each from outcomes and only where there are any. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from lab.arms import GROUPS, Arm
from lab.outcomes import Outcome
from lab.tables import decided_together, gain_of, in_points, share_of_diversity
from rushes.display.words import readable
from rushes.statistics.comparison import Comparison, decide

_CLEARLY: Final = {"better": "clearly more", "worse": "clearly less"}
"""A verdict about a difference, in words."""


@dataclass(frozen=True, eq=False)
class _Known:
    """The arms that were run as they are."""

    own: Mapping[str, Outcome]
    arms: Mapping[str, Arm]
    decided: Mapping[str, tuple[Comparison, str]]
    """The difference of each to the one that it is compared with, and its verdict: those of its table."""

    def said(self, name: str) -> str | None:
        """ "+8.3 (...): -6.6 (...) beside crd, clearly less."; None where it was not run, or nothing is paired."""
        if name not in self.decided:
            return None
        found, verdict = self.decided[name]
        beside = f"{_said(found)} beside {self.arms[name].versus}, {_CLEARLY.get(verdict, verdict)}"
        return f"{_points(self.own[name])}: {beside}{_alone(self.own[name])}."


def story(own: Mapping[str, Outcome], arms: Mapping[str, Arm], best: Sequence[str]) -> tuple[str, ...]:
    """Sentences, each a point of a list. Verdicts are those of the tables.

    Args:
        own: the arms that were run as they are, by name.
        arms: the table of arms.
        best: the two objectives that are varied, the demo's first.
    """
    decided: dict[str, tuple[Comparison, str]] = {}
    for found in grouped_by(own, arms).values():
        decided |= decided_together(found, versus_of(found, own, arms))
    known = _Known(own, arms, decided)
    parts = (
        *_demo(own, best[0]),
        *_objectives(known, best[0]),
        *(sentence for name in best for sentence in _controls(known, name)),
        *_paper(known),
        *(sentence for name in best for sentence in _variations(known, name)),
        *_amount(known, best[0]),
        *_seeds(own),
        *_missing(own, arms),
    )
    return tuple(parts)


def grouped_by(own: Mapping[str, Outcome], arms: Mapping[str, Arm]) -> dict[str, list[Outcome]]:
    """The arms of every table."""
    return {name: [each for each in own.values() if arms[each.name].group == name] for name in GROUPS}


def versus_of(shown: Sequence[Outcome], own: Mapping[str, Outcome], arms: Mapping[str, Arm]) -> dict[str, Outcome]:
    """The arm that each is compared with, where that one was run."""
    wanted = {each.name: arms[each.name].versus for each in shown}
    return {name: own[other] for name, other in wanted.items() if other in own}


def _demo(own: Mapping[str, Outcome], best: str) -> Iterator[str]:
    """The demo's gain, and what it pays."""
    demo = own.get(best)
    if demo is None:
        return
    focus = " and ".join(sorted({readable(name) for each in demo.results for name in each.focus}))
    where = f"in {focus}, the focus that its probes chose"
    found = decide({best: demo.gain})[best].verdict
    word = {"better": "gains", "worse": "loses"}.get(found, "shows no clear change:")
    yield f"**The demo ({best}) {word} {_said(demo.gain)} points** {where}{_alone(demo)}."
    lost = share_of_diversity(demo)
    if lost is not None:
        value, low, high = (100 * each for each in lost)
        way = "falls" if value < 0 else "rises"
        zero = ", which includes 0" if low <= 0 <= high else ""
        yield f"Its Diversity {way} by {abs(value):.1f} % of its value ({low:+.1f} to {high:+.1f}{zero})."
    others = demo.by_dimension
    worse = [readable(name) for name, each in decide(others).items() if each.verdict == "worse"]
    if len(others) > len({name for each in demo.results for name in each.focus}):
        yield f"Clearly worse: {', '.join(worse) if worse else 'no dimension'}, of {len(others)} measured."


def _objectives(known: _Known, best: str) -> Iterator[str]:
    """Every other objective against the demo's, and choosing at inference instead of training."""
    group = [name for name in known.own if known.arms[name].group == "objectives" and name != best]
    others = [name for name in group if not known.arms[name].best_of]
    if others and best in known.own:
        by_verdict: dict[str, list[str]] = {}
        for name in others:
            verdict = known.decided[name][1] if name in known.decided else "not paired"
            by_verdict.setdefault(_CLEARLY.get(verdict, verdict), []).append(name)
        most = max(others, key=lambda name: known.own[name].gain.gain.value)
        number = f"{len(others)} other objectives were" if len(others) > 1 else "One other objective was"
        verdicts = "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in sorted(by_verdict.items()))
        yield (
            f"{number} run with as many clips and steps. "
            f"The highest gain of them is that of {most}, {_points(known.own[most])}. "
            f"Beside {best}, {verdicts}."
        )
    for name in group:
        if known.arms[name].best_of and (sentence := known.said(name)) is not None:
            num = known.arms[name].best_of
            yield f"Without any training, showing the judge's favourite of {num} takes gains {sentence}"


def _controls(known: _Known, name: str) -> Iterator[str]:
    """Whose scores they are."""
    for kind, said in (
        ("shuffled within prompts", "With the scores shuffled within each prompt"),
        ("random judge", "With a judge that answers at random"),
        ("truth for the judge", "With the measurer's own answers for the judge's"),
    ):
        if (sentence := known.said(f"{name}, {kind}")) is not None:
            yield f"{said}, {name} gains {sentence}"
    twin = known.decided.get(f"{name}, shuffled within prompts")
    if twin is not None and twin[1] == "worse":
        less, most = (100 * -each for each in (twin[0].gain.high, twin[0].gain.low))
        size = f"{-100 * twin[0].gain.value:.1f} points ({less:.1f} to {most:.1f})"
        yield f"So {size} of what {name} gains are feedback, and the rest comes without it."
    elif twin is not None:
        yield f"So it is not shown that any of what {name} gains is feedback."


def _paper(known: _Known) -> Iterator[str]:
    """The paper's own method, with its realism constraint."""
    if (sentence := known.said("offline re-weighting (raw) + real clips")) is not None:
        yield f"The paper's method, offline re-weighting by raw scores with real clips, gains {sentence}"


def _variations(known: _Known, name: str) -> Iterator[str]:
    """Real clips, guidance, rounds."""
    for kind, said in (
        ("no real clips", "Without real clips"),
        ("real clips of simple scenes", "With real clips of simple scenes alone"),
        ("2 rounds", "In two rounds of half"),
        ("4 rounds", "In four rounds of a quarter"),
    ):
        if (sentence := known.said(f"{name}, {kind}")) is not None:
            yield f"{said}, {name} gains {sentence}"
    if (guided := known.own.get(f"{name}, guidance 3")) is not None:
        yield (
            f"With clips generated and measured at guidance 3 and training without guidance, {name} gains "
            f"{_points(guided)} over the base at guidance 3{_alone(guided)}."
        )
    if (sentence := known.said(f"{name}, guidance 3, shuffled")) is not None:
        yield f"The same with shuffled scores gains {sentence}"


def _amount(known: _Known, best: str) -> Iterator[str]:
    """How few clips suffice."""
    fewer = [name for name in known.own if known.arms[name].group == "amount"]
    if best not in known.own or not fewer:
        return
    said = []
    for name in sorted([*fewer, best], key=lambda each: _clips(known.own[each])):
        gain, clips = known.own[name].gain.gain.value, _clips(known.own[name])
        each = f", {100_000 * gain / clips:+.1f} per thousand" if clips else ""
        said.append(f"{clips:,.0f} clips judged gain {_points(known.own[name])}{each}")
    less = [name for name in fewer if known.decided.get(name, (None, ""))[1] == "worse"]
    yield f"{'; '.join(said)}. Clearly less than the demo's: {', '.join(less) if less else 'none of them'}."


def _seeds(own: Mapping[str, Outcome]) -> Iterator[str]:
    """Arms that have fewer seeds than others."""
    most = max((len(each.seeds) for each in own.values()), default=0)
    fewer = [f"{name} ({', '.join(map(str, each.seeds))})" for name, each in own.items() if len(each.seeds) < most]
    if fewer:
        yield (
            f"Fewer than {most} seeds: {'; '.join(fewer)}. An arm of one seed takes the variance between seeds from "
            "the arms that have several."
        )
    elif most == 1:
        yield "Every arm has one seed: of the variance between seeds nothing is known, and no interval includes it."


def _missing(own: Mapping[str, Outcome], arms: Mapping[str, Arm]) -> Iterator[str]:
    """What was not run, so that nobody takes silence for a null result."""
    missing: dict[str, list[str]] = {}
    for name, arm in arms.items():
        if name not in own:
            missing.setdefault(arm.group, []).append(name)
    for group, names in missing.items():
        yield f"Not run, {GROUPS[group].title.lower()}: {'; '.join(names)}."


def _points(outcome: Outcome) -> str:
    return "{} ({})".format(*gain_of(outcome))


def _said(found: Comparison) -> str:
    return "{} ({})".format(*in_points(found.gain))


def _alone(outcome: Outcome) -> str:
    return f" (seed {outcome.seeds[0]} alone)" if len(outcome.seeds) == 1 else ""


def _clips(outcome: Outcome) -> float:
    return fmean(each.budget.clips_judged for each in outcome.results)
