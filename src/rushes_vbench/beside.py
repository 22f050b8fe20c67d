"""Official results stored in a run, and shown next to the run's own measurements."""

from __future__ import annotations

from typing import Final

from rushes.display.words import percent, readable, score, signed
from rushes.report.section import Section, Sources
from rushes.store.run import Run
from rushes_vbench.catalogue import facts
from rushes_vbench.results import OfficialDimension, OfficialResults
from rushes_vbench.scorecard import paired_gain
from rushes_vbench.values import DimensionValues, values_of_run

_NAMES: Final = ("vbench-official-base", "vbench-official-tuned")
"""Their names among the run's derived records."""


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
            *_three(*(_values_of(found.get(name)) for found in official)),
            *_three(*(found.get(name) for found in own)),
        )
        for name in names
    ]
    return Section(
        title="Official VBench-2.0 results",
        lead="Scores of the official code for the exported clips, recomputed from its rows, next to this run's own "
        "measurements. In brackets: the share of clips that a score covers, if it is not all of them. Paired gains are "
        "over the clips that have a value before and after, and need not be the difference of two scores.",
        columns=(
            "Dimension",
            "Official before",
            "Official after",
            "Paired gain",
            "Own before",
            "Own after",
            "Paired gain",
        ),
        rows=tuple(rows),
        notes=tuple(
            f"{readable(name)}, {which}: {doubt}"
            for name in names
            for which, found in zip(("before", "after"), official, strict=True)
            if name in found
            for doubt in found[name].doubts
        ),
    )


def _three(before: DimensionValues | None, after: DimensionValues | None) -> tuple[str, str, str]:
    """Cells for a score before, after, and the paired gain."""
    gain = None if before is None or after is None else paired_gain(before, after)
    return _cell(before), _cell(after), "" if gain is None else signed(gain)


def _cell(values: DimensionValues | None) -> str:
    if values is None or values.mean is None:
        return "not measured"
    return score(values.mean) if values.coverage == 1 else f"{score(values.mean)} ({percent(values.coverage)})"


def _kept(run: Run, name: str) -> dict[str, OfficialDimension]:
    found = run.read_derived(name, OfficialResults) or []
    return {each.dimension: each for results in found for each in results.dimensions}


def _values_of(found: OfficialDimension | None) -> DimensionValues | None:
    return None if found is None else found.values
