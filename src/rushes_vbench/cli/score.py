"""What `rushes vbench score` and `compare` do: they call the library, show progress, and print the results."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Final

from rushes.cli.show import Column, say, show_json, show_table
from rushes.display.words import readable
from rushes.errors import Unfinished, command

if TYPE_CHECKING:
    from rushes_vbench.cli.app import ScoreOptions
    from rushes_vbench.scoring.records import FolderScores, ScoredDimension

RESULT: Final = "scores.json"
_SHOWN: Final = 3
"""Reasons printed of each dimension."""
_LONGEST_NAME: Final = 60
"""Longest file name that is printed, characters."""
_LONGEST_TITLE: Final = 12
"""Longest name of a model that stands above a column, characters."""


def score_clips_in(options: ScoreOptions) -> None:
    """Score a folder and print the result.

    Raises:
        Unfinished: some clips failed in passing; the result is printed without them.
        UserError: the folder, the suite or a model cannot be used.
        Stopped: Ctrl-C; what was scored until then is kept.
    """
    from rushes.execute.display import ProgressDisplay
    from rushes_vbench.catalogue import named
    from rushes_vbench.cli.work import read_suite_aloud
    from rushes_vbench.placing import shown_name
    from rushes_vbench.scoring.pieces import find_clips
    from rushes_vbench.scoring.rules import read_scoring
    from rushes_vbench.scoring.score import Job, score_folder
    from rushes_vbench.scoring.shelf import opened_shelf, shelf_of

    wanted = [named(spelling) for spelling in options.dimension or ()]
    profile = [] if options.profile is None else [f"measure.measurer.options.profile={options.profile.value}"]
    scoring = read_scoring(options.recipe, [*(options.set_ or ()), *profile], options.suite)
    suite = read_suite_aloud(scoring.measurer.suite, sys.stderr)
    found = find_clips(options.folder, suite, wanted)
    out = options.out or shelf_of(options.folder)
    job = Job(options.folder, shown_name(options.folder.resolve().name), suite, found, scoring)
    with opened_shelf(out, options.folder) as shelf, ProgressDisplay() as progress:
        say(f"scores are kept in {out}; Ctrl-C stops, and the same command goes on", sys.stderr)
        shelf.remember(shown_name(_typed(options)))
        if shelf.healed:
            say(f"warning: {shelf.healed} in {out}: what is lost is scored again", sys.stderr)
        result = score_folder(job, shelf, progress)
        shelf.keep(result)
    if options.as_json:
        show_json(result.model_dump(mode="json"))
    else:
        show_scores(result, out)
    if result.num_failed:
        raise Unfinished(
            f"{result.num_failed} clips failed in passing and have no score yet",
            next_step="run the same command again: it tries them again, and nothing else",
        )


def _typed(options: ScoreOptions) -> str:
    """The command with these options, as it can be typed."""
    given: list[tuple[str, object]] = [("--suite", options.suite), ("--recipe", options.recipe)]
    given += [("--set", each) for each in options.set_ or ()]
    given += [("--profile", options.profile and options.profile.value), ("--out", options.out)]
    given += [("--dimension", each) for each in options.dimension or ()]
    words = [word for name, value in given if value is not None for word in (name, value)]
    return command("vbench", "score", options.folder, *words)


def show_scores(result: FolderScores, out: Path) -> None:
    """Print the scores of a folder with their coverage, and why clips have none.

    Args:
        result: of a folder.
        out: where it is kept.
    """
    rules = {"compat": "the official rules, quirks included", "fixed": "the rules with known defects repaired"}
    say(f"{result.model}: VBench-2.0, {rules[result.profile]} ({result.profile}); not leaderboard figures")
    titles = ("score", "95 %\ninterval", "n/a\nas 0", "clips\nfound", "scored", "n/a", "not\nscored")
    columns = [Column("dimension"), *(Column(title, "right", is_whole=True) for title in titles)]
    show_table(columns, [_row(each) for each in result.dimensions])
    _say_totals(result)
    if any(each.num_not_applicable for each in result.dimensions):
        say(
            "n/a: the dimension has nothing to measure in the clip, -1 in official files; such clips are left out of "
            "the score, and count as 0 in the column n/a as 0."
        )
    for each in result.dimensions:
        for reason in each.reasons[:_SHOWN]:
            say(f"{readable(each.dimension)}: {reason.num} without a score: {reason.text}")
        if (num_more := len(each.reasons) - _SHOWN) > 0:
            say(f"{readable(each.dimension)}: and {num_more} more reasons; {RESULT} lists them")
    if any(reason.text.startswith(f"{each.dimension} needs ") for each in result.dimensions for reason in each.reasons):
        say("Name models in a recipe (--recipe) or with --set, as docs/vbench_score.md shows; scores so far are kept.")
    _say_files(result)
    say(f"result: {out / RESULT}; compare it with another: {command('vbench', 'compare', out, 'OTHER')}")


def _row(each: ScoredDimension) -> tuple[str, ...]:
    interval = "-" if each.low is None or each.high is None else f"{100 * each.low:.1f} to {100 * each.high:.1f}"
    lost = each.num_unscored + each.num_failed
    return (
        readable(each.dimension),
        _points(each.score),
        interval,
        _points(each.covered),
        f"{each.num_files}/{each.num_files_expected}",
        f"{each.num_scored}/{each.num_units}",
        str(each.num_not_applicable or ""),
        str(lost or ""),
    )


def _points(score: float | None) -> str:
    return "-" if score is None else f"{100 * score:.2f}"


def _say_totals(result: FolderScores) -> None:
    from rushes_vbench.catalogue import facts

    scored = [each for each in result.dimensions if each.score is not None]
    if len(scored) == len(facts()):
        for name, value in result.totals:
            say(f"{name}: {100 * value:.2f}")
    else:
        say(
            f"Dimensions with a score: {len(scored)} of {len(facts())}. Categories and total are not shown: the "
            "official script counts what is missing as 0."
        )


def _say_files(result: FolderScores) -> None:
    from rushes_vbench.cli.work import say_some

    for each in result.dimensions:
        if each.missing:
            of = f"{len(each.missing)} of {each.num_files_expected} clips are missing"
            first = shorten(each.missing[0], _LONGEST_NAME, placeholder="...")
            say(f"{readable(each.dimension)}: {of}, for example {first!r}; {RESULT} lists them")
    say_some("names repaired", [f"{damaged} -> {exact}" for damaged, exact in result.repaired])
    say_some("not used, since the clip is there under its exact name or another", result.doubles)
    say_some("not of the suite, left out", result.unknown)


# ---------------------------------------------------------------------------------------------- two models


def compare_scores(a: str, b: str, *, with_published: bool, as_json: bool) -> None:
    """Compare two scored models and print both and their paired gains.

    Raises:
        InputError: one of them was never scored, or not to the end.
        StoreError: a run is damaged.
    """
    from rushes_vbench.cli.show import show_scorecard
    from rushes_vbench.published import published
    from rushes_vbench.scoring.compare import compare_sides, read_side

    names = _names(a, b)
    card = compare_sides(read_side(a), read_side(b), names)
    if as_json:
        show_json(card.model_dump(mode="json"))
        return
    titles = names if max(map(len, names)) <= _LONGEST_TITLE else ("A", "B")
    if titles != names:
        say(f"A: {names[0]}")
        say(f"B: {names[1]}")
    show_scorecard(card, published() if with_published else None, titles)


def _names(a: str, b: str) -> tuple[str, str]:
    """Of two models in tables: the last part of their paths, or the whole paths if these are the same."""
    one, other = (Path(name).name.removesuffix(".scores") or name for name in (a, b))
    return (one, other) if one != other else (a, b)
