"""The benchmark's prompts and questions, read from the user's own copy and checked. This package contains none of them.

There are two editions: the repository's, and the older one of the `vbench2` wheel, in which one prompt of
Dynamic_Spatial_Relationship occurs twice, word for word; the repository has since reworded one of the two.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from rushes.errors import InputError
from rushes.records import Record
from rushes.records.base import Text
from rushes.store.identity import content_hash
from rushes_vbench.catalogue import Facts, facts
from rushes_vbench.names import FORBIDDEN, MAX_NAME_BYTES, Lookup, file_name, stem
from rushes_vbench.strict_json import strict_json

FILE: Final = "VBench2_full_info.json"
"""The file of the benchmark that its evaluator reads, and the only one read here."""
INSTALLED: Final = "installed"
"""Instead of a path: the copy in the installed `vbench2` package."""
_INSIDE: Final = ("", "vbench2", "VBench-2.0/vbench2", "VBench2/vbench2")
"""Where the file is below what a user may name: its folder, VBench-2.0, a checkout of VBench."""
_MAX_BYTES: Final = 64 << 20
_GET_IT: Final = (
    "git clone --depth 1 https://github.com/Vchitect/VBench (then name that folder), "
    "or: pip download --no-deps vbench2==0.1.1 (then name the .whl file)"
)

BROKEN_ZIP: Final = (zipfile.BadZipFile, RuntimeError, zlib.error, lzma.LZMAError, EOFError, ValueError)
"""What reading a zip raises where it is damaged, needs a password, or is packed in a way that is not supported."""

Edition = Literal["repository", "wheel", "modified"]
"""`repository`: since 2025-04-18; `wheel`: vbench2 0.1.0 and 0.1.1, and the repository before; `modified`: neither."""

_EDITIONS: Final[dict[str, Edition]] = {
    "7086106fbbdf31cd5b19225b70818109766c4ff9244eb0d8a409cc612159efcb": "repository",
    "cfac4223093369adf1fe903911752ff51fb7d8eebfcdb6594ef0063dcdc5e147": "wheel",
}
"""Content hash of the entries -> edition."""


class SuiteEntry(Record):
    """A prompt of one dimension, with what the benchmark provides for it.

    Example:
        SuiteEntry(prompt="A red leaf turns green.", dimension="Dynamic_Attribute",
                   reference=("Does the colour of the leaf change? (yes or no)",))
    """

    prompt: Text
    """The original English prompt."""
    dimension: Text
    """Exact identifier."""
    reference: tuple[Text, ...] = ()
    """Questions, actions, events, things to look for; one text for a camera motion or counts; may be empty."""
    one_creature: bool = False
    """Composition: a fused creature, so that only one may be visible."""
    all_needed: bool = False
    """Composition: the value is 1 only if everything is visible."""


@dataclass(frozen=True)
class Suite:
    """The prompts of the benchmark in one copy."""

    entries: tuple[SuiteEntry, ...]
    """In the order of the file."""
    edition: Edition
    """Which edition it is, by its content."""
    source: str
    """Where it was read from."""
    notes: tuple[str, ...] = ()
    """What differs from the complete suite, in words; empty for both known editions."""

    @cached_property
    def prompts(self) -> tuple[str, ...]:
        """Every prompt once, in the order of the file."""
        return tuple(dict.fromkeys(entry.prompt for entry in self.entries))

    def of(self, dimension: str) -> tuple[SuiteEntry, ...]:
        """The entries of one dimension, in the order of the file; the wheel's edition has one of them twice."""
        return self._by_dimension.get(dimension, ())

    def prompts_of(self, dimension: str) -> tuple[str, ...]:
        """The prompts of one dimension, each once, in the order of the file."""
        return tuple(dict.fromkeys(entry.prompt for entry in self.of(dimension)))

    def find(self, prompt: str, dimension: str) -> SuiteEntry | None:
        """The entry of a prompt in a dimension; None if it has none."""
        return self._by_both.get((prompt, dimension))

    def num_samples(self, prompt: str) -> int:
        """How many clips a prompt needs: 20 if it serves Diversity, else 3."""
        return max(facts()[name].num_samples for name in self.dimensions_of(prompt))

    def dimensions_of(self, prompt: str) -> tuple[str, ...]:
        """The dimensions that a prompt serves, in the order of the file."""
        return tuple(self._by_prompt[prompt])

    @cached_property
    def lookup(self) -> Lookup:
        """Finds prompts by file name."""
        return Lookup(self.prompts)

    @cached_property
    def flat_names(self) -> tuple[str, ...]:
        """The file names of all clips in one folder: 3,209 for the complete suite (3,206 in the wheel's edition)."""
        return tuple(file_name(prompt, i) for prompt in self.prompts for i in range(self.num_samples(prompt)))

    @cached_property
    def names_by_dimension(self) -> dict[str, tuple[str, ...]]:
        """The file names in each dimension's folder: 3,860 for the complete suite, 3,857 in the wheel's edition."""
        return {
            name: tuple(file_name(prompt, i) for prompt in self.prompts_of(name) for i in range(fact.num_samples))
            for name, fact in facts().items()
            if self.of(name)
        }

    @cached_property
    def _by_dimension(self) -> dict[str, tuple[SuiteEntry, ...]]:
        return {name: tuple(each for each in self.entries if each.dimension == name) for name in facts()}

    @cached_property
    def _by_both(self) -> dict[tuple[str, str], SuiteEntry]:
        return {(entry.prompt, entry.dimension): entry for entry in self.entries}

    @cached_property
    def _by_prompt(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for entry in self.entries:
            found.setdefault(entry.prompt, []).append(entry.dimension)
        return {prompt: list(dict.fromkeys(names)) for prompt, names in found.items()}


def read_suite(path: str | Path = INSTALLED) -> Suite:
    """Read and check a copy of the suite.

    Args:
        path: a VBench checkout, its folder VBench-2.0 or vbench2, the file `VBench2_full_info.json`, a `vbench2` wheel
            (.whl), or "installed" for the installed `vbench2` package (which is read, not imported).

    Raises:
        InputError: there is no copy, or an entry of it cannot be used: the first one is named.
    """
    data, source = _load(path)
    return suite_of(data, source)


def suite_of(data: bytes, source: str) -> Suite:
    """The suite from the content of a `VBench2_full_info.json`.

    Args:
        data: the file, UTF-8 JSON.
        source: where it came from, for messages.

    Raises:
        InputError: see `read_suite`.
    """
    try:
        rows = strict_json(data)
    except ValueError as error:
        raise InputError(f"{source} is not JSON: {error}", next_step=f"download it again: {_GET_IT}") from error
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{source} holds no entries", expected="a list of prompts", got=type(rows).__name__)
    entries = tuple(_entry(row, f"{source}, entry {number}") for number, row in enumerate(rows, 1))
    _check_together(entries, source)
    edition = _EDITIONS.get(fingerprint(entries), "modified")
    return Suite(entries, edition, source, () if edition != "modified" else tuple(_differences(entries)))


def fingerprint(entries: tuple[SuiteEntry, ...]) -> str:
    """Hash of the content, independent of its order: identifies the edition."""
    return content_hash(sorted(content_hash(entry) for entry in entries))


# ---------------------------------------------------------------------------------------------- finding the copy


def _load(path: str | Path) -> tuple[bytes, str]:
    if str(path) == INSTALLED:
        found = find_spec("vbench2")
        folders = list(found.submodule_search_locations or ()) if found else []
        if not folders:
            raise InputError("the package vbench2 is not installed, so its prompts cannot be read", next_step=_GET_IT)
        path = folders[0]
    path = Path(path)
    if path.suffix == ".whl" and path.is_file():
        return _from_wheel(path), f"{path.name}"
    places = [path / inside / FILE for inside in _INSIDE] if path.is_dir() else [path]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise InputError(
            "there is no copy of the VBench-2.0 prompts",
            expected=f"a checkout of VBench, a vbench2 wheel, or {FILE}",
            got=str(path),
            next_step=_GET_IT,
        )
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise InputError(f"{file} is too large to be the suite", expected="about half a megabyte")
        return file.read_bytes(), str(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read", got=error.strerror, next_step="check its permissions") from error


def _from_wheel(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as wheel:
            if wheel.getinfo(f"vbench2/{FILE}").file_size > _MAX_BYTES:
                raise InputError(f"{path.name}: {FILE} in it is too large to be the suite")
            return wheel.read(f"vbench2/{FILE}")
    except (KeyError, OSError, *BROKEN_ZIP) as error:
        raise InputError(
            f"{path.name} is not a wheel of vbench2",
            expected=f"an archive with vbench2/{FILE}",
            got=str(error),
            next_step=_GET_IT,
        ) from error


# ---------------------------------------------------------------------------------------------- checking it


def _entry(row: Any, where: str) -> SuiteEntry:
    if not isinstance(row, dict):
        raise InputError(f"{where} is not an object", got=row)
    prompt, names = row.get("prompt_en"), row.get("dimension")
    # Per-dimension files of the checkout store the dimension as plain text, the full file as a list of one.
    name = names[0] if isinstance(names, list) and len(names) == 1 else names
    if not isinstance(name, str) or name not in facts():
        raise InputError(f"{where} has no known dimension", expected=f"one of {', '.join(facts())}", got=names)
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(f"{where} has no prompt", expected="text in 'prompt_en'", got=prompt)
    bad = sorted(FORBIDDEN & set(stem(prompt)))
    if bad or len(file_name(prompt, 19).encode()) > MAX_NAME_BYTES:
        raise InputError(f"{where}: the prompt cannot be a file name", got=bad or stem(prompt))
    return _with_reference(row.get("auxiliary_info"), prompt, name, where)


def _with_reference(found: Any, prompt: str, name: str, where: str) -> SuiteEntry:
    kind = facts()[name].reference
    expected = {
        "none": "nothing in 'auxiliary_info'",
        "camera": "one text",
        "counts": "one text",
        "composition": "'question' (texts) and 'judge' (two flags)",
    }.get(kind, "a list of texts")
    if kind == "none" and found is None:
        return SuiteEntry(prompt=prompt, dimension=name)
    if kind in ("camera", "counts") and isinstance(found, str) and found.strip():
        return SuiteEntry(prompt=prompt, dimension=name, reference=(found,))
    if kind in ("questions", "actions", "events") and _are_texts(found):
        return SuiteEntry(prompt=prompt, dimension=name, reference=tuple(found))
    if kind == "composition" and isinstance(found, dict) and _are_texts(found.get("question")):
        flags = found.get("judge")
        if isinstance(flags, list) and len(flags) == 2 and all(isinstance(flag, bool) for flag in flags):
            texts = tuple(found["question"])
            return SuiteEntry(
                prompt=prompt, dimension=name, reference=texts, one_creature=flags[0], all_needed=flags[1]
            )
    raise InputError(f"{where}: what {name} needs besides the prompt is wrong", expected=expected, got=found)


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and all(isinstance(text, str) and text.strip() for text in found)


def _check_together(entries: tuple[SuiteEntry, ...], source: str) -> None:
    stems: dict[str, str] = {}
    known: dict[tuple[str, str], SuiteEntry] = {}
    for entry in entries:
        # The wheel's edition has one entry twice, word for word; two with different questions would be an error.
        if known.setdefault((entry.prompt, entry.dimension), entry) != entry:
            raise InputError(f"{source} asks differently about one prompt of {entry.dimension}", got=entry.prompt)
        other = stems.setdefault(stem(entry.prompt), entry.prompt)
        if other != entry.prompt:
            raise InputError(
                f"{source}: two prompts begin with the same 180 characters, so their clips have one name", got=other
            )


def _differences(entries: tuple[SuiteEntry, ...]) -> Iterator[str]:
    """How a modified copy differs from the complete suite, dimension by dimension."""
    have = Counter(entry.dimension for entry in entries)
    counted: list[tuple[str, Facts]] = [(name, fact) for name, fact in facts().items()]
    for name, fact in counted:
        if have[name] != fact.num_prompts:
            yield f"{name}: {have[name]} prompts, the complete suite has {fact.num_prompts}"
    if all(have[name] == fact.num_prompts for name, fact in counted):
        yield "as many prompts as the complete suite, but some texts differ from both known editions"
