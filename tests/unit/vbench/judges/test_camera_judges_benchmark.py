"""The benchmark of the camera judges on one clip: each row of its table is there, and the easy one is right."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[4] / "benchmarks" / "camera_judges.py"


@pytest.mark.slow
def test_each_tracker_has_a_row_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("benchmark_camera_judges", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.print_synthetic(1, ("pan_right",))
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].removeprefix("| ") for row in rows] == ["dense_flow", "lucas_kanade"] * 4
    assert rows[0][1:3] == ["clean", "1 of 1"] and rows[0][3] == "0" and float(rows[0][4]) > 0.9
