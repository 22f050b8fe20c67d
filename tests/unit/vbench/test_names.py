"""File names, the way back from them, and damaged ones."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

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


KILN = "Kiln at 900°C, it\u2019s déjà vu."


@pytest.mark.parametrize(
    "name",
    [
        f"{KILN}-2.MP4",
        f"{KILN}-2 (1).mp4",
        f"{KILN}-2(3).Mp4",
        f"{KILN}-2 - Copy.mp4",
        f"{KILN} -2.mp4",
        f"{quote(KILN)}-2.mp4",
        f"{quote(KILN)}-2%20(1).mp4",
        quote(f"{KILN}-2.mp4".encode("gb18030")),
        f"{KILN}-2.mp4".encode().decode("latin-1"),
        f"{KILN}-2.mp4".encode().decode("gb18030", "replace"),
        f"{KILN}-2.mp4".encode().decode("cp1252", "replace"),
        f"{KILN}-2.mp4".encode("cp1252").decode("utf-8", "surrogateescape"),
        f"{KILN}-2.mp4".encode("gb18030").decode("utf-8", "surrogateescape"),
        f"{KILN}-2.mp4".encode("ascii", "ignore").decode(),
        f"{KILN}-2.mp4".encode().decode("latin-1").encode().decode("latin-1"),
    ],
)
def test_names_that_tools_have_changed_are_read(name: str) -> None:
    assert small_suite().lookup.read(name) == (KILN, 2)


@pytest.mark.parametrize(
    "name", ["\ud800-0.mp4", "%ff%fe%00-0.mp4", "100%-0.mp4", "-0.mp4", "\udcff\udc80", "提示-0.mp4"]
)
def test_names_of_nothing_in_the_suite_are_not_read(name: str) -> None:
    assert small_suite().lookup.read(name) is None


def test_an_exact_reading_comes_before_a_repaired_one() -> None:
    lookup = Lookup(["50%20 off", "50  off", "A dog-1 (2)"])
    assert lookup.read("50%20 off-0.mp4") == ("50%20 off", 0)
    assert lookup.read("A dog-1 (2)-0.mp4") == ("A dog-1 (2)", 0)


def test_a_spelling_that_two_prompts_share_finds_neither() -> None:
    lookup = Lookup(["A cat, sat.", "A cat sat"])
    assert lookup.near("a_cat_sat") is None and lookup.near("A cat sat") == "A cat sat"
