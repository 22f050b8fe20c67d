"""File names, the way back from them, and damaged ones."""

from __future__ import annotations

import unicodedata

import pytest

from rushes_vbench.names import Lookup, file_name, last_part, parse, stem
from tests.support.suite import LONG, small_suite


def test_name_keeps_180_code_points_as_they_are() -> None:
    prompt = "é" * 100 + "🙂" * 79 + " " + "lost"
    assert file_name(prompt, 7) == "é" * 100 + "🙂" * 79 + " -7.mp4"
    assert stem("short") == "short"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("A dog.-0.mp4", ("A dog.", 0)),
        ("A dog-2-19.mp4", ("A dog-2", 19)),
        ("space before -2.mp4", ("space before ", 2)),
        ("two\nlines-1.mp4", ("two\nlines", 1)),
        ("A dog.-01.mp4", None),
        ("A dog..mp4", None),
        ("A dog.-0.MP4", None),
        ("-0.mp4", None),
        ("A dog.-0.mp4.part", None),
    ],
)
def test_parse_is_the_way_back(name: str, found: tuple[str, int] | None) -> None:
    assert parse(name) == found


@pytest.mark.parametrize("path", ["a/b/x-0.mp4", "C:\\a\\x-0.mp4", "x-0.mp4"])
def test_last_part_knows_paths_of_all_systems(path: str) -> None:
    assert last_part(path) == "x-0.mp4"


def test_damaged_names_are_understood_and_exact_ones_told_apart() -> None:
    kiln, lookup = "Kiln at 900°C, it\u2019s déjà vu.", small_suite().lookup
    assert lookup.exact(kiln) == kiln
    for damaged in (
        unicodedata.normalize("NFD", kiln),
        kiln.replace("\u2019", "'"),
        kiln.replace(" ", "_"),
        kiln.lower().rstrip("."),
        f"{kiln} ",
    ):
        assert lookup.near(damaged) == kiln
    assert lookup.exact(kiln.replace("\u2019", "'")) is None
    assert lookup.near(LONG) == lookup.near(LONG[:180].rstrip()) == LONG
    assert lookup.near("another text") is None


def test_a_spelling_that_two_prompts_share_finds_neither() -> None:
    lookup = Lookup(["A cat, sat.", "A cat sat"])
    assert lookup.near("a_cat_sat") is None and lookup.near("A cat sat") == "A cat sat"
