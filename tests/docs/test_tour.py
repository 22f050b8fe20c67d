"""The tour is what the parts say of themselves, and leaves none out."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.tour import ORDER, PAGE, page, words_of

NAMED = [part for _, parts in ORDER for part in parts]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it again: python -m lab.tour"


def test_every_part_is_named(root: Path) -> None:
    core = root / "src" / "rushes"
    parts = [f"rushes/{path.name}" for path in core.iterdir() if (path / "__init__.py").exists()]
    loose = [f"rushes/{path.name}" for path in core.glob("*.py") if not path.name.startswith("__")]
    assert sorted(NAMED) == sorted([*parts, *loose, "rushes_sandbox", "rushes_vbench"])


@pytest.mark.parametrize("part", NAMED)
def test_a_part_says_what_it_is(part: str) -> None:
    assert 20 < len(words_of(part)) < 700, "two sentences: what it is; who uses it and what it does not know"
