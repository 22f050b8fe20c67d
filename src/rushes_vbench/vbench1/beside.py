"""VBench-1 results stored in a run, and their section of its report, apart from everything of VBench-2.0."""

from __future__ import annotations

from typing import Final

from rushes.display.words import MINUS, readable
from rushes.report.section import Section, Sources
from rushes.store.run import Run
from rushes_vbench.vbench1.facts import BENCHMARK, SHARES, facts
from rushes_vbench.vbench1.results import Results

_NAMES: Final = ("vbench1-official-base", "vbench1-official-tuned")
"""Their names among the run's derived records."""


def keep(run: Run, base: Results, tuned: Results | None = None) -> None:
    """Store results in a run; earlier ones of the same model are replaced."""
    for name, results in zip(_NAMES, (base, tuned), strict=True):
        if results is not None:
            run.write_derived(name, [results])


def vbench1_section(sources: Sources) -> Section | None:
    """The VBench-1 results stored in a run; None if none were imported."""
    before, after = (next(iter(sources.run.read_derived(name, Results) or []), None) for name in _NAMES)
    if before is None and after is None:
        return None
    sides = [dict[str, float]() if side is None else side.scores | _totals(side) for side in (before, after)]
    names = [name for name in (*facts(), *(f"{group} score" for group in (*SHARES, "total"))) if _in(name, sides)]
    return Section(
        title=f"Official {BENCHMARK} results",
        lead=f"Scores of the official {BENCHMARK} code, as its files state them. {BENCHMARK} is another benchmark than "
        "VBench-2.0: no number here can be compared with one of the other. Quality, semantic and total score are "
        "normalised and weighed as in its official script.",
        columns=("Dimension", "Before", "After", "Gain"),
        rows=tuple((readable(name), *_cells(sides[0].get(name), sides[1].get(name))) for name in names),
        notes=tuple(
            f"{readable(each.dimension)}, {which}: {doubt}"
            for which, side in (("before", before), ("after", after))
            if side is not None
            for each in side.dimensions
            for doubt in each.doubts
        ),
    )


def _totals(results: Results) -> dict[str, float]:
    return {f"{group} score": value for group, value in results.totals.items()}


def _in(name: str, sides: list[dict[str, float]]) -> bool:
    return any(name in side for side in sides)


def _cells(before: float | None, after: float | None) -> tuple[str, str, str]:
    gain = "" if before is None or after is None else f"{100 * (after - before):+.2f}".replace("-", MINUS)
    return _cell(before), _cell(after), gain


def _cell(value: float | None) -> str:
    """Two decimals, as papers give them; a normalised total can be negative."""
    return "not measured" if value is None else f"{100 * value:.2f}".replace("-", MINUS)
