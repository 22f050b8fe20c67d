"""The page "Train on your own scored videos" is executed: its table, its recipe, its commands, on a tiny model."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from rushes.cli import main
from rushes.recipe.load import load_recipe
from rushes.store.run import Run
from rushes.store.video import write_video
from rushes_sandbox.real_clips import sandbox_real_clips
from tests.support.pages import blocks

PAGE = "docs/own_scored_videos.md"


def only_block(kind: str) -> str:
    (found,) = [block.text for block in blocks(kind, PAGE)]
    return found


def test_the_commands_of_the_page_train_and_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_videos").mkdir()
    Path("my_videos/metadata.jsonl").write_text(only_block("json"), encoding="utf-8")
    rows = [json.loads(line) for line in only_block("json").splitlines()]
    for row, clip in zip(rows, sandbox_real_clips(len(rows)), strict=True):
        write_video(Path("my_videos") / row["file_name"], clip.load().frames_THWC, 8.0)
    written = only_block("yaml").replace("from: wan2.1-1.3b-lora-24gb", "from: tiny")
    written = written.replace("folder: my_videos,", "folder: my_videos, source: null,")
    written = written.replace("{kind: flow}\n", "{kind: flow}\n  lora: {rank: 2, alpha: 2}\n")
    Path("mine.yaml").write_text(written, encoding="utf-8")
    for line in only_block("sh").splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    shown = capsys.readouterr().out
    assert "2 used" in shown and "rushes export lora runs/mine" in shown
    (generate,) = [line for line in shown.splitlines() if line.split()[:2] == ["generate", "0"]]
    assert "nothing to do" in generate, "the plan has no generation"
    assert (tmp_path / "runs/mine/export/lora/pytorch_lora_weights.safetensors").is_file()
    with Run.view(tmp_path / "runs/mine") as run:
        assert {clip.origin for clip in run.clips.all()} == {"real"}
        assert main(["status", "runs/mine"]) == 0


def test_the_recipe_of_the_page_can_be_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(only_block("yaml"), encoding="utf-8")
    recipe = load_recipe(str(path))
    assert recipe.prompts.only_real and not recipe.is_measured
