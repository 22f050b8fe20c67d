"""What pyproject.toml asks for: bounds that agree with each other, with constraints.txt, and with what is imported."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRA = [Requirement(text) for texts in PROJECT["optional-dependencies"].values() for text in texts]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
DISTRIBUTIONS = {"PIL": "pillow", "cv2": "opencv-python-headless", "yaml": "pyyaml"}
"""Where a library is imported by another name than it is installed by."""
OPTIONAL = {"httpx2", "insightface", "openai", "packaging", "pyarrow", "torchvision", "huggingface_hub", "markupsafe"}
"""Extras, what comes with a dependency, and what only a user's own judge needs."""
KNOWN_BY_NAME = (
    "diffusers",
    "transformers",
    "peft",
    "safetensors",
    "tokenizers",
    "pydantic",
    "huggingface_hub",
    "torch",
)


def imported() -> dict[str, set[tuple[str, str | None]]]:
    """Module and name of every import from a library, deferred ones included, by library."""
    found: dict[str, set[tuple[str, str | None]]] = {}
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                pairs = [(node.module, each.name) for each in node.names]
            elif isinstance(node, ast.Import):
                pairs = [(each.name, None) for each in node.names]
            else:
                continue
            for module, name in pairs:
                top = module.partition(".")[0]
                if top not in sys.stdlib_module_names and not top.startswith("rushes"):
                    found.setdefault(top, set()).add((module, name))
    return found


@pytest.mark.parametrize("needed", [*NEEDED, *EXTRA], ids=lambda each: each.name)
def test_a_bound_is_below_and_never_above(needed: Requirement) -> None:
    operators = {each.operator for each in needed.specifier}
    assert operators == {">="}, "an upper bound keeps somebody from the torch that fits their driver"


def test_every_pin_is_within_the_bounds() -> None:
    pins = {name.lower().replace("_", "-"): version for name, version in PINS.items()}
    for each in (*NEEDED, *EXTRA):
        pin = pins.get(each.name.lower().replace("_", "-"))
        assert pin is None or each.specifier.contains(Version(pin)), f"{each}: pinned {pin}"


def test_what_is_imported_is_asked_for() -> None:
    asked = {each.name.lower() for each in NEEDED}
    lacking = {top for top in imported() if DISTRIBUTIONS.get(top, top).lower() not in asked} - OPTIONAL
    assert lacking == set()


@pytest.mark.parametrize("library", KNOWN_BY_NAME)
def test_every_imported_name_is_there(library: str) -> None:
    """Run by hand with older versions in front on PYTHONPATH, it tells which bound is too low."""
    lacking = []
    for module, name in sorted(imported()[library], key=str):
        there = importlib.import_module(module)
        if name is not None and not hasattr(there, name):
            lacking.append(f"{module}.{name}")
    assert lacking == []
