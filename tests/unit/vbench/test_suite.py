"""Reading a user's copy of the suite: where it lies, what it says, which edition it is, what is wrong with it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import InputError
from rushes_vbench.suite import FILE, INSTALLED, read_suite, suite_of
from tests.support.suite import LONG, SHARED, small_suite, suite_rows, write_suite


def test_entries_say_what_the_file_says() -> None:
    suite = small_suite()
    assert [entry.prompt for entry in suite.entries] == [row["prompt_en"] for row in suite_rows()]
    cow = suite.of("Composition")[0]
    assert (cow.reference, cow.one_creature, cow.all_needed) == (("a cow", "fins"), True, False)
    assert suite.of("Camera_Motion")[0].reference == ("zoom_in",)
    assert suite.of("Human_Identity")[0].reference == ()
    assert suite.dimensions_of(SHARED) == ("Diversity", "Mechanics")
    assert suite.find(SHARED, "Mechanics") == suite.of("Mechanics")[0] and suite.find(SHARED, "Material") is None


def test_shared_prompt_has_twenty_files_in_a_flat_folder_and_three_in_the_other_dimension() -> None:
    suite = small_suite()
    assert sum(name.startswith(SHARED) for name in suite.flat_names) == 20
    assert len(suite.names_by_dimension["Diversity"]) == 40
    assert suite.names_by_dimension["Mechanics"] == tuple(f"{SHARED}-{i}.mp4" for i in range(3))
    assert f"{LONG[:180]}-0.mp4" in suite.flat_names and len(LONG) > 180


def test_a_part_of_the_suite_is_a_modified_one_and_says_what_is_lacking() -> None:
    suite = small_suite()
    assert suite.edition == "modified"
    assert "Material: 6 prompts, the complete suite has 50" in suite.notes
    assert "Human_Clothes: 0 prompts, the complete suite has 75" in suite.notes


@pytest.mark.parametrize("inside", ["", "vbench2", "VBench-2.0/vbench2"])
def test_copy_is_found_in_checkouts(inside: str, tmp_path: Path) -> None:
    write_suite(tmp_path / inside)
    assert read_suite(tmp_path).entries == small_suite().entries
    assert read_suite(tmp_path / inside / FILE).entries == small_suite().entries


def test_copy_is_read_from_a_wheel(tmp_path: Path) -> None:
    path = tmp_path / "vbench2-0.1.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"vbench2/{FILE}", json.dumps(suite_rows()))
    assert read_suite(path).entries == small_suite().entries


def test_installed_copy_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_suite(tmp_path / "vbench2")
    (tmp_path / "vbench2" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert read_suite(INSTALLED).entries == small_suite().entries


@pytest.mark.parametrize("what", ["nothing", "a folder", "not a wheel", "another archive", "installed"])
def test_no_copy_is_an_error_that_says_where_to_get_one(what: str, tmp_path: Path) -> None:
    path: Path | str = tmp_path / "nothing"
    if what == "a folder":
        path = tmp_path
    elif what == "not a wheel":
        path = tmp_path / "a.whl"
        Path(path).write_bytes(b"no archive")
    elif what == "another archive":
        path = tmp_path / "b.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("other/file.json", "[]")
    elif what == "installed":
        path = INSTALLED
    with pytest.raises(InputError) as caught:
        read_suite(path)
    assert "github.com/Vchitect/VBench" in str(caught.value)


def changed(index: int, **fields: Any) -> list[dict[str, Any]]:
    rows = suite_rows()
    rows[index] = {**rows[index], **fields}
    return rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (changed(0, dimension=["Beauty"]), "entry 1 has no known dimension"),
        (changed(0, dimension=["Diversity", "Mechanics"]), "entry 1 has no known dimension"),
        (changed(0, prompt_en="  "), "entry 1 has no prompt"),
        (changed(0, prompt_en=7), "entry 1 has no prompt"),
        (changed(1, prompt_en="What/ever"), "entry 2: the prompt cannot be a file name"),
        (changed(1, prompt_en="\N{SNOWMAN}" * 90), "entry 2: the prompt cannot be a file name"),
        (changed(0, auxiliary_info=["why"]), "entry 1: what Diversity needs"),
        (changed(2, auxiliary_info="one text"), "entry 3: what Mechanics needs"),
        (changed(2, auxiliary_info=["", "b"]), "entry 3: what Mechanics needs"),
        (changed(5, auxiliary_info=["zoom_in"]), "entry 6: what Camera_Motion needs"),
        (changed(8, auxiliary_info={"question": ["a"], "judge": [1, 0]}), "entry 9: what Composition needs"),
        (changed(3, prompt_en=LONG[:181] + "!") + suite_rows()[3:4], "same 180 characters"),
        ([*suite_rows(), changed(2, auxiliary_info=["Other?"])[2]], "asks differently about one prompt of Mechanics"),
        (["text"], "entry 1 is not an object"),
        ([], "holds no entries"),
    ],
)
def test_what_cannot_be_used_is_named(rows: list[Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        suite_of(json.dumps(rows).encode(), "copy")
    assert said in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[1,", b"[" * 100_000, b'{"a": 1}'])
def test_what_is_no_suite_at_all_is_an_error(data: bytes) -> None:
    with pytest.raises(InputError):
        suite_of(data, "copy")


def test_the_same_entry_twice_is_one_prompt() -> None:
    suite = small_suite([*suite_rows(), suite_rows()[2]])
    assert len(suite.of("Mechanics")) == 2 and suite.prompts_of("Mechanics") == (SHARED,)
    assert len(suite.names_by_dimension["Mechanics"]) == 3
