"""Write `docs/results.md`, as `make results` does: the demo over several seeds, and the paper's comparisons.

Every arm is the demo recipe with a few keys changed. All arms use one run folder, so that what arms and seeds share
(prompts, clips, answers, the base model's measurements) is computed once. After a kill, the same command resumes.
Nothing is selected by its outcome.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from rushes.execute.progress import ProgressDisplay
from rushes.measure.pairs import clusters_of
from rushes.pipeline import improve
from rushes.recipe.load import load_recipe
from rushes.records import PromptGain, Scorecard
from rushes.statistics.bootstrap import mean_interval
from rushes.statistics.resampling import Estimate, Resampling
from rushes.store.provenance import commit, hardware
from rushes.store.run import Run


@dataclass(frozen=True)
class Arm:
    """One row of a table."""

    name: str
    overrides: tuple[str, ...]
    """`--set` arguments on top of the demo recipe."""


PLAIN = ("train.objective={kind: flow}", "train.anchor=0", "train.lora=null", "num_rounds=1")
"""Overrides that all of the paper's objectives share."""
RAW = (*PLAIN, "weights.kind=raw")
REALISM = ("train.realism.kind=real_flow",)
NO_REALISM = ("train.realism.kind=none",)
PAPER: tuple[Arm, ...] = (
    Arm("plain SFT", (*PLAIN, "weights.kind=uniform", *NO_REALISM)),
    Arm("plain SFT + realism", (*PLAIN, "weights.kind=uniform", *REALISM)),
    Arm("filtered SFT", (*PLAIN, "weights.kind=filter", *NO_REALISM)),
    Arm("filtered SFT + realism", (*PLAIN, "weights.kind=filter", *REALISM)),
    Arm("offline re-weighting (raw)", (*RAW, *NO_REALISM)),
    Arm("offline re-weighting (raw) + realism", (*RAW, *REALISM)),
)
NUM_PROMPTS = 168
"""Prompts that the model generates clips of for training, as in the demo."""


def _of_captions(num: int) -> tuple[str, ...]:
    """Overrides that make `num` of the prompts captions of real clips."""
    return (f"prompts.num_weakness={NUM_PROMPTS - num}", f"prompts.num_caption={num}")


