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

from lab.tables import Outcome, arms_table, dimensions_table
from rushes.execute.progress import ProgressDisplay
from rushes.measure.pairs import clusters_of
from rushes.pipeline import improve
from rushes.recipe.load import load_recipe
from rushes.records import PromptGain, Scorecard
from rushes.statistics.comparison import paired_gains
from rushes.statistics.seeds import SeedGains
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
_INTERVALS = "Intervals are 95 % paired bootstrap over prompts, with the variance between seeds."
_ONE_SEED = "Intervals are 95 % paired bootstrap over prompts; with a single seed nothing is known of another one."


@dataclass(frozen=True)
class Group:
    """Arms that are compared with each other."""

    title: str
    about: str
    arms: tuple[Arm, ...]
    reference: str = ""
    """Name of the arm that the others are compared with; empty for a single arm."""


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
        "plain SFT",
    ),
    "data": Group(
        "The paper's data",
        "Raw weights on clips that the model generated for written prompts, for captions of real clips, and for both. "
        "The number of clips and of steps is the same. Where captions are used, their real clips are half of each "
        "batch (the realism constraint). Then written prompts with real clips whose captions are not used as prompts, "
        "and real clips alone, without any of the model's own and without a judge.",
        DATA,
        "synthetic prompts only",
    ),
    "realism": Group(
        "The two readings of the realism constraint",
        "The demo recipe without one, with flow matching on the real clips, and with the moments of predicted clean "
        "latents drawn towards those of real ones.",
        REALISM_ARMS,
        "no realism constraint",
    ),
    "latents": Group(
        "Which latents to train on",
        "The demo recipe with either kind of latents of its own clips.",
        LATENTS,
        "as they leave the sampler",
    ),
}


def run_arm(arm: Arm, seeds: Sequence[int], home: Path, common: Sequence[str]) -> Outcome:
    """Run an arm with every seed, and gather what every held-out prompt gained."""
    cards, gains = list[Scorecard](), dict[int, SeedGains]()
    for seed in seeds:
        recipe = load_recipe("sandbox", [*common, *arm.overrides, f"seed={seed}", f"train.seed={seed}"])
        with ProgressDisplay() as show:
            card = improve(recipe, home, on_progress=show, allow_change=True)
        assert card is not None
        cards.append(card)
        with Run.view(home) as run:
            found, clusters = run.read_derived("gains", PromptGain) or [], clusters_of(run.prompts.all())
        gains[seed] = {
            name: paired_gains(
                [each.before for each in found if each.dimension == name],
                [each.after for each in found if each.dimension == name],
                [clusters[each.prompt_key] for each in found if each.dimension == name],
            )
            for name in dict.fromkeys(each.dimension for each in found)
        }
    return Outcome(arm.name, tuple(cards), gains)


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
            shown = [*parts, f"## {group.title}", _wrapped(group.about), arms_table(outcomes, group.reference)]
            arguments.out.write_text("\n\n".join(shown) + "\n", encoding="utf-8")
            print(arms_table(outcomes[-1:], group.reference).splitlines()[-1], flush=True)
        parts += [f"## {group.title}", _wrapped(group.about), arms_table(outcomes, group.reference)]
        if name == "demo":
            parts.append(dimensions_table(outcomes[0]))
    arguments.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _head(command: str, seeds: Sequence[int], split: str, home: Path) -> str:
    machine = hardware()
    return "# Results\n\n" + _wrapped(
        f"Made by `{command}` at commit {commit()[0]} on {machine['num_cpus']} cores of {machine['cpu']}, "
        f"{machine['memory_gib']} GiB; seeds {', '.join(map(str, seeds))}; {split} prompts. Gains are in points "
        f"(100 x score), averaged over the focus dimensions and seeds. {_INTERVALS if len(seeds) > 1 else _ONE_SEED} "
        "Differences between arms are paired by seed and prompt. Verdicts are corrected for all rows of a table that "
        f"have one (Holm, 5 %).{_earlier(home)}"
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
