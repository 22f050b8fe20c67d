"""Reads official VBench-1 result files: the stated scores, the clips' values, and any contradictions.

The form is that of VBench-2.0, `{dimension: [score, [{"video_path": ..., "video_results": ...}, ...]]}`. What counts is
the stated score: in several dimensions it is a mean over frames, which the rows do not hold.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from rushes.errors import InputError
from rushes.records import Record
from rushes.records.base import Count, Text
from rushes_vbench.catalogue import identifier as identifier_of_vbench2
from rushes_vbench.names import last_part, parse
from rushes_vbench.results import TOLERANCE, find_results, newest
from rushes_vbench.vbench1.facts import BENCHMARK, I2V, Facts, facts, identifier, totals

Cosine = Annotated[float, Field(ge=-1.0, le=1.0)]
"""A score from 0 to 1, or the cosine of a text and a clip."""


class Row(Record):
    """The value of one clip.

    Example:
        Row(prompt="a dog sits", sample=0, value=0.97)
    """

    prompt: Text
    """What its file name says of the prompt."""
    sample: Count
    """Which clip of the prompt."""
    value: Cosine
    """Its score, on the scale of the stated one."""


class DimensionScore(Record):
    """One dimension of an official evaluation.

    Example:
        DimensionScore(dimension="color", source="results_eval_results.json", stated=0.9,
                       rows=(Row(prompt="a red bus", sample=0, value=0.9),), doubts=("1 row; complete are 425",))
    """

    dimension: Text
    """Exact identifier of VBench-1."""
    source: Text
    """File that it was read from."""
    stated: Cosine | None
    """The score that the file states; None if it states none in the range of the dimension."""
    rows: tuple[Row, ...] = ()
    """The rows that could be read."""
    doubts: tuple[str, ...] = ()
    """Contradictions in the file, and with the official method."""

    @property
    def mean(self) -> float | None:
        """Mean over the clips; None without any."""
        return math.fsum(row.value for row in self.rows) / len(self.rows) if self.rows else None


class Results(Record):
    """Everything found in official VBench-1 result files of one model.

    Example:
        Results(model="my-model", method="repository 45e79ec", dimensions=())
    """

    benchmark: Literal["VBench-1"] = BENCHMARK
    """Marks the record, so that it is never taken for one of VBench-2.0."""
    model: Text
    """Name in tables."""
    method: str = ""
    """Version of the official code, from the user, since the files do not state it. Empty if unknown."""
    dimensions: tuple[DimensionScore, ...]
    """In the benchmark's order."""
    ignored: tuple[str, ...] = ()
    """Files without results, and why."""

    @property
    def scores(self) -> dict[str, float]:
        """The stated scores by dimension."""
        return {each.dimension: each.stated for each in self.dimensions if each.stated is not None}

    @property
    def totals(self) -> dict[str, float]:
        """Quality, semantic and total score, of those whose dimensions are all there."""
        return totals(self.scores)


def is_vbench1(paths: Sequence[Path]) -> bool:
    """True if these files are about VBench-1; False if none of its dimensions is in them.

    Raises:
        InputError: they cannot be read, are of VBench-I2V, or are of both VBench-1 and VBench-2.0.
    """
    names: set[str] = set()
    for path in paths:
        find_results(path, lambda name: names.add(name))
    if I2V & {name.casefold().replace(" ", "_") for name in names}:
        raise InputError(
            "these are results of VBench-I2V, which has other dimensions, prompts and weights",
            expected="results of VBench-1 or VBench-2.0 for text-to-video",
            got=sorted(names),
            next_step="leave these files out; totals of VBench-I2V come from its own script, cal_i2v_final_score.py",
        )
    first = sorted(name for name in names if identifier(name))
    second = sorted(name for name in names if identifier_of_vbench2(name))
    if first and second:
        raise InputError(
            "there are results of two benchmarks, whose scores must not be mixed",
            expected="results of VBench-1 or of VBench-2.0",
            got=f"{first[0]} of VBench-1 and {second[0]} of VBench-2.0",
            next_step="import the files of each by themselves",
        )
    return bool(first)


