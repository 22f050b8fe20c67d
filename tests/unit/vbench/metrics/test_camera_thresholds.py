"""The benchmark that says which speeds Camera_Motion tells apart: its cells mean what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[4] / "benchmarks" / "camera_thresholds.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_camera_thresholds", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_slow_moves_are_still_and_faster_ones_are_found(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    moves = ["pan right", "tilt up", "zoom in"]
    script.main(["--moves", *moves, "--amounts", "0.3", "10", "--seeds", "1"])
    head, _, *rows = capsys.readouterr().out.strip().split("\n")
    assert head == "| fixed | 0.3 %/s | 10 %/s |"
    assert rows == [f"| {move} | still | yes |" for move in moves]


def test_what_is_neither_is_named(script: ModuleType) -> None:
    assert script.cell("zoom in", 10.0, "compat", [0], 0.0) == "oblique+pan_left+tilt_up+zoom_in"
    assert script.cell("pan right", 10.0, "compat", [0], 3.0) == "yes"
