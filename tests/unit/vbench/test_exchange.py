"""Clips out: placed, written, resumed, checked. Video files are made once and are as short as can be."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from rushes.errors import InputError
from rushes.store.video import write_video
from rushes_vbench.check import VideoFacts, check_folder, least_frames, probe_video
from rushes_vbench.export import write_export
from rushes_vbench.names import file_name
from rushes_vbench.placing import Take, list_folder, place
from rushes_vbench.suite import Suite
from tests.support.suite import LONG, SHARED, small_suite

KILN = "Kiln at 900°C, it\u2019s déjà vu."
PLAIN = KILN.replace("\u2019", "'")
LONG_ENOUGH = VideoFacts(num_frames=81, fps=16.0)


def fill(folder: Path, suite: Suite, *, layout: str = "flat") -> Path:
    """Every file of the suite, its own name as content."""
    names = list(suite.flat_names) if layout == "flat" else []
    if layout == "by-dimension":
        names = [f"{name}/{file}" for name, files in suite.names_by_dimension.items() for file in files]
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name, encoding="utf-8")
    return folder


def test_flat_clips_are_arranged_by_dimension_and_shared_prompts_go_to_each(tmp_path: Path) -> None:
    suite = small_suite()
    listing = list_folder(fill(tmp_path / "in", suite), suite)
    placing = place(listing.takes, suite, "by-dimension")
    assert placing.missing == () and placing.num_unused == 0 and listing.renamed == listing.unknown == ()
    done = write_export(placing, tmp_path / "out", model="my-model", suite=suite, layout="by-dimension")
    for name, files in suite.names_by_dimension.items():
        assert sorted(path.name for path in (done.folder / name).iterdir()) == sorted(files)
        assert all((done.folder / name / file).read_text(encoding="utf-8") == file for file in files)
    assert done.num_written == sum(map(len, suite.names_by_dimension.values()))


def test_and_back_to_flat(tmp_path: Path) -> None:
    suite = small_suite()
    listing = list_folder(fill(tmp_path / "in", suite, layout="by-dimension"), suite)
    placing = place(listing.takes, suite, "flat")
    done = write_export(placing, tmp_path / "out", model="m", suite=suite, layout="flat", link=True)
    assert sorted(path.name for path in done.folder.iterdir()) == sorted(suite.flat_names)
    assert placing.missing == () and placing.num_unused == 3  # Mechanics' own clips of the prompt that Diversity has
    manifest = json.loads((tmp_path / "out" / "m.json").read_text(encoding="utf-8"))
    assert manifest["edition"] == "modified" and len(manifest["files"]) == len(suite.flat_names)


def test_flat_folder_prefers_the_clips_of_the_dimension_that_needs_twenty() -> None:
    suite = small_suite()
    takes = [
        Take(SHARED, i, name, Path(f"{name}-{i}"))
        for name, num in (("Mechanics", 3), ("Diversity", 20))
        for i in range(num)
    ]
    placed = [each for each in place(takes, suite, "flat").files if each.take.prompt == SHARED]
    assert [each.take.dimension for each in placed] == ["Diversity"] * 20


def test_damaged_names_are_repaired_and_strangers_left_out(tmp_path: Path) -> None:
    suite, source = small_suite(), tmp_path / "in"
    source.mkdir()
    for name in (
        f"{unicodedata.normalize('NFD', KILN)}-0.mp4",
        f"{PLAIN}-1.mp4",
        f"{LONG}-0.mp4",
        "notes.txt",
        "Unknown prompt.-0.mp4",
    ):
        (source / name).write_text("x", encoding="utf-8")
    listing = list_folder(source, suite)
    assert {file_name(take.prompt, take.sample) for take in listing.takes} == {
        file_name(KILN, 0),
        file_name(KILN, 1),
        file_name(LONG, 0),
    }
    assert (f"{LONG}-0.mp4", file_name(LONG, 0)) in listing.renamed
    assert len(listing.renamed) == 3 and listing.unknown == ("Unknown prompt.-0.mp4", "notes.txt")


@pytest.mark.parametrize("layout", ["flat", "by-dimension"])
def test_an_exact_name_wins_over_every_damaged_one_and_hidden_files_are_no_clips(tmp_path: Path, layout: str) -> None:
    suite = small_suite()
    source = fill(tmp_path / "in", suite, layout=layout)
    before = list_folder(source, suite)
    for path in [path for path in source.rglob("*.mp4")]:
        for name in (f"._{path.name}", f" {path.name}", path.name.upper().replace(".MP4", ".mp4")):
            path.with_name(name).write_text("not the clip")
    listing = list_folder(source, suite)
    assert listing.takes == before.takes and not listing.renamed
    assert len(listing.doubles) == 2 * len(before.takes) and not any("._" in name for name in listing.unknown)
    checked = check_folder(source, suite)
    advice = [each.detail for one in checked for each in one.problems if each.kind == "stray"]
    assert len(advice) == 3 * len(before.takes)
    assert {text.rpartition(", ")[2].rpartition(": ")[2] for text in advice} == {
        "remove it", "the folder must contain nothing else"
    }  # fmt: skip


def test_names_of_bytes_that_are_no_text_are_exported_under_the_right_name(tmp_path: Path) -> None:
    suite, source = small_suite(), tmp_path / "in"
    source.mkdir()
    (source / f"{KILN}-2.mp4".encode("cp1252").decode("utf-8", "surrogateescape")).write_text("clip")
    placing = place(list_folder(source, suite).takes, suite, "flat")
    done = write_export(placing, tmp_path / "out", model="m", suite=suite, layout="flat")
    assert done.num_written == 1 and (tmp_path / "out" / "m" / file_name(KILN, 2)).read_text() == "clip"


def test_of_two_damaged_names_of_one_clip_one_is_used_and_the_other_told(tmp_path: Path) -> None:
    suite, source = small_suite(), tmp_path / "in"
    source.mkdir()
    for name in (f"{PLAIN}-1.mp4", f"{PLAIN} -1.mp4"):
        (source / name).write_text("x")
    listing = list_folder(source, suite)
    assert [take.sample for take in listing.takes] == [1]
    assert (len(listing.renamed), len(listing.doubles)) == (1, 1)


def test_a_dimension_folder_of_the_exact_name_wins(tmp_path: Path) -> None:
    suite = small_suite()
    source = fill(tmp_path / "in", suite, layout="by-dimension")
    prompt = suite.prompts_of("Material")[0]
    for name in ("material", "-Material"):  # one stands after the exact name in the alphabet, and one before it
        (source / name).mkdir()
        (source / name / file_name(prompt, 0)).write_text("not the clip")
    found = {each.name: each for each in check_folder(source, suite)}
    assert found["Material"].num_found == found["Material"].num_expected
    listing = list_folder(source, suite)
    (kiln,) = (each for each in listing.takes if (each.dimension, each.prompt, each.sample) == ("Material", prompt, 0))
    assert kiln.source == source / "Material" / file_name(prompt, 0) and len(listing.doubles) == 2


def test_export_goes_on_where_it_stopped_and_never_mixes_models(tmp_path: Path) -> None:
    suite = small_suite()
    placing = place(list_folder(fill(tmp_path / "in", suite), suite).takes, suite, "flat")

    def export(**changes: object) -> tuple[int, int]:
        done = write_export(placing, tmp_path / "out", **{"model": "m", "suite": suite, "layout": "flat", **changes})  # type: ignore[arg-type]
        return done.num_written, done.num_kept

    num = len(suite.flat_names)
    assert export() == (num, 0)
    (tmp_path / "out" / "m" / suite.flat_names[4]).unlink()
    assert export() == (1, num - 1)
    other = place(list_folder(tmp_path / "in", suite).takes[:5], suite, "flat")
    with pytest.raises(InputError, match="lists another export"):
        write_export(other, tmp_path / "out", model="m", suite=suite, layout="flat")
    (tmp_path / "out" / "taken").mkdir()
    (tmp_path / "out" / "taken" / "x").write_text("x")
    with pytest.raises(InputError, match="contains other files"):
        export(model="taken")
    for name in ("../up", "a/b", "", ".hidden"):
        with pytest.raises(InputError, match="not a valid name"):
            export(model=name)


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clip of the suite"):
        write_export(place([], small_suite(), "flat"), tmp_path, model="m", suite=small_suite(), layout="flat")
    with pytest.raises(InputError, match="no such folder"):
        list_folder(tmp_path / "none", small_suite())


# ---------------------------------------------------------------------------------------------- check


def test_complete_folders_of_both_layouts_and_a_single_dimension_are_fine(tmp_path: Path) -> None:
    suite = small_suite()
    flat, arranged = fill(tmp_path / "flat", suite), fill(tmp_path / "m", suite, layout="by-dimension")
    probe = lambda path: LONG_ENOUGH  # noqa: E731
    for folder, num in ((flat, 1), (arranged, len(suite.names_by_dimension)), (arranged / "Material", 1)):
        found = check_folder(folder, suite, probe=probe)
        assert len(found) == num and not any(each.problems for each in found)
    assert [each.name for each in check_folder(arranged, suite, dimensions=["Material"])] == ["Material"]


def test_missing_and_stray_files_are_named_with_advice(tmp_path: Path) -> None:
    suite = small_suite()
    folder = fill(tmp_path / "flat", suite)
    (folder / file_name(KILN, 2)).rename(folder / f"{PLAIN}-2.mp4")
    (folder / ".DS_Store").write_bytes(b"")
    (folder / file_name("Two hens.", 3)).write_text("x")
    (checked,) = check_folder(folder, suite)
    assert checked.num_found == checked.num_expected - 1
    assert [each.path for each in checked.problems if each.kind == "missing"] == [file_name(KILN, 2)]
    stray = {each.path: each.detail for each in checked.problems if each.kind == "stray"}
    assert stray[".DS_Store"] == "a hidden file, no clip: the folder must contain nothing else"
    assert repr(file_name(KILN, 2)) in stray[f"{PLAIN}-2.mp4"]
    assert "samples 0 to 2" in stray[file_name("Two hens.", 3)]


def test_a_clip_of_another_dimension_and_an_absent_folder(tmp_path: Path) -> None:
    suite = small_suite()
    folder = fill(tmp_path / "m", suite, layout="by-dimension")
    (folder / "Material" / file_name("Two hens.", 0)).write_text("x")
    for path in (folder / "Composition").iterdir():
        path.unlink()
    (folder / "Composition").rmdir()
    found = {each.name: each for each in check_folder(folder, suite)}
    assert "another dimension" in found["Material"].problems[0].detail
    assert found["Composition"].num("missing") == 3 and found["Composition"].num_found == 0


def test_short_clips_are_found_by_what_each_dimension_needs(tmp_path: Path) -> None:
    suite = small_suite()
    folder = fill(tmp_path / "m", suite, layout="by-dimension")
    found = {each.name: each for each in check_folder(folder, suite, probe=lambda path: VideoFacts(20, 8.0))}
    assert {name for name, each in found.items() if each.num("short")} == {
        *("Camera_Motion", "Human_Identity", "Instance_Preservation")
    }
    detail = found["Instance_Preservation"].problems[0].detail
    assert detail == "2.50 s; Instance_Preservation needs 3 s"


def test_diversity_needs_equal_lengths(tmp_path: Path) -> None:
    suite = small_suite()
    folder = fill(tmp_path / "m", suite, layout="by-dimension")
    odd = file_name(SHARED, 7)
    found = check_folder(folder, suite, probe=lambda path: VideoFacts(80 if path.name == odd else 81, 16.0))
    uneven = [problem for each in found for problem in each.problems]
    assert [(each.kind, each.path) for each in uneven] == [("uneven", f"Diversity/{odd}")]
    assert "[80, 81] frames" in uneven[0].detail


def test_low_rates_need_more_frames_for_views() -> None:
    # g = int(40 / (3 r)), T - 1 >= 2 g: r = 1 at 8 fps gives g = 13, r = 2 at 16 fps gives g = 6.
    assert least_frames("Multi-View_Consistency", 8.0) == 27
    assert least_frames("Multi-View_Consistency", 16.0) == 21
    assert least_frames("Material", 8.0) == 1


def test_flat_folder_has_no_dimensions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="flat folder"):
        check_folder(fill(tmp_path / "flat", small_suite()), small_suite(), dimensions=["Material"])
    with pytest.raises(InputError, match="no such folder"):
        check_folder(tmp_path / "none", small_suite())


def test_probe_reads_length_and_rate_and_says_what_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, np.zeros((9, 16, 16, 3), np.uint8), 8.0)
    assert probe_video(path) == VideoFacts(num_frames=9, fps=8.0)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "page.mp4").write_text("<html>quota exceeded</html>")
    assert probe_video(tmp_path / "empty.mp4") == "0 bytes"
    assert isinstance(probe_video(tmp_path / "page.mp4"), str)
    assert isinstance(probe_video(tmp_path / "none.mp4"), str)


def test_unreadable_files_are_a_problem_of_their_own(tmp_path: Path) -> None:
    suite = small_suite()
    folder = fill(tmp_path / "Material", suite, layout="by-dimension") / "Material"
    (checked,) = check_folder(folder, suite, probe=probe_video)
    assert checked.num("unreadable") == 18 and checked.num_found == 18
