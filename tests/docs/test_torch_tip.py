"""The README's tip for a small torch: with the extra index pip takes its build, under the pin of the constraints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make_index(folder: Path, version: str) -> str:
    """A package index with one wheel of torch, empty but for its metadata."""
    home = folder / "torch"
    home.mkdir(parents=True)
    name, info = f"torch-{version}-py3-none-any.whl", f"torch-{version}.dist-info"
    with zipfile.ZipFile(home / name, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    (home / "index.html").write_text(f'<a href="{name}">{name}</a>')
    return folder.as_uri()


def chosen(environment: dict[str, str]) -> str:
    """What pip would install, as the Makefile asks for it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    options = ["--dry-run", "--ignore-installed", "-c", "constraints.txt"]
    command = [sys.executable, "-m", "pip", "install", *options, "torch"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = re.search(r"Would install torch-(\S+)", done.stdout)
    assert found is not None, done.stdout
    return found[1]


@pytest.mark.slow
def test_the_extra_index_wins(tmp_path: Path) -> None:
    tip = re.search(r"`(PIP_\w+)=(https://\S+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert tip is not None and tip[2] == "https://download.pytorch.org/whl/cpu"
    pinned = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None
    usual, small = make_index(tmp_path / "usual", pinned[1]), make_index(tmp_path / "small", f"{pinned[1]}+cpu")
    assert chosen({"PIP_INDEX_URL": usual}) == pinned[1]
    assert chosen({"PIP_INDEX_URL": usual, tip[1]: small}) == f"{pinned[1]}+cpu"
