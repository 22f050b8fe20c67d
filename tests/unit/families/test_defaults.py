"""The usual settings of each family, as the documentation lists them."""

from pathlib import Path

import pytest

from rushes.families.defaults import USUAL, in_words
from rushes.families.folder import FAMILIES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "families.md"


def test_every_family_has_its_usual_settings() -> None:
    assert set(USUAL) == set(FAMILIES.values())


@pytest.mark.parametrize("family", USUAL)
def test_the_documented_table_is_true(family: str) -> None:
    usual = USUAL[family]
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    row = [line for line in lines if line.startswith(f"| `{family}` |")][-1]
    sampler, shape = usual.sampler, usual.shape
    cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
    assert cells == [
        sampler.scheduler,
        str(sampler.num_steps),
        f"{sampler.guidance_scale:g}",
        f"{sampler.shift:g}",
        f"{shape.num_frames} of {shape.height_px} x {shape.width_px} at {shape.fps:g} fps",
        str(usual.max_tokens),
    ]
    assert str(sampler.scheduler) in in_words(family)
