"""Tables of `rushes vbench`: dimensions, official results, the scorecard in the paper's shape, what can be seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rushes.cli.show import Column, say, show_table
from rushes.display.words import readable, rule
from rushes.report.claims import loss_sentences

if TYPE_CHECKING:
    from rushes_vbench.published import Published
    from rushes_vbench.results import OfficialResults
    from rushes_vbench.scorecard import VBenchScorecard


def show_dimensions() -> None:
    """Print the catalogue."""
    from rushes_vbench.catalogue import dimensions, facts, share_of_total

    kinds = {
        "questions": "VLM",
        "questions_and_text": "VLM, text judge",
        "tracker": "tracker, flow",
        "detector": "detectors",
        "features": "features",
    }
    columns = [Column("dimension"), Column("category", is_whole=True)]
    columns += [Column(title, "right", is_whole=True) for title in ("prompts", "clips")]
    columns += [Column("scored by", is_whole=True), Column("of\ntotal", "right", is_whole=True)]
    rows = []
    loaded: dict[str, list[str]] = {}
    for each in dimensions():
        fact = facts()[each.name]
        share = f"{share_of_total(each.name):.2%}"
        numbers = str(fact.num_prompts), str(fact.num_videos)
        rows.append((readable(each.name), each.category, *numbers, kinds[fact.judge], share))
        for model in fact.models:
            loaded.setdefault(f"{model.name} ({model.licence})", []).append(readable(each.name))
    show_table(columns, rows)
    say("What the official scoring loads:")
    for named, served in loaded.items():
        say(f"  {named}: {', '.join(served)}")
    say(
        "Own scoring covers Camera Motion without weights. Multi-View Consistency counts as not covered without a "
        "tracker with weights:\nit needs an orbit, and few are found (docs/vbench_metrics.md)."
    )


def show_power(num_prompts: int | None, num_clips: int | None, score: float, likeness: float, same_seed: float) -> None:
    """Print the smallest gain that can be seen: for one size, or for the suite's own per dimension."""
    from rushes.statistics.power import smallest_gain
    from rushes_vbench.catalogue import facts

    sizes = {name: (fact.num_prompts, fact.num_samples) for name, fact in facts().items() if not fact.equal_lengths}
    if num_prompts is not None:
        sizes = {"any dimension": (num_prompts, 3)}
    if num_clips is not None:
        sizes = {name: (n, num_clips) for name, (n, _) in sizes.items()}
    columns = [Column("dimension"), Column("prompts x clips", "right"), Column("points, alone", "right")]
    columns.append(Column("points, among 18", "right"))
    rows = []
    for name, (n, m) in sizes.items():
        alone, strict = (
            smallest_gain(n, m, score=score, likeness=likeness, same_seed=same_seed, num_compared=num_compared)
            for num_compared in (1, len(facts()))
        )
        rows.append((readable(name), f"{n} x {m}", _points(alone), _points(strict)))
    show_table(columns, rows)
    first = next(iter(sizes.values()))
    loose, tied = (
        _points(smallest_gain(*first, score=score, likeness=likeness, same_seed=part)) for part in (0.0, 0.9)
    )
    say(
        "Smallest true gain found with probability 0.8. This is an approximation, good from about 50 prompts; with 32 "
        f"the gain is found 71 to 80 times in 100, with 16 55 to 60 times.\nAssumed, not measured: clips are right or "
        f"wrong, {score:.0%} are right, two clips of one prompt correlate by {likeness:g}, the same seed before and "
        f"after fixes {same_seed:.0%} of the rest, and all prompts gain alike. If the seed fixed nothing, the first "
        f"line, alone, would say {loose}; if it fixed 90%, {tied}. A scorecard says what its own clips could show.\n"
        "Among 18: when all dimensions are tested together (Holm's strictest step). Smaller gains may be real and will "
        "mostly not be seen."
    )


def _points(gain: float) -> str:
    return f"{100 * gain:.1f}" if math.isfinite(gain) else "too few prompts"


# ---------------------------------------------------------------------------------------------- official results


def show_results(results: OfficialResults) -> None:
    """Print what official files state, what their rows give, and every doubt."""
    from rushes_vbench.catalogue import facts
    from rushes_vbench.totals import official_totals, sum_intervals

    say(f"official results of {results.model}{f' ({results.method})' if results.method else ''}")
    titles = ("stated", "recomputed", "n/a\nas 0", "coverage", "doubts")
    columns = [Column("dimension"), *(Column(title, "right", is_whole=True) for title in titles)]
    rows = []
    for each in results.dimensions:
        values = each.values
        stated = "-" if each.stated is None else f"{100 * each.stated:.2f}"
        mean = "-" if values is None or values.mean is None else f"{100 * values.mean:.2f}"
        covered = "-" if values is None else f"{100 * values.covered_mean:.2f}"
        coverage = "-" if values is None else f"{values.num_valid}/{len(values.values)}"
        rows.append((readable(each.dimension), stated, mean, covered, coverage, str(len(each.doubts) or "")))
    show_table(columns, rows)
    for each in results.dimensions:
        for doubt in each.doubts:
            say(f"doubt: {readable(each.dimension)}: {doubt}")
    for text in results.ignored:
        say(f"ignored: {text}")
    found = results.values()
    means = {name: values.mean for name, values in found.dimensions.items() if values.mean is not None}
    intervals = sum_intervals(found)
    for name, value in official_totals(means).items():
        range_ = intervals.get(name)
        said = f" (95 % interval {100 * range_.low:.1f} to {100 * range_.high:.1f})" if range_ else ""
        say(f"{name}: {100 * value:.2f}{said}")
    if len(means) < len(facts()):
        say(f"({len(means)} of {len(facts())} dimensions; as in the official script, the others count as 0)")


