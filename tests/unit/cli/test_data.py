"""`rushes data`: the table of a folder before a run, its contact sheet, and a table made of caption files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rushes.cli import main
from rushes.store.video import write_video


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good clips, a short one, and a file whose name a terminal would obey."""
    home = tmp_path / "my clips"
    for i, (name, num) in enumerate((("a", 17), ("b", 40), ("short", 4))):
        frames = np.full((num, 64, 64, 3), 60 * i + 60, np.uint8)
        write_video(home / f"{name}.mp4", frames, 8.0, lossless=True)
        (home / f"{name}.txt").write_text(f"a red circle moves {('up', 'down', 'to the left')[i]}")
    (home / "\x1b[31m.mp4").write_text("x")
    return home


def test_the_table_is_printed_without_a_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sheet = tmp_path / "sheet.png"
    assert main(["data", "check", str(folder), "--recipe", "sandbox", "--sheet", str(sheet)]) == 0
    shown = capsys.readouterr().out
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert " used " in lines["a.mp4"] and " cut " in lines["b.mp4"] and "2.88" in lines["b.mp4"]
    assert "lasts 0.50 s; 2.12 s are needed" in lines["short.mp4"]
    assert "\\x1b[31m.mp4" in lines and "\x1b" not in shown
    assert "2 clips of 2.12 s, 64x64 px" in shown
    assert f"rushes data table '{folder}'" in shown
    picture = cv2.imread(str(sheet))
    assert picture is not None and picture.shape == (164, 328, 3)
    assert abs(int(picture[100, 80, 0]) - 60) <= 2 and abs(int(picture[100, 80 + 164, 0]) - 120) <= 2
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["my clips"], "no run was begun"


def test_the_table_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change = ["--set", "prompts.real.windows=all"]
    assert main(["data", "check", str(folder), "--recipe", "sandbox", "--json", *change]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["a.mp4"]["outcome"] == "used" and rows["short.mp4"]["reason"] == "too_short"


def test_the_offered_table_is_written_and_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "table", str(folder)]) == 0
    assert len((folder / "metadata.jsonl").read_text().splitlines()) == 3
    assert "3 rows" in capsys.readouterr().out
    assert main(["data", "check", str(folder), "--recipe", "sandbox"]) == 0
    assert "data table" not in capsys.readouterr().out


def test_a_folder_without_a_usable_clip_and_a_sheet_that_is_no_picture_are_errors(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(folder), "--recipe", "sandbox", "--sheet", "sheet.pdf"]) == 2
    assert "sheet.jpg" in capsys.readouterr().err
    assert main(["data", "check", str(folder), "--recipe", "wan2.1-1.3b"]) == 2
    assert "can be used" in capsys.readouterr().err
