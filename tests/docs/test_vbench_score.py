"""The page "Score a folder with VBench-2.0" is executed, as it stands, on clips of two models."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from rushes.cli import main
from rushes.store.video import write_video
from rushes_vbench.names import file_name
from tests.support.odd_server import OddServer, replies
from tests.support.pages import blocks
from tests.support.suite import small_suite, suite_rows, write_suite
from tests.support.vbench_clips import moved

PAGE = "docs/vbench_score.md"
LINES = [line for block in blocks("sh", PAGE) for line in block.text.splitlines()]
"""Every command of the page."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page names: a copy of the suite, and clips of two models."""
    monkeypatch.chdir(tmp_path)
    prompts = [f"Barn {i}, zoom in." for i in range(3)]
    rows = [{"prompt_en": each, "dimension": ["Camera_Motion"], "auxiliary_info": "zoom_in"} for each in prompts]
    write_suite(tmp_path / "VBench", [*suite_rows(), *rows])
    for model, grow in (("my-model", 0.01), ("other-model", 0.0)):
        for number, prompt in enumerate([*prompts, *small_suite().prompts_of("Mechanics")]):
            clip = moved(grow=grow if number else 0.01, seed=number)
            small = clip.frames_THWC[::2, ::2, ::2]
            write_video(tmp_path / model / file_name(prompt, 0), small, clip.fps)
    return tmp_path


def test_every_command_of_the_page(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai")
    (recipe,) = blocks("yaml", PAGE)
    with OddServer(replies(lambda body: "Yes")) as server:
        (place / "scoring.yaml").write_text(recipe.text.replace("http://localhost:8001/v1", server.url))
        said = {}
        for line in LINES:
            assert main(shlex.split(line, comments=True)[1:]) == 0, line
            said[line] = capsys.readouterr().out
        num_asked = len(server.bodies)
        assert num_asked > 0
        assert main(shlex.split(LINES[1])[1:]) == 0 and len(server.bodies) == num_asked, "nothing is asked twice"
    first, *_, last = said.values()
    assert "Camera Motion" in first and "Mechanics needs judge" in first
    assert "Camera Motion" in last and "Mechanics" in last and "other-model minus my-model" in last
    kept = json.loads((place / "my-model.scores" / "scores.json").read_text())
    assert json.loads(said[LINES[4]].strip() or "{}")["model"] == kept["model"] == "my-model"
    assert (place / "official-rules" / "scores.json").exists()


def test_the_page_has_commands() -> None:
    assert len(LINES) == 6 and all(line.startswith("rushes vbench ") for line in LINES)
