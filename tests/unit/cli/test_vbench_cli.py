"""`rushes vbench`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rushes.cli import main
from rushes.store.video import write_video
from tests.support.suite import small_suite, write_suite


@pytest.fixture
def suite(tmp_path: Path) -> str:
    return str(write_suite(tmp_path / "suite"))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Every clip of the small suite, flat."""
    write_video(tmp_path / "clip.mp4", np.zeros((25, 16, 16, 3), np.uint8), 8.0)
    data, folder = (tmp_path / "clip.mp4").read_bytes(), tmp_path / "clips"
    folder.mkdir()
    for name in small_suite().flat_names:
        (folder / name).write_bytes(data)
    return folder


def results(folder: Path, values: list[int]) -> str:
    """Official results of Material, whose six prompts get these values."""
    prompts = small_suite().prompts_of("Material")
    listed = [
        {"video_path": f"m/Material/{prompt}-{i}.mp4", "video_results": value}
        for prompt, value in zip(prompts, values, strict=True)
        for i in range(3)
    ]
    folder.mkdir()
    (folder / "results_2026-01-31-12:00:00_eval_results.json").write_text(
        json.dumps({"Material": [sum(values) / 6, listed]}), encoding="utf-8"
    )
    return str(folder)


def test_export_then_check_is_fine(suite: str, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["vbench", "export", str(clips), out, "--suite", suite, "--name", "my-model"]) == 0
    said = capsys.readouterr().out
    assert "prompts of neither the repository nor the wheel" in said and "clips written" in said
    assert main(["vbench", "check", f"{out}/my-model", "--suite", suite]) == 0
    assert "ready for the official evaluator" in capsys.readouterr().out


def test_check_ends_with_1_and_names_what_is_wrong(suite: str, clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted(clips.iterdir())[:7]:
        path.unlink()
    (clips / "Thumbs.db").write_bytes(b"")
    assert main(["vbench", "check", str(clips), "--suite", suite, "--names-only"]) == 1
    said = capsys.readouterr().out
    assert said.count("missing: '") == 5 and "missing: and 2 more of all; list them with --all" in said
    assert "stray: 'Thumbs.db'" in said and "would fail" in said
    assert main(["vbench", "check", str(clips), "--suite", suite, "--names-only", "--all"]) == 1
    assert capsys.readouterr().out.count("missing: '") == 7


def test_import_shows_means_and_doubts(suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vbench", "import", results(tmp_path / "er", [1, 1, 1, 0, 0, 0])]) == 0
    said = capsys.readouterr().out
    assert "50.00" in said and "18/18" in said
    assert "doubt: Material: 18 rows; a complete evaluation has 150" in said
    assert "1 of 18 dimensions; as in the official script, the others count as 0" in said
    assert main(["vbench", "import", results(tmp_path / "again", [1, 1, 1, 0, 0, 0]), "--suite", suite]) == 0
    assert "doubt:" not in capsys.readouterr().out


def test_import_of_two_models_compares_them_and_marks_published_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, tuned = results(tmp_path / "base", [0, 0, 0, 0, 0, 0]), results(tmp_path / "tuned", [1, 1, 1, 1, 1, 0])
    assert main(["vbench", "import", base, "--tuned", tuned, "--published"]) == 0
    said = capsys.readouterr().out
    line = next(text for text in said.splitlines() if text.strip().startswith("Material") and "+83.33" in text)
    assert "69.64" in line and "72.32" in line and "+2.68" in line
    assert "points are excluded in Material." in said or "A loss is excluded in Material." in said
    assert "[Wan2.1]" in said and "published by others, not measured here" in said and "arxiv.org" in said
    assert main(["vbench", "import", base, "--tuned", tuned]) == 0
    assert "Wan2.1" not in capsys.readouterr().out


def test_import_prints_json_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, tuned = results(tmp_path / "base", [0, 0, 0, 0, 0, 0]), results(tmp_path / "tuned", [1, 1, 1, 1, 1, 1])
    assert main(["vbench", "import", base, "--tuned", tuned, "--json", "--method", "wheel 0.1.1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["results"][0]["method"] == "wheel 0.1.1"
    assert found["scorecard"]["rows"][0]["gain"] == 1.0


def test_power_and_dimensions_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vbench", "power", "--prompts", "50"]) == 0
    usual = capsys.readouterr().out
    assert "50 x 3" in usual and "Assumed, not measured" in usual and "approximation" in usual
    assert "If the seed fixed nothing, the first line, alone, would say 12.0" in usual and " 8.9 " in usual
    assert main(["vbench", "power", "--prompts", "50", "--same-seed", "0"]) == 0
    unpaired = capsys.readouterr().out
    assert " 12.0 " in unpaired and " 12.0 " not in usual
    assert main(["vbench", "power"]) == 0
    assert "Complex Plot" in capsys.readouterr().out
    assert main(["vbench", "dimensions"]) == 0
    listed = capsys.readouterr().out
    assert "CC-BY-NC-4.0" in listed and "Multi-View Consistency counts as not covered" in listed


def test_mistakes_are_user_errors(suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vbench", "check", str(tmp_path), "--suite", str(tmp_path / "none")]) == 2
    assert main(["vbench", "check", str(tmp_path), "--suite", suite, "--dimension", "Beauty"]) == 2
    assert main(["vbench", "import", str(tmp_path / "none")]) == 2
    assert main(["vbench", "export", str(tmp_path / "none"), str(tmp_path / "out"), "--suite", suite]) == 2
    assert main(["vbench", "scorecard", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