def read_results(paths: Sequence[Path], *, model: str | None = None, method: str = "") -> Results:
    """Read official VBench-1 results of one model.

    Args:
        paths: result files, folders of any depth with such files, or zip archives.
        model: name in tables; None for the name of the first file or folder.
        method: version of the official code, if the user knows it.

    Raises:
        InputError: there is nothing like a result file, or a dimension is in two of the places.
    """
    dimensions: dict[str, DimensionScore] = {}
    ignored: list[str] = []
    for path in paths:
        found, left = find_results(path, identifier)
        ignored += left
        if twice := sorted(dimensions.keys() & found.keys()):
            raise InputError(
                f"{twice[0]} is in more than one of the named places", next_step="name each dimension once"
            )
        for name, stated in found.items():
            given = newest(stated)
            dimensions[name] = _dimension(name, given.source, given.score, given.rows, given.doubts)
    if not dimensions:
        raise InputError(
            f"there are no {BENCHMARK} results in {', '.join(map(str, paths))}",
            expected="..._eval_results.json files as the official evaluator writes them, or a folder or zip of them",
            next_step="name the folder that was given to evaluate.py as --output_path",
        )
    return Results(
        model=model or paths[0].stem,
        method=method,
        dimensions=tuple(dimensions[name] for name in facts() if name in dimensions),
        ignored=tuple(ignored),
    )


def _dimension(
    name: str, source: str, score: float | None, rows: Sequence[Any] | None, doubts: Iterable[str]
) -> DimensionScore:
    fact = facts()[name]
    said = [*doubts]
    if score is None:
        said.append("states no numeric score")
    elif not fact.lowest <= score <= 1.0:
        percent = "; if it is a percentage, divide it by 100" if 1.0 < score <= 100.0 else ""
        said.append(f"states {score!r}, outside {fact.lowest:g} to 1, which is left out{percent}")
        score = None
    faults: Counter[str] = Counter()
    read = tuple(row for given in rows or () if (row := _row(given, fact, faults)) is not None)
    said += [f"{_rows(num)}: {what}" for what, num in faults.items()]
    found = DimensionScore(dimension=name, source=source, stated=score, rows=read)
    said += [*_about_rows(found, None if rows is None else len(rows), fact)]
    return found.model_copy(update={"doubts": tuple(said)})


def _rows(num: int) -> str:
    return "1 row" if num == 1 else f"{num} rows"


_NO_NAME: Final = "no file name; left out"
_NO_VALUE: Final = "no value in the range of the dimension; left out"


def _row(given: Any, fact: Facts, faults: Counter[str]) -> Row | None:
    path = given.get("video_path") if isinstance(given, dict) else None
    if not isinstance(path, str) or not last_part(path):
        faults[_NO_NAME] += 1
        return None
    value = given.get("video_results")
    try:
        scaled = float(value) / fact.row_scale if isinstance(value, (bool, int, float)) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        scaled = math.nan
    if not fact.lowest <= scaled <= 1.0:
        faults[_NO_VALUE] += 1
        return None
    prompt, sample = parse(last_part(path)) or (last_part(path), 0)
    return Row(prompt=prompt, sample=sample, value=scaled)


def _about_rows(found: DimensionScore, num_rows: int | None, fact: Facts) -> Iterator[str]:
    if num_rows is None:
        yield "no rows: only the score is known"
        return
    if num_rows > fact.num_rows or (num_rows < fact.num_rows and not fact.leaves_out):
        yield f"{_rows(num_rows)}; a complete evaluation has {fact.num_rows}"
    repeated = len(found.rows) - len({(row.prompt, row.sample) for row in found.rows})
    if repeated:
        yield f"{_rows(repeated)} of a clip that another row is about; both count in the mean of rows"
    mean, stated = found.mean, found.stated
    if mean is not None and stated is not None and abs(mean - stated) > TOLERANCE:
        why = "; it is a mean over frames, so clips of unequal lengths differ from it" if fact.is_over_frames else ""
        yield f"states {stated:.6f}; the mean of its rows is {mean:.6f}{why}"