# ---------------------------------------------------------------------------------------------- two models


def show_scorecard(
    card: VBenchScorecard, beside: Published | None = None, names: tuple[str, str] = ("base", "tuned")
) -> None:
    """Print a comparison: each model's own score, and beside it the paired gain; points of 100.

    Args:
        card: two models on the benchmark.
        beside: a published table to show in columns of its own, marked as such; None for none.
        names: of the two models' columns.
    """
    titles = [*names, "paired\ngain", "95 %\ninterval", "p\n(Holm)"]
    titles += [f"[{beside.base}]", f"[{beside.tuned}]", "[gain]"] if beside else []
    columns = [Column("dimension"), *(Column(title, "right", is_whole=True) for title in titles), Column("")]
    rows = []
    for row in card.rows:
        published = _published_cells(beside, row.dimension) if beside else ()
        word = {"better": "better", "worse": "WORSE"}.get(row.verdict, "")
        paired = (*_gain(row.gain, row.gain_low, row.gain_high), _p(row.p_holm))
        rows.append((readable(row.dimension), *_scores(row.base, row.tuned), *paired, *published, word))
    for each in (each for each in card.sums if each.num_dimensions > 1):
        name = f"{each.name} ({each.num_dimensions})" if each.name.startswith("Mean") else each.name
        published = _published_mean(beside, each.name, {row.dimension for row in card.rows}) if beside else ()
        paired = (*_gain(each.gain, each.gain_low, each.gain_high), "")
        rows.append((name, *_scores(each.base, each.tuned), *paired, *published, ""))
    for alone in card.alone:
        if alone.base is not None or alone.tuned is not None:
            blank = ("",) * (len(columns) - 3)
            rows.append((readable(alone.dimension), *_scores(alone.base, alone.tuned), *blank))
    show_table(columns, rows, styles={"better": "green", "WORSE": "red"})
    _say_more(card, beside, names)


def _scores(base: float | None, tuned: float | None) -> tuple[str, str]:
    one, other = ("-" if score is None else f"{100 * score:.2f}" for score in (base, tuned))
    return one, other


def _gain(gain: float, low: float, high: float) -> tuple[str, str]:
    return f"{100 * gain:+.2f}", f"{100 * low:+.1f} to {100 * high:+.1f}"


def _p(p_holm: float) -> str:
    return "<0.001" if p_holm < 0.001 else f"{p_holm:.3f}"


def _say_more(card: VBenchScorecard, beside: Published | None, names: tuple[str, str]) -> None:
    one, other = names
    say(
        f"{one}, {other}: each model's own score by the official rule, the mean over its clips that have a value. "
        f"Paired gain: {other} minus {one} on the prompts and samples that both have a value for, averaged by prompt; "
        "it need not be the difference of the two scores."
    )
    partly = [row for row in card.rows if min(row.base_coverage, row.tuned_coverage) < 1.0]
    if partly:
        named = (f"{readable(row.dimension)} {row.base_coverage:.1%}, {row.tuned_coverage:.1%}" for row in partly)
        say(f"Clips that have a value, {one} and {other}, where not all have one: {'; '.join(named)}.")
    if card.rows:
        say(rule(len(card.rows)))
        for sentence in loss_sentences(card.rows):
            say(sentence)
        _say_detectable(card)
    reasons: dict[str, list[str]] = {}
    for each in card.alone:
        reasons.setdefault(each.reason, []).append(readable(each.dimension))
    for reason, dimensions in reasons.items():
        say(f"not compared: {', '.join(dimensions)}: {reason}")
    for note in card.notes:
        say(f"note: {note}")
    if beside is not None:
        from rushes_vbench.published import WARNING

        say(f"[columns in brackets]: {WARNING}: {beside.source}, {beside.address}; {beside.note}")


def _say_detectable(card: VBenchScorecard) -> None:
    """Which gains these clips could have shown; a dimension in which they could show none is named."""
    seen = [row.detectable for row in card.rows if row.detectable is not None]
    if seen:
        low, high = (f"{100 * gain:.1f}" for gain in (min(seen), max(seen)))
        gains = f"{low} points" if low == high else f"{low} to {high} points"
        say(f"With these clips a single dimension can show true gains from {gains} upwards.")
    none = [readable(row.dimension) for row in card.rows if row.detectable is None and row.gain_low < row.gain_high]
    if none:
        say(f"Too few prompts, or none that differ, to say which gain could be shown: {', '.join(none)}.")


def _published_cells(beside: Published, dimension: str) -> tuple[str, str, str]:
    base, tuned = (beside.score(dimension, column) for column in (beside.base, beside.tuned))
    if base is None or tuned is None:
        return "-", "-", "-"
    return f"{100 * base:.2f}", f"{100 * tuned:.2f}", f"{100 * (tuned - base):+.2f}"


def _published_mean(beside: Published, name: str, measured: set[str]) -> tuple[str, str, str]:
    """The published means, beside a mean over exactly the same dimensions."""
    covered = measured - ({"Diversity"} if name == "Mean without Diversity" else set())
    if not name.startswith("Mean") or covered != beside.rows.keys():
        return "", "", ""
    base, tuned = (
        sum(row[beside.columns.index(column)] for row in beside.rows.values()) / len(beside.rows)
        for column in (beside.base, beside.tuned)
    )
    return f"{base:.2f}", f"{tuned:.2f}", f"{tuned - base:+.2f}"
