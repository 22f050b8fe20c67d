"""The page of results with its pictures, and the page of full tables behind it: made from outcomes alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, get_args

from lab.arms import GROUPS, Arm
from lab.budgets import Equal
from lab.outcomes import Outcome, Result, together
from lab.pictures import forest, gain_by_clips
from lab.story import grouped_by, story, versus_of
from lab.tables import arms_table, budgets_table, dimensions_table, side_effects_table
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
    "are 95 % paired bootstrap over prompts; with several seeds they include the variance between these, and with one "
    "that of the arms which have several. Differences between arms are paired by seed and prompt. Verdicts are "
    "corrected for all rows of a table that have one (Holm, 5 %). A forward-equivalent is one pass of the transformer "
    "over one clip without gradients; a pass with gradients counts three. Minutes are those of sampling, judging and "
    "training. Probing and measuring, which all arms share, is not counted."
)
_EQUAL: Final = (
    "The focus gain in points, with its 95 % interval, of every arm that was also run at a budget that all share: as "
    "many clips judged as the demo has, as many optimiser steps, or as many forward-equivalents of sampling and "
    "training."
)
_CURVE: Final = ("objectives", "amount")
"""Groups whose gain is drawn against clips judged."""


def write_page(results: Sequence[Result], arms: Mapping[str, Arm], best: Sequence[str], page: Path) -> None:
    """Write the page, its pictures to `images` beside it, and the tables to a page of their own.

    Args:
        results: of one split, at least one.
        arms: the table of arms; results of arms that it does not have are left out.
        best: the two objectives that are varied.
        page: the Markdown file; the tables' has `_tables` at the end of its name.

    Raises:
        StoreError: a file cannot be written.
    """
    by_equal: dict[Equal, dict[str, Outcome]] = {}
    for equal in get_args(Equal):
        known = {name: each for name, each in together(results, equal).items() if name in arms and each.focus}
        by_equal[equal] = {name: known[name] for name in arms if name in known}
    tables, images = page.with_name(f"{page.stem}_tables{page.suffix}"), page.parent / "images"
    make_folder(images)
    parts = [_head("Results", results), *_pictures(by_equal["own"], arms, images)]
    parts += [
        "\n".join(_wrapped(f"- {each}", "  ") for each in story(by_equal["own"], arms, best)) or "Nothing was run."
    ]
    parts.append(_wrapped(f"Costs, side effects and every dimension: [the full tables]({tables.name})."))
    if budgets := budgets_table(by_equal, list(arms)):
        parts += ["## At equal cost", _wrapped(_EQUAL), budgets]
    write_atomic(page, ("\n\n".join(parts) + "\n").encode())
    write_atomic(
        tables, ("\n\n".join([_head("Results: the full tables", results), *_tables(by_equal, arms)]) + "\n").encode()
    )


def _pictures(own: Mapping[str, Outcome], arms: Mapping[str, Arm], images: Path) -> Iterator[str]:
    """Draw them; what stands for them on the page."""
    grouped = grouped_by(own, arms)
    if own:
        write_atomic(
            images / "forest.svg", forest({GROUPS[name].title: each for name, each in grouped.items()}).encode()
        )
        yield f"![Gain of every arm with its interval]({images.name}/forest.svg)"
    if curve := [each for name in _CURVE for each in grouped[name]]:
        write_atomic(images / "gain_by_clips.svg", gain_by_clips(curve).encode())
        yield f"![Gain against clips judged]({images.name}/gain_by_clips.svg)"


def _tables(by_equal: Mapping[Equal, Mapping[str, Outcome]], arms: Mapping[str, Arm]) -> Iterator[str]:
    for name, found in grouped_by(by_equal["own"], arms).items():
        if found:
            yield f"## {GROUPS[name].title}"
            yield _wrapped(GROUPS[name].about)
            yield arms_table(found, versus_of(found, by_equal["own"], arms))
            if side := side_effects_table(found):
                yield side
            yield from (text for each in found for text in _everything(each))
    for equal, (title, about) in EQUAL.items():
        if same := by_equal[equal]:
            yield f"## {title}"
            yield _wrapped(about)
            yield arms_table([*same.values()], versus_of([*same.values()], same, arms))


def _everything(outcome: Outcome) -> tuple[str, ...]:
    """The table of all dimensions, for arms that measured more than their focus."""
    if all(name in each.focus for each in outcome.results for name in each.dimensions):
        return ()
    return f"### Every dimension: {outcome.name}", dimensions_table(outcome)


def _head(title: str, results: Sequence[Result]) -> str:
    splits, seeds = (sorted({getattr(each, name) for each in results}) for name in ("split", "seed"))
    commits = sorted({(each.commit or "unknown")[:12] for each in results})
    machines = sorted({each.machine for each in results})
    return f"# {title}\n\n" + _wrapped(
        f"Made by `python -m lab.results --write --split {splits[0]}` from `lab/outcomes`; {splits[0]} prompts; seeds "
        f"{', '.join(map(str, seeds))}; run at commits {', '.join(commits)} on {'; '.join(machines)}. {_HOW}"
    )


def _wrapped(paragraph: str, indent: str = "") -> str:
    """A paragraph in lines of at most 116 characters."""
    return textwrap.fill(paragraph, 116, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)