DATA: tuple[Arm, ...] = (
    Arm("synthetic prompts only", (*RAW, *NO_REALISM)),
    Arm("real captions only", (*RAW, *REALISM, *_of_captions(NUM_PROMPTS))),
    Arm("both, half and half", (*RAW, *REALISM, *_of_captions(NUM_PROMPTS // 2))),
    Arm("synthetic prompts, and real clips", (*RAW, *REALISM)),
    Arm("real clips only, nothing generated", (*RAW, *REALISM, "train.realism.share=1.0")),
)
REALISM_ARMS: tuple[Arm, ...] = (
    Arm("no realism constraint", ("train.realism.kind=none",)),
    Arm("real_flow", ("train.realism.kind=real_flow",)),
    Arm("moments", ("train.realism.kind=moments",)),
)
LATENTS: tuple[Arm, ...] = (
    Arm("as they leave the sampler", ("generate.latents=sampler",)),
    Arm("decoded and encoded again", ("generate.latents=reencoded",)),
)
DEMO = (Arm("demo recipe", ()),)


@dataclass(frozen=True)
class Group:
    """Arms that are compared with each other."""

    title: str
    about: str
    arms: tuple[Arm, ...]


GROUPS: Mapping[str, Group] = {
    "demo": Group(
        "The demo recipe",
        "What `make demo` does, with prompts, clips and training of its own for each seed. [The lab book](lab.md) "
        "says which of these prompts had been measured before, and why the few open prompts of Diversity cannot show "
        "a small change.",
        DEMO,
    ),
    "paper": Group(
        "The paper's objectives",
        "The demo's data, steps and schedule, with the objectives that the paper compares. All arms of a seed train "
        "on the same clips and scores.",
        PAPER,
    ),
    "data": Group(
        "The paper's data",
        "Raw weights on clips that the model generated for written prompts, for captions of real clips, and for both. "
        "The number of clips and of steps is the same. Where captions are used, their real clips are half of each "
        "batch (the realism constraint). Then written prompts with real clips whose captions are not used as prompts, "
        "and real clips alone, without any of the model's own and without a judge.",
        DATA,
    ),
    "realism": Group(
        "The two readings of the realism constraint",
        "The demo recipe without one, with flow matching on the real clips, and with the moments of predicted clean "
        "latents drawn towards those of real ones.",
        REALISM_ARMS,
    ),
    "latents": Group(
        "Which latents to train on", "The demo recipe with either kind of latents of its own clips.", LATENTS
    ),
}


@dataclass(frozen=True)
class Outcome:
    """An arm over all seeds."""

    arm: Arm
    scorecards: tuple[Scorecard, ...]
    gain: Estimate
    """Of the focus dimensions, averaged over seeds."""
    by_dimension: Mapping[str, Estimate]
    """Gain of every dimension, averaged over seeds."""


_Gains = dict[str, dict[str, list[float]]]
"""Dimension -> cluster (text of the prompt) -> gain with each seed."""


def run_arm(arm: Arm, seeds: Sequence[int], home: Path, common: Sequence[str]) -> Outcome:
    """Run an arm with every seed; gains are averaged over seeds prompt by prompt before prompts are resampled."""
    cards: list[Scorecard] = []
    every, focus = _Gains(), _Gains()
    for seed in seeds:
        recipe = load_recipe("sandbox", [*common, *arm.overrides, f"seed={seed}", f"train.seed={seed}"])
        with ProgressDisplay() as show:
            card = improve(recipe, home, on_progress=show, allow_change=True)
        assert card is not None
        cards.append(card)
        aimed_at = {row.dimension for row in card.rows if row.is_focus}
        with Run.view(home) as run:
            found, clusters = run.read_derived("gains", PromptGain) or [], clusters_of(run.prompts.all())
        for each in found:
            for gains in [every, focus] if each.dimension in aimed_at else [every]:
                of_cluster = gains.setdefault(each.dimension, {}).setdefault(clusters[each.prompt_key], [])
                of_cluster.append(each.after - each.before)
    by_dimension = {name: _interval({name: gains}) for name, gains in every.items()}
    return Outcome(arm, tuple(cards), _interval(focus), by_dimension)


def _interval(gains: _Gains) -> Estimate:
    means = {name: {cluster: fmean(each) for cluster, each in found.items()} for name, found in gains.items()}
    return mean_interval(means, Resampling(num_resamples=5000, seed=0))


def in_points(interval: Estimate) -> str:
    """Two cells of a table: the mean, and the ends of its interval."""
    return f"{100 * interval.value:+.1f} | {100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def table(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table in points: the focus gain with its interval, and the gain of each seed."""
    lines = ["| arm | focus gain, points | 95 % interval | each seed |", "|---|---|---|---|"]
    for each in outcomes:
        seeds = ", ".join(
            "not measured" if card.focus_gain is None else f"{100 * card.focus_gain:+.1f}" for card in each.scorecards
        )
        lines.append(f"| {each.arm.name} | {in_points(each.gain)} | {seeds} |")
    return "\n".join(lines)


def dimensions_table(outcome: Outcome) -> str:
    """Every dimension of one arm, averaged over seeds."""
    lines = ["| dimension | before | after | gain | 95 % interval | worse in |", "|---|---|---|---|---|---|"]
    names = [row.dimension for row in outcome.scorecards[0].rows]
    for name in names:
        rows = [row for card in outcome.scorecards for row in card.rows if row.dimension == name]
        before, after = fmean(row.before for row in rows), fmean(row.after for row in rows)
        worse = sum(row.verdict == "worse" for row in rows)
        mark = " (focus)" if any(row.is_focus for row in rows) else ""
        lines.append(
            f"| {name}{mark} | {100 * before:.1f} | {100 * after:.1f} | {in_points(outcome.by_dimension[name])} "
            f"| {worse} of {len(rows)} seeds |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the requested groups and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("runs/results"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--groups", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--split", choices=["development", "test"], default="test")
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    arguments = parser.parse_args()
    common = [f"measure.split={arguments.split}"]
    whole = arguments.groups == list(GROUPS)
    command = "make results" if whole else f"python -m lab.results --groups {' '.join(arguments.groups)}"
    parts = [""]
    for name in arguments.groups:
        group, outcomes = GROUPS[name], list[Outcome]()
        # Only the demo reports the other dimensions; a table of objectives needs the focus alone.
        compared = [] if name == "demo" else ["measure.only_focus=true"]
        for arm in group.arms:
            outcomes.append(run_arm(arm, arguments.seeds, arguments.home, [*common, *compared]))
            parts[0] = _head(command, arguments.seeds, arguments.split, arguments.home)
            shown = [*parts, f"## {group.title}", _wrapped(group.about), table(outcomes)]
            arguments.out.write_text("\n\n".join(shown) + "\n", encoding="utf-8")
            print(table(outcomes[-1:]).splitlines()[-1], flush=True)
        parts += [f"## {group.title}", _wrapped(group.about), table(outcomes)]
        if name == "demo":
            parts.append(dimensions_table(outcomes[0]))
    arguments.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _head(command: str, seeds: Sequence[int], split: str, home: Path) -> str:
    machine = hardware()
    return "# Results\n\n" + _wrapped(
        f"Made by `{command}` at commit {commit()[0]} on {machine['num_cpus']} cores of {machine['cpu']}, "
        f"{machine['memory_gib']} GiB; seeds {', '.join(map(str, seeds))}; {split} prompts. Gains are in points "
        "(100 x score), averaged over the focus dimensions; intervals are 95 % paired bootstrap, clustered by prompt, "
        f"of the mean over seeds.{_earlier(home)}"
    )


def _wrapped(paragraph: str) -> str:
    """A paragraph in lines of at most 116 characters."""
    return textwrap.fill(paragraph, 116, break_long_words=False, break_on_hyphens=False)


def _earlier(home: Path) -> str:
    """A sentence with the other commits that wrote records of the run folder; empty if there are none."""
    with Run.view(home) as run:
        opened = [event for event in run.log.read() if event["event"] == "run_opened"]
        others = dict.fromkeys([run.header.commit, *(event.get("commit") for event in opened)])
    named = [each for each in others if each not in (None, commit()[0])]
    if not named:
        return ""
    return f" Records that could be reused are of earlier commits: {', '.join(map(str, named))}."


if __name__ == "__main__":
    main()
