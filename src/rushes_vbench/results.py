"""Reads and verifies official result files: the stated score, the score that the rows give, and any contradictions.

A result file is an object `{dimension: [score, [{"video_path": ..., "video_results": ...}, ...]]}`; -1 marks a clip
that is left out of the mean. The evaluator writes one file per dimension or one for several, in folders of any depth.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rushes.errors import InputError
from rushes.records import Record
from rushes.records.base import Text
from rushes.store.files import is_hidden, read_file
from rushes_vbench.catalogue import Facts, facts, identifier
from rushes_vbench.metrics.aggregate import DROPPED_AT
from rushes_vbench.names import SUFFIX, last_part, parse, readings, stem
from rushes_vbench.strict_json import strict_json
from rushes_vbench.suite import BROKEN_ZIP, Suite
from rushes_vbench.values import ClipValue, DimensionValues, ModelValues

TOLERANCE: Final = 1e-6
"""Largest difference between a stated score and the mean of its rows: rounding only."""
_NOT_APPLICABLE: Final = -1
_MAX_BYTES: Final = 256 << 20
_STAMP: Final = re.compile(r"(\d{4}-\d{2}-\d{2}-\d{2}[:_-]\d{2}[:_-]\d{2})")
_SHOWN: Final = 3
_LONGEST: Final = 120
"""Longest example in a doubt, characters."""


class OfficialDimension(Record):
    """One dimension of an official evaluation.

    Example:
        OfficialDimension(dimension="Material", source="Material/results_eval_results.json", stated=0.5,
                          values=DimensionValues(dimension="Material", values=(ClipValue(prompt="p", sample=0),)),
                          doubts=("stated 0.5, the rows give 0.48",))
    """

    dimension: Text
    """Exact identifier."""
    source: Text
    """File that it was read from."""
    stated: float | None
    """The score that the file states; None if it is not a number."""
    values: DimensionValues | None
    """The rows that could be read; None if there are none."""
    doubts: tuple[str, ...] = ()
    """Contradictions: in the file, with the suite, or with the official method."""


class OfficialResults(Record):
    """Everything found in official result files.

    Example:
        OfficialResults(model="my-model", method="repository 45e79ec", dimensions=(), ignored=("meta.json: a list",))
    """

    model: Text
    """Name in tables."""
    method: str = ""
    """Version of the official code, from the user, since the files do not state it. Empty if unknown."""
    dimensions: tuple[OfficialDimension, ...]
    """In the catalogue's order."""
    ignored: tuple[str, ...] = ()
    """Files without results, and why."""

    def values(self) -> ModelValues:
        """The recomputed values of all dimensions that have rows."""
        return ModelValues(self.model, {each.dimension: each.values for each in self.dimensions if each.values})


def read_results(
    path: Path, *, model: str | None = None, method: str = "", suite: Suite | None = None
) -> OfficialResults:
    """Read official results.

    If several files contain a dimension, the one with the latest date in its name counts, and the others are named.

    Args:
        path: a result file, a folder of any depth with such files, or a zip archive as submitted to the leaderboard.
        model: name in tables; None for the name of the file or folder.
        method: version of the official code, if the user knows it.
        suite: the user's copy, to check that the rows are about its prompts; None skips that check.

    Raises:
        InputError: there is nothing like a result file.
    """
    found, ignored = find_results(path, identifier)
    if not found:
        said = f" ({'; '.join(ignored[:_SHOWN])})" if ignored else ""
        raise InputError(
            f"there are no VBench-2.0 results in {path}{said}",
            expected="..._eval_results.json files as the official evaluator writes them, or a folder or zip of them",
            next_step="name the folder that was given to evaluate.py as --output_path",
        )
    return OfficialResults(
        model=model or path.stem,
        method=method,
        dimensions=tuple(_dimension(name, found[name], suite) for name in facts() if name in found),
        ignored=tuple(ignored),
    )


@dataclass(frozen=True)
class _Stated:
    """What one file states about a dimension, not yet parsed."""

    source: str
    content: Any


def find_results(path: Path, identify: Callable[[str], str | None]) -> tuple[dict[str, list[_Stated]], list[str]]:
    """What the files of a place state about each dimension, and what in them is ignored and why.

    Args:
        path: a result file, a folder of any depth with such files, or a zip archive.
        identify: gives the exact identifier for a spelling; None if the benchmark has no such dimension.

    Raises:
        InputError: it cannot be read.
    """
    found: dict[str, list[_Stated]] = {}
    ignored: list[str] = []
    for name, data in _files(path):
        content = _parsed(name, data)
        if isinstance(content, str):
            ignored.append(content)
            continue
        for spelling, stated in content.items():
            dimension = identify(spelling)
            if dimension is None:
                ignored.append(f"{name}: no dimension is called {spelling[:80]!r}")
            else:
                found.setdefault(dimension, []).append(_Stated(name, stated))
    return found, ignored


