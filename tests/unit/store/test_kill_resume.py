"""Killed at random points, at least 20 times, a run ends with exactly the records of an uninterrupted one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from rushes.store.check import examine
from rushes.store.run import Run

SCRIPT = Path(__file__).with_name("kill_many.py")


def run_script(home: Path, num_kills: int, seed: int) -> int:
    """Run the job in `home` and return how often it was killed."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(home), str(num_kills), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def contents(home: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """All records without wall-clock fields, and all damaged files."""
    with Run.view(home) as run:
        records = [record.content() for table in (run.prompts, run.clips) for record in table.all()]
        return records, [each.place for each in examine(home).findings]


def test_killed_run_equals_uninterrupted_run(tmp_path: Path) -> None:
    assert run_script(tmp_path / "straight", 0, 0) == 0
    assert run_script(tmp_path / "killed", 24, 1) >= 20
    straight, killed = contents(tmp_path / "straight"), contents(tmp_path / "killed")
    assert len(straight[0]) == 260
    assert killed == straight
    assert killed[1] == ["scorecard.json"], "the toy job makes none"
    assert list((tmp_path / "killed" / "blobs" / "tmp").glob("*")) == []
