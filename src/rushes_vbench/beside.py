"""Official results kept in a run, and shown beside what the run measured itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rushes.records import Clip, Measurement, Prompt
from rushes.report.data import Missing, OfficialRow
from rushes.store.run import Run
from rushes_vbench.catalogue import facts
from rushes_vbench.results import OfficialDimension, OfficialResults
from rushes_vbench.values import DimensionValues, values_of_run

_NAMES: Final = ("vbench-official-base", "vbench-official-tuned")
"""Where they lie among the run's derived records."""


def keep_official(run: Run, base: OfficialResults, tuned: OfficialResults | None = None) -> None:
    """Keep results in a run; earlier ones of the same model are replaced."""
    for name, results in zip(_NAMES, (base, tuned), strict=True):
        if results is not None:
            run.write_derived(name, [results])


def official_rows(
    run: Run,
    before: Iterable[Measurement],
    after: Iterable[Measurement],
    prompts: Mapping[str, Prompt],
    clips: Mapping[str, Clip],
) -> tuple[OfficialRow, ...] | Missing:
    """The official results that a run keeps, beside its own measurements.

    Args:
        run: the run.
        before: its measurements of the untouched model.
        after: those of the tuned model.
        prompts: by key, at least those measured.
        clips: by key, at least those measured.
    """
    official = [_kept(run, name) for name in _NAMES]
    if not any(official):
        return Missing("no official VBench-2.0 results were imported; rushes vbench import RESULTS --run HOME does")
    own = [
        values_of_run(side, prompts, clips, model=name).dimensions
        for side, name in ((before, "base"), (after, "tuned"))
    ]
    return tuple(
        OfficialRow(
            dimension=name,
            official_before=_official(official[0].get(name)),
            official_after=_official(official[1].get(name)),
            own_before=_mean(own[0].get(name)),
            own_after=_mean(own[1].get(name)),
            doubts=tuple(
                f"{which}: {doubt}"
                for which, found in zip(("before", "after"), official, strict=True)
                if name in found
                for doubt in found[name].doubts
            ),
        )
        for name in facts()
        if any(name in found for found in official)
    )


def _kept(run: Run, name: str) -> dict[str, OfficialDimension]:
    found = run.read_derived(name, OfficialResults) or []
    return {each.dimension: each for results in found for each in results.dimensions}


def _official(found: OfficialDimension | None) -> tuple[float, float] | None:
    return None if found is None else _mean(found.values)


def _mean(values: DimensionValues | None) -> tuple[float, float] | None:
    """Mean and coverage; None where nothing has a value."""
    return None if values is None or values.mean is None else (values.mean, values.coverage)
