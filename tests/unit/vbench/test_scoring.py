"""`rushes vbench score` and `compare`: what is scored once, what is told, and what a kill or damage costs."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rushes.cli import main
from rushes.records import Outcome, Scored
from rushes.roles import Failed
from rushes_vbench.metrics.core import not_applicable
from rushes_vbench.metrics.folder import Piece
from rushes_vbench.metrics.measurer import VBenchMeasurerSpec
from rushes_vbench.names import file_name
from rushes_vbench.scoring import score
from rushes_vbench.scoring.rules import SETTINGS, rules_of
from tests.support.suite import small_suite, suite_rows, write_suite

NUM_PROMPTS = 8
BARNS = tuple(f"Barn {i}, zoom in." for i in range(NUM_PROMPTS))

Capture = pytest.CaptureFixture[str]
Scorer = Callable[[Piece], Outcome | Failed]


@pytest.fixture
def suite(tmp_path: Path) -> str:
    rows = [{"prompt_en": each, "dimension": ["Camera_Motion"], "auxiliary_info": "zoom_in"} for each in BARNS]
    return str(write_suite(tmp_path / "suite", [*suite_rows(), *rows]))


def clips(folder: Path, samples: Sequence[int] = (0, 1, 2), prompts: Sequence[str] = BARNS) -> Path:
    """Files that differ, in a folder; nothing decodes them."""
    folder.mkdir(exist_ok=True)
    for prompt in prompts:
        for sample in samples:
            (folder / file_name(prompt, sample)).write_text(f"{folder.name} {prompt} {sample}")
    return folder


class Scripted:
    """Stands for all metrics: gives what it is told, and remembers what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[str, str, int]] = []
        self.gives: Scorer = lambda piece: Scored(value=float(piece.sample % 2))
        monkeypatch.setattr(score, "score_pieces", self._score)
        monkeypatch.setattr(score, "AT_ONCE", 2)

    def _score(self, pieces: Sequence[Piece], profile: str, models: object) -> list[Outcome | Failed]:
        self.seen += [(each.entry.dimension, each.entry.prompt, each.sample) for each in pieces]
        return [self.gives(each) for each in pieces]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    return Scripted(monkeypatch)


def scored(folder: Path, suite: str, *words: str) -> int:
    return main(["vbench", "score", str(folder), "--suite", suite, *words])


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"{folder}.scores/scores.json").read_text())
    return found


def dimension(folder: Path, name: str = "Camera_Motion") -> dict[str, Any]:
    return next(each for each in result(folder)["dimensions"] if each["dimension"] == name)


