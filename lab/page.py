"""The page of results, and its pictures: made from outcomes alone."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lab.arms import GROUPS, Arm
from lab.budgets import Equal
from lab.outcomes import Outcome, Result, together
from lab.pictures import forest, gain_by_clips
from lab.tables import arms_table, dimensions_table
from rushes.store.files import make_folder, write_atomic

EQUAL: Final[Mapping[Equal, tuple[str, str]]] = {
    "clips": ("Equal clips judged", "As many clips judged as the demo has, by fewer or more prompts."),
    "steps": ("Equal steps", "As many optimiser steps as the demo has."),
    "forwards": (
        "Equal forward passes",
        "As many forward-equivalents as the demo has, of sampling and training together, by fewer or more steps.",
    ),
}
"""Title and introduction of the comparisons at an equal budget."""
_HOW: Final = (
    "Gains are in points (100 x score) over the base model, averaged over the focus dimensions and seeds. Intervals "
    "are 95 % paired bootstrap over prompts; with several seeds they include the variance between these, with one "
    "nothing is known of another. Differences between arms are paired by seed and prompt. Verdicts are corrected for "
    "all rows of a table that have one (Holm, 5 %). A forward-equivalent is one pass of the transformer over one clip "
    "without gradients; a pass with gradients counts three. Minutes are those of sampling, judging and training. "
    "Probing and measuring, which all arms share, is not counted."
)
_CURVE: Final = ("objectives", "amount")
"""Groups whose gain is drawn against clips judged."""


def write_page(results: Sequence[Result], arms: Mapping[str, Arm], page: Path, images: Path) -> None:
    """Write the page and its pictures.

    Args:
        results: of one split, at least one.
        arms: the table of arms; results of arms that it does not have are left out.
        page: the Markdown file.
        images: folder of the pictures, beside the page.

    Raises:
        StoreError: a file cannot be written.
    """
    own = {name: each for name, each in together(results, "own").items() if name in arms and each.focus}
    grouped = {name: [each for each in own.values() if arms[each.name].group == name] for name in GROUPS}
    grouped = {name: sorted(found, key=lambda each: list(arms).index(each.name)) for name, found in grouped.items()}
    parts = [_head(results)]
    if own:
        make_folder(images)
        drawn = {GROUPS[name].title: found for name, found in grouped.items()}
        write_atomic(images / "forest.svg", forest(drawn).encode())
        parts.append(f"![Gain of every arm with its interval]({images.name}/forest.svg)")
        if curve := [each for name in _CURVE for each in grouped[name]]:
            write_atomic(images / "gain_by_clips.svg", gain_by_clips(curve).encode())
            parts.append(f"![Gain against clips judged]({images.name}/gain_by_clips.svg)")
    for name, found in grouped.items():
        if found:
            about = _wrapped(GROUPS[name].about)
            parts += [f"## {GROUPS[name].title}", about, arms_table(found, _versus(found, own, arms))]
            parts += [text for each in found for text in _everything(each)]
    for equal, (title, about) in EQUAL.items():
        same = {name: each for name, each in together(results, equal).items() if name in arms and each.focus}
        if same:
            in_order = [same[name] for name in arms if name in same]
            parts += [f"## {title}", _wrapped(about), arms_table(in_order, _versus(in_order, same, arms))]
    make_folder(page.parent)
    write_atomic(page, ("\n\n".join(parts) + "\n").encode())


def _versus(shown: Sequence[Outcome], known: Mapping[str, Outcome], arms: Mapping[str, Arm]) -> dict[str, Outcome]:
    """The arm that each is compared with, where that one was run."""
    wanted = {each.name: arms[each.name].versus for each in shown}
    return {name: known[other] for name, other in wanted.items() if other in known}


def _everything(outcome: Outcome) -> tuple[str, ...]:
    """The table of all dimensions, for arms that measured more than their focus."""
    if all(name in each.focus for each in outcome.results for name in each.dimensions):
        return ()
    return f"### Every dimension: {outcome.name}", dimensions_table(outcome)


def _head(results: Sequence[Result]) -> str:
    splits, seeds = ({getattr(each, name) for each in results} for name in ("split", "seed"))
    commits = sorted({(each.commit or "unknown")[:12] for each in results})
    machines = sorted({each.machine for each in results})
    return "# Results\n\n" + _wrapped(
        f"Made by `python -m lab.results --write` from `lab/outcomes`; {', '.join(sorted(splits))} prompts; seeds "
        f"{', '.join(map(str, sorted(seeds)))}; run at commits {', '.join(commits)} on {'; '.join(machines)}. {_HOW}"
    )


def _wrapped(paragraph: str) -> str:
    """A paragraph in lines of at most 116 characters."""
    return textwrap.fill(paragraph, 116, break_long_words=False, break_on_hyphens=False)
