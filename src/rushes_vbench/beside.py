"""Official results stored in a run, and shown next to the run's own measurements."""

from __future__ import annotations

from typing import Final

from rushes.display.words import percent, readable, score, signed
from rushes.report.section import Section, Sources
from rushes.store.run import Run
from rushes_vbench.catalogue import facts
from rushes_vbench.results import OfficialDimension, OfficialResults
from rushes_vbench.values import DimensionValues, values_of_run

_NAMES: Final = ("vbench-official-base", "vbench-official-tuned")
"""Their names among the run's derived records."""
Value = tuple[float, float]
"""Mean score, 0 to 1, and the share of clips that it covers."""


def keep_official(run: Run, base: OfficialResults, tuned: OfficialResults | None = None) -> None:
    """Store results in a run; earlier ones of the same model are replaced."""
    for name, results in zip(_NAMES, (base, tuned), strict=True):
        if results is not None:
            run.write_derived(name, [results])


def official_section(sources: Sources) -> Section | None:
    """The official results stored in a run, next to its own measurements; None if none were imported."""
    official = [_kept(sources.run, name) for name in _NAMES]
    if not any(official):
        return None
    own = [
        values_of_run(side, sources.prompts, sources.clips, model=name).dimensions
        for side, name in ((sources.before, "base"), (sources.after, "tuned"))
    ]
    names = [name for name in facts() if any(name in found for found in official)]
    rows = [
        (
            readable(name),
            *_three(*(_official(found.get(name)) for found in official)),
            *_three(*(_mean(found.get(name)) for found in own)),
        )
        for name in names
    ]
    return Section(
        title="Official VBench-2.0 results",
        lead="Scores of the official code for the exported clips, recomputed from its rows, next to this run's own "
        "measurements. In brackets: the share of clips that a score covers, if it is not all of them.",
        columns=("Dimension", "Official before", "Official after", "Gain", "Own before", "Own after", "Gain"),
        rows=tuple(rows),
        notes=tuple(
            f"{readable(name)}, {which}: {doubt}"
            for name in names
            for which, found in zip(("before", "after"), official, strict=True)
            if name in found
            for doubt in found[name].doubts
        ),
    )


def _three(before: Value | None, after: Value | None) -> tuple[str, str, str]:
    """Cells for a score before, after, and the gain."""
    gain = "" if before is None or after is None else signed(after[0] - before[0])
    return _cell(before), _cell(after), gain


def _cell(value: Value | None) -> str:
    if value is None:
        return "not measured"
    mean, coverage = value
    return score(mean) if coverage == 1 else f"{score(mean)} ({percent(coverage)})"


def _kept(run: Run, name: str) -> dict[str, OfficialDimension]:
    found = run.read_derived(name, OfficialResults) or []
    return {each.dimension: each for results in found for each in results.dimensions}


def _official(found: OfficialDimension | None) -> Value | None:
    return None if found is None else _mean(found.values)


def _mean(values: DimensionValues | None) -> Value | None:
    """Mean and coverage; None if nothing has a value."""
    return None if values is None or values.mean is None else (values.mean, values.coverage)