@dataclass(frozen=True)
class Newest:
    """What the newest file states about a dimension, taken apart."""

    source: str
    """The file."""
    score: float | None
    """The score; None if it is not a number."""
    rows: list[Any] | None
    """The rows; None if there are none."""
    doubts: tuple[str, ...]
    """Other files that differ."""


def newest(stated: Sequence[_Stated]) -> Newest:
    """What counts of several files: the one with the latest date in its name."""
    chosen = max(stated, key=lambda each: (_stamp(each.source), each.source))
    return Newest(chosen.source, *_taken_apart(chosen.content), tuple(_several(chosen, stated)))


# ---------------------------------------------------------------------------------------------- files


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every JSON file, in the order of their names."""
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*.json")):
                if file.is_file() and not any(is_hidden(part) for part in file.relative_to(path).parts):
                    yield (
                        _said(file.relative_to(path).as_posix()),
                        _limited(file.name, file.stat().st_size, file.read_bytes),
                    )
        elif path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                for info in sorted(archive.infolist(), key=lambda each: each.filename):
                    # macOS stores a shadow copy of every file next to it.
                    is_shadow = "__MACOSX" in info.filename or is_hidden(last_part(info.filename))
                    if info.filename.lower().endswith(".json") and not is_shadow:
                        yield (
                            _said(info.filename),
                            _limited(info.filename, info.file_size, lambda i=info: archive.read(i)),
                        )
        else:
            yield _said(path.name), _limited(path.name, path.stat().st_size, lambda: read_file(path))
    except (OSError, *BROKEN_ZIP) as error:
        raise InputError(
            f"{path} cannot be read", expected="a result file, a folder or a zip archive", got=str(error)
        ) from error


def _limited(name: str, size: int, read: Any) -> bytes:
    if size > _MAX_BYTES:
        raise InputError(f"{name} is too large to be a result file", expected=f"at most {_MAX_BYTES} bytes", got=size)
    data: bytes = read()
    return data


def _parsed(name: str, data: bytes) -> dict[str, Any] | str:
    """The object in a file, or why it is skipped."""
    try:
        content = strict_json(data)
    except ValueError as error:
        return f"{name}: not valid JSON ({_said(str(error))[:80]})"
    if isinstance(content, list):
        return f"{name}: a list of prompts, not results"
    return content if isinstance(content, dict) else f"{name}: not an object"


def _said(text: str) -> str:
    """A file's name, or words about its content, as text that can be shown and stored."""
    return text.encode("utf-8", "backslashreplace").decode()


# ---------------------------------------------------------------------------------------------- one dimension


@dataclass
class _Reading:
    """Rows as they are read, with their faults."""

    values: list[ClipValue] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def fault(self, what: str, example: object) -> None:
        self.faults[what] += 1
        said = repr(example)
        self.examples.setdefault(what, said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}...")

    def said(self) -> Iterator[str]:
        for what, num in self.faults.items():
            yield f"{num} row{'s' if num > 1 else ''}: {what}, for example {self.examples[what]}"


def _dimension(name: str, stated: Sequence[_Stated], suite: Suite | None) -> OfficialDimension:
    chosen = max(stated, key=lambda each: (_stamp(each.source), each.source))
    doubts = list(_several(chosen, stated))
    score, rows = _taken_apart(chosen.content)
    if rows is None:
        doubts.append(f"expected [score, rows], got {repr(chosen.content)[:120]}")
        return OfficialDimension(dimension=name, source=chosen.source, stated=score, values=None, doubts=tuple(doubts))
    reading = _read_rows(rows, facts()[name], _known_stems(name, suite), suite)
    values = DimensionValues(dimension=name, values=tuple(reading.values)) if reading.values else None
    doubts += [*reading.said(), *_about_score(name, score, values)]
    doubts += _about_rows(name, reading.values, len(rows), suite)
    doubts += _about_date(name, chosen.source)
    return OfficialDimension(dimension=name, source=chosen.source, stated=score, values=values, doubts=tuple(doubts))


def _stamp(source: str) -> str:
    found = _STAMP.search(last_part(source))
    return re.sub(r"\D", "", found[1]) if found else ""


def _several(chosen: _Stated, stated: Sequence[_Stated]) -> Iterator[str]:
    others = [each for each in stated if each is not chosen]
    if any(repr(each.content) != repr(chosen.content) for each in others):
        left = ", ".join(each.source for each in others)
        yield f"{len(stated)} files differ about it; used: {chosen.source}; not used: {left}"


def _taken_apart(content: Any) -> tuple[float | None, list[Any] | None]:
    """Stated score and rows; None for either that is missing."""
    is_pair = isinstance(content, list) and len(content) == 2
    rows = content[1] if is_pair and isinstance(content[1], list) and content[1] else None
    return _number(content[0] if is_pair else content), rows


def _number(value: Any) -> float | None:
    """A finite number; None for anything else, a truth value and a whole number of 400 digits among it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _known_stems(name: str, suite: Suite | None) -> Counter[str] | None:
    """How often each prompt's stem occurs in a dimension; None if there is no suite to compare with."""
    return None if suite is None else Counter(entry.prompt[:180] for entry in suite.of(name))


