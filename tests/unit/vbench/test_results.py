"""Official result files: read at any depth, recomputed, and every contradiction named."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import InputError
from rushes_vbench.results import OfficialDimension, OfficialResults, merged, read_results
from tests.support.suite import SHARED, small_suite, suite_rows

COLOURS = [row["prompt_en"] for row in suite_rows() if row["dimension"] == ["Material"]]
NAME = "results_2026-01-31-12:00:00_eval_results.json"


def rows(values: list[Any], prompts: list[str] = COLOURS) -> list[dict[str, Any]]:
    """Three rows per prompt, with these values in order."""
    return [
        {"video_path": f"./model/Material/{prompts[i // 3]}-{i % 3}.mp4", "video_results": value}
        for i, value in enumerate(values)
    ]


def write(folder: Path, content: Any, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def only(results: OfficialResults) -> OfficialDimension:
    (found,) = results.dimensions
    return found


GOOD = [1, 0, -1, 1, 1, 1, 0, 0, 0, 1, -1, -1, 1, 1, 0, 1, 0, 1]
"""15 of 18 valid, 9 of them right."""


def test_mean_and_coverage_are_recomputed_without_what_is_not_applicable(tmp_path: Path) -> None:
    found = only(read_results(write(tmp_path / "deep" / "er", {"Material": [9 / 15, rows(GOOD)]}), suite=small_suite()))
    assert found.doubts == () and found.stated == 0.6 and found.values is not None
    assert found.values.mean == pytest.approx(0.6) and found.values.coverage == pytest.approx(15 / 18)
    assert found.values.covered_mean == pytest.approx(0.5)
    first = found.values.values[0]
    assert (first.prompt, first.sample, first.value) == (COLOURS[0], 0, 1.0)
    assert found.values.values[2].value is None


@pytest.mark.parametrize("spelling", ["Multi-View_Consistency", "Multi-View Consistency", "Multi_View_Consistency"])
def test_spellings_and_companions_of_result_files(spelling: str, tmp_path: Path) -> None:
    write(tmp_path / "a", {spelling: [0.5, [{"video_path": "x\\y\\Orbit.-0.mp4", "video_results": 0.5}]]})
    write(tmp_path / "a", [{"prompt_en": "x"}], "results_full_info.json")
    write(tmp_path / "b", "not json", "broken.json")
    write(tmp_path / "b", {"Beauty": [1, []]}, "other.json")
    found = read_results(tmp_path)
    assert only(found).dimension == "Multi-View_Consistency"
    assert [text.split(":")[0] for text in found.ignored] == [
        "a/results_full_info.json",
        "b/broken.json",
        "b/other.json",
    ]


def test_zip_as_submitted_is_read_without_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "evaluation_results.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"Material/model/{NAME}", json.dumps({"Material": [0.6, rows(GOOD)]}))
        archive.writestr(f"__MACOSX/._{NAME}", b"\x00")
        archive.writestr(f"._{NAME}", b"\x00")
    found = read_results(path, suite=small_suite())
    assert found.model == "evaluation_results" and only(found).doubts == () and found.ignored == ()
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder", {"Material": [0.6, rows(GOOD)]})
    (tmp_path / "folder" / f"._{NAME}").write_bytes(b"\x00")
    assert read_results(tmp_path / "folder", suite=small_suite()).ignored == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([0.7, rows(GOOD)], "states 0.700000; the mean of its rows is 0.600000"),
        ([0.6, rows(GOOD)[:15]], "15 rows; a complete evaluation has 18"),
        (["0.6", rows(GOOD)], "states no numeric score"),
        ([1.4, rows(GOOD)], "states a score outside 0 to 1: 1.4"),
        (0.6, "expected [score, rows], got 0.6"),
        ([0.6], "expected [score, rows]"),
        ([0.6, []], "expected [score, rows]"),
        ([0.6, rows([*GOOD[:-1], "yes"])], "1 row: a value that is not a number"),
        ([0.6, rows([*GOOD[:-1], None])], "1 row: a value that is not a number"),
        ([0.6, rows([*GOOD[:-1], 3])], "1 row: a value outside 0 to 1"),
        ([0.6, rows([*GOOD[:-1], -0.5])], "1 row: a value outside 0 to 1"),
        ([0.6, rows([*GOOD[:-2], 0.5, 0.5])], "2 rows: a value between 0 and 1"),
        ([0.6, [*rows(GOOD)[:-1], {"video_path": "x.mp4", "video_results": 1}]], "1 row: no file name of the form"),
        ([0.6, [*rows(GOOD)[:-1], "text"]], "1 row: no file name of the form"),
        ([0.6, [*rows(GOOD)[:-1], rows(GOOD)[0]]], "1 row: a repeated clip"),
        ([0.6, rows(GOOD, [*COLOURS[:5], "Another one."])], "3 rows: a prompt that the suite does not have"),
        ([None, rows([-1] * 18)], "no row has a value, so there is no mean"),
    ],
)
def test_contradictions_are_named(content: Any, said: str, tmp_path: Path) -> None:
    found = only(read_results(write(tmp_path, {"Material": content}), suite=small_suite()))
    assert any(said in doubt for doubt in found.doubts), found.doubts


def test_not_a_number_is_neither_zero_nor_a_crash(tmp_path: Path) -> None:
    text = json.dumps({"Material": [float("nan"), rows([float("nan"), float("inf"), *GOOD[2:]])]})
    found = only(read_results(write(tmp_path, text), suite=small_suite()))
    assert found.stated is None and found.values is not None
    assert found.values.mean == pytest.approx(8 / 13) and found.values.num_valid == 13
    assert any("2 rows: a value outside 0 to 1" in doubt for doubt in found.doubts)


def test_minus_one_where_the_method_never_gives_it_is_doubted(tmp_path: Path) -> None:
    listed = [{"video_path": f"Barn, zoom in.-{i}.mp4", "video_results": value} for i, value in enumerate([1, 0, -1])]
    found = only(read_results(write(tmp_path, {"Camera_Motion": [0.5, listed]}), suite=small_suite()))
    assert any("-1, which the official method never gives" in doubt for doubt in found.doubts)


def test_results_of_a_replaced_method_are_recognised_by_values_and_by_date(tmp_path: Path) -> None:
    listed = [{"video_path": f"Two hens.-{i}.mp4", "video_results": 0.25} for i in range(3)]
    old = write(tmp_path, {"Instance_Preservation": [0.25, listed]}, NAME.replace("2026-01-31", "2025-06-01"))
    doubts = " ".join(only(read_results(old, suite=small_suite())).doubts)
    assert "made by a method before 2025-07-22" in doubts and "evaluated before 2025-07-22" in doubts


def test_the_latest_of_several_files_counts_and_the_others_are_named(tmp_path: Path) -> None:
    write(tmp_path / "z-first", {"Material": [0.0, rows([0] * 18)]}, NAME.replace("2026", "2024"))
    write(tmp_path / "a-second", {"Material": [0.6, rows(GOOD)]})
    found = only(read_results(tmp_path, suite=small_suite()))
    assert found.source == f"a-second/{NAME}" and found.stated == 0.6
    assert any("2 files differ about it" in doubt and "z-first" in doubt for doubt in found.doubts)


def test_copies_of_one_file_are_no_contradiction(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, {"Material": [0.6, rows(GOOD)]})
    assert only(read_results(tmp_path, suite=small_suite())).doubts == ()


def test_a_prompt_that_the_suite_has_twice_may_be_there_twice(tmp_path: Path) -> None:
    suite = small_suite([*suite_rows(), suite_rows()[2]])
    listed = [{"video_path": f"{SHARED}-{i}.mp4", "video_results": 1} for i in (0, 1, 2, 0, 1, 2)]
    assert only(read_results(write(tmp_path, {"Mechanics": [1.0, listed]}), suite=suite)).doubts == ()


@pytest.mark.parametrize("what", ["empty", "missing", "only lists", "bad zip"])
def test_nothing_to_read_is_an_error(what: str, tmp_path: Path) -> None:
    path = tmp_path / "results"
    if what == "empty":
        path.mkdir()
    elif what == "only lists":
        write(path, [])
    elif what == "bad zip":
        path = tmp_path / "results.zip"
        path.write_bytes(b"PK no")
    with pytest.raises(InputError):
        read_results(path)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_that_no_float_holds_is_no_score(sign: str, tmp_path: Path) -> None:
    huge = sign + "9" * 400
    text = json.dumps({"Material": [0, rows([0, *GOOD[1:]])]}).replace(": 0}", f": {huge}}}", 1)
    found = only(read_results(write(tmp_path, text.replace("[0,", f"[{huge},", 1)), suite=small_suite()))
    assert found.stated is None and found.values is not None and found.values.num_valid == 14
    assert any("1 row: a value outside 0 to 1" in doubt for doubt in found.doubts)


@pytest.mark.parametrize(
    "content",
    [
        '{"Material": [0.5, []], "Material": [0.6, []]}',
        '{"Material": [0.5, [{"video_path": "x-0.mp4", "video_results": 1, "video_results": 0}]]}',
        '{"Material": [0.5, [{"video_path": "\\ud800-0.mp4", "video_results": 1}]]}',
    ],
)
def test_a_file_that_contradicts_itself_or_holds_no_text_is_named_and_left_out(content: str, tmp_path: Path) -> None:
    write(tmp_path, {"Thermotics": [0.6, rows(GOOD)]}, "good.json")
    found = read_results(write(tmp_path, content, "bad.json"))
    assert only(found).dimension == "Thermotics" and found.ignored[0].startswith("bad.json: not valid JSON")


@pytest.mark.parametrize("how", ["cut", "password", "method", "noise"])
def test_a_zip_that_cannot_be_read_is_an_error_that_teaches(how: str, tmp_path: Path) -> None:
    path = tmp_path / "results.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(NAME, json.dumps({"Material": [0.6, rows(GOOD)]}))
    data, listed = bytearray(path.read_bytes()), path.read_bytes().find(b"PK\x01\x02")
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "password":
        data[6] |= 1
        data[listed + 8] |= 1
    elif how == "method":
        data[8] = data[listed + 10] = 99
    else:
        start = 30 + len(NAME)
        data[start : start + 20] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        read_results(path)


def test_parts_in_several_places_are_joined_and_a_dimension_twice_is_refused(tmp_path: Path) -> None:
    one = read_results(write(tmp_path / "one", {"Material": [0.6, rows(GOOD)]}), model="base", method="wheel 0.1.1")
    two = read_results(write(tmp_path / "two", {"Thermotics": [0.6, rows(GOOD)]}))
    both = merged([two, one])
    assert [each.dimension for each in both.dimensions] == ["Thermotics", "Material"]
    with pytest.raises(InputError, match="Material is in more than one"):
        merged([one, one])
    with pytest.raises(InputError, match="no result files"):
        merged([])


def test_motion_order_is_officially_0_where_nearly_all_clips_are_not_applicable(tmp_path: Path) -> None:
    values = [{"video_path": f"p{i}-0.mp4", "video_results": 1 if i == 0 else -1} for i in range(20)]
    found = only(read_results(write(tmp_path, {"Motion_Order_Understanding": [0.0, values]})))
    assert any("officially 0, since more than 90% of the clips are not applicable" in doubt for doubt in found.doubts)
    assert not any("the mean of its rows" in doubt for doubt in found.doubts)


@pytest.mark.parametrize("damaged", [f"{COLOURS[0]}-1 (2).MP4", f"{COLOURS[0].replace(' ', '%20')}-1.mp4"])
def test_damaged_names_in_rows_are_repaired_and_impossible_samples_doubted(damaged: str, tmp_path: Path) -> None:
    values = [
        {"video_path": f"m/{damaged}", "video_results": 1},
        {"video_path": f"m/{COLOURS[1]}-7.mp4", "video_results": 0},
    ]
    found = only(read_results(write(tmp_path, {"Material": [0.5, values]}), suite=small_suite()))
    assert found.values is not None and found.values.mean == 0.5
    assert [(each.prompt, each.sample) for each in found.values.values] == [(COLOURS[0], 1), (COLOURS[1], 7)]
    assert any("1 row: a damaged file name, repaired" in doubt for doubt in found.doubts)
    assert any("1 row: a sample that the dimension does not have" in doubt for doubt in found.doubts)
