"""What `rushes vbench import` prints and stores of VBench-1 results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rushes.cli.show import Column, say, show_json, show_table
from rushes.display.words import readable, rule
from rushes.errors import InputError, command
from rushes.store.run import Run
from rushes_vbench.vbench1.beside import keep
from rushes_vbench.vbench1.comparison import Paired, compare
from rushes_vbench.vbench1.facts import BENCHMARK, SHARES, facts, normalised
from rushes_vbench.vbench1.results import Results, read_results


def import_results(
    base: Sequence[Path], tuned: Sequence[Path], *, method: str, home: Path | None, as_json: bool
) -> None:
    """Read VBench-1 results of one or two models, print them, and store them in a run if requested.

    Raises:
        InputError: see `read_results`.
    """
    sides = [
        read_results(paths, model=name if tuned else None, method=method)
        for name, paths in (("base", base), ("tuned", tuned))
        if paths
    ]
    paired = compare(sides[0], sides[1]) if len(sides) == 2 else ()
    if home is not None:
        with Run.view(home) as run:
            keep(run, *sides)
    if as_json:
        show_json(
            {
                "benchmark": BENCHMARK,
                "results": [{**side.model_dump(mode="json"), "totals": side.totals} for side in sides],
                "paired": [each.model_dump(mode="json") for each in paired],
            }
        )
        return
    for side in sides:
        show_results(side)
    if len(sides) == 2:
        show_comparison(sides[0], sides[1], paired)
    if home is not None:
        say(f"stored in {home}; show them in its report: {command('report', home, '--rebuild')}")


def refuse_options(suite: str | None, *, published: bool) -> None:
    """Options of the command that are about VBench-2.0 alone.

    Raises:
        InputError: one of them is given.
    """
    for name, is_given in (("--suite", suite is not None), ("--published", published)):
        if is_given:
            raise InputError(
                f"{name} is about VBench-2.0, and these are {BENCHMARK} results", next_step=f"leave out {name}"
            )


def show_results(results: Results) -> None:
    """Print what official files state, what enters the totals, and every doubt; points of 100."""
    method = f" ({results.method})" if results.method else ""
    say(f"{BENCHMARK}: official results of {results.model}{method}; not comparable with VBench-2.0")
    titles = ("stated", "mean of rows", "normalised", "rows", "doubts")
    columns = [Column("dimension"), Column("part of"), *(Column(title, "right") for title in titles)]
    rows = [
        (
            readable(each.dimension),
            facts()[each.dimension].group,
            _points(each.stated),
            _points(each.mean),
            _points(None if each.stated is None else normalised(each.dimension, each.stated)),
            str(len(each.rows) or ""),
            str(len(each.doubts) or ""),
        )
        for each in results.dimensions
    ]
    show_table(columns, rows)
    for each in results.dimensions:
        for doubt in each.doubts:
            say(f"doubt: {readable(each.dimension)}: {doubt}")
    for text in results.ignored:
        say(f"ignored: {text}")
    for group in (*SHARES, "total"):
        if group in results.totals:
            say(f"{BENCHMARK} {group} score: {_points(results.totals[group])}")
    _say_missing(results)


def _say_missing(results: Results) -> None:
    missing = [readable(name) for name in facts() if name not in results.scores]
    if missing:
        say(
            f"without a score: {', '.join(missing)}. A quality, semantic or total score that needs one of them is not "
            "shown; the official script would count it as 0."
        )


def show_comparison(base: Results, tuned: Results, paired: Sequence[Paired]) -> None:
    """Print the stated scores of two models, and for dimensions with rows what the paired clips say."""
    columns = [Column("dimension"), *(Column(t, "right") for t in ("base", "tuned", "gain", "paired gain", "p (Holm)"))]
    columns.append(Column(""))
    by_name, rows = {each.dimension: each for each in paired}, []
    for name in facts():
        before, after, found = base.scores.get(name), tuned.scores.get(name), by_name.get(name)
        cells = ("", "", "") if found is None else _paired_cells(found)
        rows.append((readable(name), *_three(before, after), *cells))
    for group in (*SHARES, "total"):
        rows.append((f"{group} score", *_three(base.totals.get(group), tuned.totals.get(group)), "", "", ""))
    say(f"{BENCHMARK}: base and tuned")
    show_table(columns, rows, styles={"better": "green", "WORSE": "red"})
    say(
        "Gain: of the stated scores. Paired gain: over the clips of the same prompt and number that both models have, "
        "with its 95 % interval over prompts."
    )
    if paired:
        say(rule(len(paired)))


def _three(before: float | None, after: float | None) -> tuple[str, str, str]:
    gain = "-" if before is None or after is None else f"{100 * (after - before):+.2f}"
    return _points(before), _points(after), gain


def _paired_cells(found: Paired) -> tuple[str, str, str]:
    gain = f"{100 * found.gain:+.2f} ({100 * found.low:+.2f} to {100 * found.high:+.2f})"
    return gain, f"{found.p_holm:.3f}", {"better": "better", "worse": "WORSE"}.get(found.verdict, "")


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"