def _read_rows(rows: Sequence[Any], fact: Facts, known: Counter[str] | None, suite: Suite | None) -> _Reading:
    reading = _Reading()
    seen: Counter[tuple[str, int]] = Counter()
    for row in rows:
        path = row.get("video_path") if isinstance(row, dict) else None
        name = last_part(path) if isinstance(path, str) else ""
        place = _place(name, suite)
        if place is None:
            reading.fault("no file name of the form prompt-number.mp4; left out", row)
            continue
        if place != parse(name):
            reading.fault("a damaged file name, repaired", f"{name} -> {place[0]}-{place[1]}{SUFFIX}")
        if place[1] >= fact.num_rows // fact.num_prompts:
            reading.fault("a sample that the dimension does not have; it counts, as it does in the stated score", path)
        seen[place] += 1
        if seen[place] > (known[place[0]] if known and place[0] in known else 1):
            reading.fault("a repeated clip; both count, as they do in the stated score", path)
        if known is not None and place[0] not in known:
            reading.fault("a prompt that the suite does not have in this dimension", path)
        _read_value(reading, row.get("video_results"), place, fact)
    return reading


def _place(name: str, suite: Suite | None) -> tuple[str, int] | None:
    """Stem and sample of a file name, exact or damaged in a known way; None if it is neither."""
    exact = parse(name)
    if exact is not None and (suite is None or suite.lookup.exact(exact[0]) is not None):
        return exact
    found = None if suite is None else suite.lookup.read(name)
    if found is not None:
        return stem(found[0]), found[1]
    return next(iter(readings(name)), None)


def _read_value(reading: _Reading, value: Any, place: tuple[str, int], fact: Facts) -> None:
    found = _number(float(value) if isinstance(value, bool) else value)
    if not isinstance(value, int | float):
        reading.fault("a value that is not a number; counted as not applicable", value)
    elif found == _NOT_APPLICABLE:
        found = None
        if not fact.may_be_invalid:
            reading.fault("-1, which the official method never gives in this dimension", place[0])
    elif found is None or not 0.0 <= found <= 1.0:
        found = None
        reading.fault("a value outside 0 to 1; counted as not applicable", value)
    elif fact.value_kind == "binary" and found not in (0.0, 1.0):
        reading.fault("a value between 0 and 1, where the current official method gives 0 or 1", value)
    reading.values.append(ClipValue(prompt=place[0], sample=place[1], value=found))


def _about_score(name: str, score: float | None, values: DimensionValues | None) -> Iterator[str]:
    mean = values.mean if values else None
    if score is None:
        yield "states no numeric score"
    elif not 0.0 <= score <= 1.0:
        yield f"states a score outside 0 to 1: {score!r}"
    if mean is None:
        yield "no row has a value, so there is no mean"
    elif name == "Motion_Order_Understanding" and values is not None and 1.0 - values.coverage > DROPPED_AT:
        yield f"officially 0, since more than {DROPPED_AT:.0%} of the clips are not applicable"
    elif score is not None and abs(score - mean) > TOLERANCE:
        yield f"states {score:.6f}; the mean of its rows is {mean:.6f}"


def _about_rows(name: str, values: Sequence[ClipValue], num_rows: int, suite: Suite | None) -> Iterator[str]:
    fact = facts()[name]
    expected = fact.num_rows
    if suite is not None and suite.of(name):
        expected = len(suite.of(name)) * (1 if fact.equal_lengths else fact.num_samples)
    if num_rows != expected:
        yield f"{num_rows} rows; a complete evaluation has {expected}"
    if fact.value_kind == "binary" and any(each.value not in (0.0, 1.0, None) for each in values):
        since = f"before {fact.redefined_on}" if fact.redefined_on else "other than the official one"
        yield f"made by a method {since}; not comparable with current official scores"


def _about_date(name: str, source: str) -> Iterator[str]:
    day, changed_on = _stamp(source)[:8], facts()[name].redefined_on
    if day and day < changed_on.replace("-", ""):
        yield f"evaluated before {changed_on}, when its method was replaced; not comparable with scores made since"


def merged(parts: Iterable[OfficialResults]) -> OfficialResults:
    """Results of one model from several places as one; a dimension that two of them contain is an error.

    Raises:
        InputError: nothing was given, or a dimension occurs twice.
    """
    parts = tuple(parts)
    if not parts:
        raise InputError("no result files were named", next_step="name the folder of the official results")
    twice = [n for n, num in Counter(d.dimension for part in parts for d in part.dimensions).items() if num > 1]
    if twice:
        raise InputError(f"{twice[0]} is in more than one of the named places", next_step="name each dimension once")
    order = list(facts())
    dimensions = sorted((d for part in parts for d in part.dimensions), key=lambda d: order.index(d.dimension))
    return OfficialResults(
        model=parts[0].model,
        method=parts[0].method,
        dimensions=tuple(dimensions),
        ignored=tuple(text for part in parts for text in part.ignored),
    )