def test_scores_with_their_coverage_and_why_others_have_none(
    scripted: Scripted, suite: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = clips(tmp_path / "a", samples=(0, 1))
    clips(folder, samples=(0,), prompts=small_suite().prompts_of("Mechanics"))
    scripted.gives = lambda piece: not_applicable("no orbit") if piece.sample == 0 else Scored(value=1.0)
    assert scored(folder, suite, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == result(folder)
    camera, lost = dimension(folder), dimension(folder, "Mechanics")
    assert (camera["score"], camera["covered"], camera["low"] is None) == (1.0, 0.5, False)
    assert (camera["num_files"], camera["num_files_expected"], len(camera["missing"])) == (16, 27, 11)
    assert (camera["num_scored"], camera["num_not_applicable"], camera["num_failed"]) == (8, 8, 0)
    assert camera["reasons"] == [{"text": "not applicable: no orbit", "num": 8}]
    assert (lost["score"], lost["num_units"], lost["num_scored"]) == (None, 1, 0)
    assert "Mechanics needs judge" in lost["reasons"][0]["text"]
    assert {name for name, _, _ in scripted.seen} == {"Camera_Motion"}


def test_what_has_a_score_is_not_scored_again(scripted: Scripted, suite: str, tmp_path: Path) -> None:
    folder = clips(tmp_path / "a", samples=(0, 1))
    assert scored(folder, suite) == 0
    before, num = result(folder), len(scripted.seen)
    assert scored(folder, suite) == 0 and len(scripted.seen) == num and result(folder) == before
    (folder / file_name(BARNS[0], 0)).write_text("another clip")
    assert scored(folder, suite) == 0
    assert [place[1] for place in scripted.seen[num:]] == [BARNS[0], BARNS[0]]


def test_a_model_named_later_scores_no_other_dimension_again(scripted: Scripted, suite: str, tmp_path: Path) -> None:
    folder = clips(clips(tmp_path / "a", samples=(0,)), (0,), small_suite().prompts_of("Mechanics"))
    assert scored(folder, suite) == 0
    num = len(scripted.seen)
    judge = "measure.measurer.options.judge='rushes_sandbox.specs:JudgeSpec'"
    assert scored(folder, suite, "--set", judge) == 0
    assert [name for name, _, _ in scripted.seen[num:]] == ["Mechanics"]
    assert dimension(folder)["num_scored"] == NUM_PROMPTS and dimension(folder, "Mechanics")["num_scored"] == 1


def test_a_call_for_one_dimension_keeps_the_others_in_the_result(
    scripted: Scripted, suite: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = clips(clips(tmp_path / "a", samples=(0,)), (0,), small_suite().prompts_of("Mechanics"))
    judge = ("--set", "measure.measurer.options.judge='rushes_sandbox.specs:JudgeSpec'")
    assert scored(folder, suite, *judge, "--dimension", "mechanics") == 0
    assert [each["dimension"] for each in result(folder)["dimensions"]] == ["Mechanics"]
    assert scored(folder, suite, "--dimension", "Camera Motion") == 0
    assert [each["dimension"] for each in result(folder)["dimensions"]] == ["Camera_Motion"]
    assert scored(folder, suite, *judge, "--dimension", "Mechanics") == 0
    assert [each["dimension"] for each in result(folder)["dimensions"]] == ["Camera_Motion", "Mechanics"]
    (folder / file_name(BARNS[0], 1)).write_text("a new clip")
    assert scored(folder, suite, *judge, "--dimension", "Mechanics") == 0
    camera = dimension(folder)
    assert (camera["num_units"], camera["num_scored"]) == (NUM_PROMPTS + 1, NUM_PROMPTS)
    assert camera["reasons"] == [{"text": "not scored yet: it was not asked for", "num": 1}]
    assert len(scripted.seen) == NUM_PROMPTS + 1


def test_a_folder_named_after_a_dimension_is_that_dimension(scripted: Scripted, suite: str, tmp_path: Path) -> None:
    both = [*BARNS, *small_suite().prompts_of("Instance_Preservation")]
    judge = ("--set", "measure.measurer.options.judge='rushes_sandbox.specs:JudgeSpec'")
    for name, found in (
        ("camera motion", ["Camera_Motion"]),
        ("diversity", ["Camera_Motion", "Instance_Preservation"]),
    ):
        assert scored(clips(tmp_path / name, (0,), both), suite, *judge) == 0
        assert [each["dimension"] for each in result(tmp_path / name)["dimensions"]] == found


def test_every_setting_decides_the_dimensions_that_it_can_change() -> None:
    fields = set(VBenchMeasurerSpec.model_fields)
    listed = {name for names in SETTINGS.values() for name in names}
    assert fields - listed == {"suite", "profile"}, "a setting that stands nowhere decides every dimension"
    plain = VBenchMeasurerSpec()
    other = plain.model_copy(update={"detector": "owlv2", "suite": "elsewhere", "anomaly": "judge", "vgg19": "v"})
    changed = {"Human_Anatomy", "Instance_Preservation", "Diversity"}
    for name in ("Human_Anatomy", "Instance_Preservation", "Diversity", "Camera_Motion", "Mechanics", "Complex_Plot"):
        assert (rules_of(plain, name) != rules_of(other, name)) is (name in changed), name
    assert rules_of(plain, "Camera_Motion") != rules_of(VBenchMeasurerSpec(profile="compat"), "Camera_Motion")


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_after_a_kill_or_ctrl_c_the_same_command_goes_on(
    how: str, scripted: Scripted, suite: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = clips(tmp_path / "a", samples=(0, 1))
    calls: list[Piece] = []

    def interrupted(piece: Piece) -> Outcome:
        calls.append(piece)
        if len(calls) == 6:
            if how == "killed":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGINT)
        return Scored(value=float(piece.sample))

    scripted.gives = interrupted
    assert scored(folder, suite) == 130
    assert "run the same command to resume" in capsys.readouterr().err
    assert not Path(f"{folder}.scores/scores.json").exists()
    assert main(["vbench", "compare", str(folder), str(folder)]) == 2
    _, _, again = capsys.readouterr().err.rpartition("run the command again that scored it: rushes ")
    num = len(calls)
    assert main(shlex.split(again)) == 0
    assert len(calls) - num == 16 - (4 if how == "killed" else 6)
    assert dimension(folder)["score"] == 0.5 and dimension(folder)["num_scored"] == 16


def test_what_fails_in_passing_is_tried_again_by_the_same_command(
    scripted: Scripted, suite: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = clips(tmp_path / "a", samples=(0,))
    scripted.gives = lambda piece: Failed("Http500", "busy") if piece.entry.prompt == BARNS[0] else Scored(value=1.0)
    assert scored(folder, suite) == 2
    said = capsys.readouterr()
    assert "1 clips failed in passing" in said.err and "Http500: busy" in said.out
    assert (dimension(folder)["num_scored"], dimension(folder)["num_failed"]) == (7, 1)
    scripted.gives = lambda piece: Scored(value=1.0)
    assert scored(folder, suite) == 0 and dimension(folder)["num_scored"] == 8


@pytest.mark.parametrize("what", ["row", "database", "result"])
def test_damage_is_found_and_scored_again(
    what: str, scripted: Scripted, suite: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = clips(tmp_path / "a", samples=(0,))
    assert scored(folder, suite) == 0
    before, shelf = result(folder), Path(f"{folder}.scores")
    num = len(scripted.seen)
    if what == "row":
        with sqlite3.connect(shelf / "records.sqlite") as connection:
            connection.execute("UPDATE records SET body = replace(body, '0.0', '1.0') WHERE position = 3")
        connection.close()
    elif what == "database":
        (shelf / "records.sqlite").write_bytes(b"not a database" * 100)
    else:
        text = (shelf / "scores.json").read_text()
        (shelf / "scores.json").write_text(text.replace('"num_scored": 8', '"num_scored": 9'))
        assert main(["vbench", "compare", str(folder), str(folder)]) == 2
        assert "is not what was written" in capsys.readouterr().err
    assert scored(folder, suite) == 0 and result(folder) == before
    assert len(scripted.seen) - num == {"row": 2, "database": 8, "result": 0}[what]
    assert ("is scored again" in capsys.readouterr().err) is (what != "result")


def test_names_are_repaired_in_words_and_exact_ones_win(
    scripted: Scripted, suite: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = clips(tmp_path / "a", samples=(0,))
    (folder / f"{BARNS[0]}-1 (1).MP4").write_text("damaged")
    (folder / f"{BARNS[0].replace(' ', '%20')}-0.mp4").write_text("the same again")
    (folder / f"{BARNS[0]}-3.mp4").write_text("no such sample")
    (folder / f"._{BARNS[0]}-2.mp4").write_text("hidden")
    (folder / b"odd \xff.txt".decode("utf-8", "surrogateescape")).write_text("no clip")
    assert scored(folder, suite) == 0
    said, found = capsys.readouterr().out, result(folder)
    assert found["repaired"] == [[f"{BARNS[0]}-1 (1).MP4", f"{BARNS[0]}-1.mp4"]]
    assert found["doubles"] == ["Barn%200,%20zoom%20in.-0.mp4"]
    assert found["unknown"] == [f"{BARNS[0]}-3.mp4", "odd \\udcff.txt"]
    assert "names repaired: 1\n  'Barn 0, zoom in.-1 (1).MP4 -> Barn 0, zoom in.-1.mp4'" in said
    assert dimension(folder)["num_files"] == NUM_PROMPTS + 1


def test_video_files_of_other_kinds_are_scored_and_an_mp4_of_the_same_name_counts(
    scripted: Scripted, suite: str, tmp_path: Path
) -> None:
    folder = clips(tmp_path / "a", samples=(0,), prompts=BARNS[1:])
    for number, suffix in enumerate((".webm", ".MOV", ".gif", ".txt")):
        (folder / file_name(BARNS[0], number).replace(".mp4", suffix)).write_text(suffix)
    (folder / file_name(BARNS[1], 0).replace(".mp4", ".mkv")).write_text("the same clip again")
    assert scored(folder, suite) == 0
    found = result(folder)
    assert dimension(folder)["num_files"] == NUM_PROMPTS - 1 + 3 and not found["repaired"]
    assert found["doubles"] == [file_name(BARNS[1], 0).replace(".mp4", ".mkv")]
    assert found["unknown"] == [file_name(BARNS[0], 3).replace(".mp4", ".txt")]


def test_two_folders_are_compared_by_prompt_and_sample(
    scripted: Scripted, suite: str, tmp_path: Path, capsys: Capture
) -> None:
    a, b = clips(tmp_path / "a", samples=(0, 1)), clips(tmp_path / "b", samples=(1, 2))
    scripted.gives = lambda piece: Scored(value=0.0)
    assert scored(a, suite) == 0
    scripted.gives = lambda piece: Scored(value=float(piece.sample == 1))
    assert scored(b, suite) == 0
    capsys.readouterr()
    assert main(["vbench", "compare", str(a), f"{b}.scores", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    (row,) = card["rows"]
    assert (row["base"], row["tuned"], row["gain"], row["num_pairs"]) == (0.0, 0.5, 1.0, NUM_PROMPTS)
    assert (card["base_model"], card["tuned_model"], row["verdict"]) == ("a", "b", "better")
    assert main(["vbench", "compare", str(a), str(b)]) == 0
    assert "Paired gain: b minus a" in capsys.readouterr().out


def test_what_other_rules_scored_is_not_compared(
    scripted: Scripted, suite: str, tmp_path: Path, capsys: Capture
) -> None:
    a, b = clips(tmp_path / "a", samples=(0,)), clips(tmp_path / "b", samples=(0,))
    assert scored(a, suite) == 0 and scored(b, suite, "--profile", "compat") == 0
    capsys.readouterr()
    assert main(["vbench", "compare", str(a), str(b), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    (alone,) = [each for each in card["alone"] if each["dimension"] == "Camera_Motion"]
    assert not card["rows"] and alone["base"] == 0.0 and "not scored by the same rules" in alone["reason"]


def test_mistakes_are_user_errors_with_a_next_step(
    scripted: Scripted, suite: str, tmp_path: Path, capsys: Capture
) -> None:
    folder, several = clips(tmp_path / "a", samples=(0,)), tmp_path / "models"
    several.mkdir()
    clips(several / "base")
    other = tmp_path / "full"
    other.mkdir()
    (other / "notes.txt").touch()
    mechanics = clips(tmp_path / "m", (0,), small_suite().prompts_of("Mechanics"))
    for words, said in (
        ([str(tmp_path / "none")], "there is no such folder of clips"),
        ([str(several)], f"next:     one folder holds one model: rushes vbench score {several}/base"),
        ([str(other)], "has no clip of a VBench-2.0 prompt"),
        ([str(folder), "--dimension", "Mechanics"], "leave --dimension out"),
        ([str(folder), "--dimension", "Beauty"], "VBench-2.0 has no such dimension"),
        ([str(folder), "--out", str(other)], "name another folder with --out"),
        ([str(folder), "--out", str(folder / "scores")], "it is among the clips"),
        ([str(folder), "--recipe", "sandbox"], "the measurer of this recipe is not VBench-2.0's own scoring"),
        ([str(mechanics)], "the models that are named can score none of these dimensions"),
    ):
        assert main(["vbench", "score", *words, "--suite", suite]) == 2, words
        error = capsys.readouterr().err
        assert said in error and "Traceback" not in error, error
    assert main(["vbench", "compare", str(folder), str(folder)]) == 2
    assert f"by its suite: rushes vbench score {folder}" in capsys.readouterr().err
    assert main(["vbench", "compare", str(tmp_path / "none"), str(folder)]) == 2
    assert "there is no folder" in capsys.readouterr().err
