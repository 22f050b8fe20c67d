"""What questions need of a clip comes from the packages that bring the dimensions, and enters keys by its value."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from rushes.dimensions import catalogue
from rushes.errors import InputError
from rushes.extensions import extensions
from rushes.judge import question_needs as module
from rushes.judge.asked import asked_hash, num_frames_for
from rushes.judge.question_needs import GROUP, QuestionNeeds, all_needs, question_needs
from rushes.recipe.models import ServerModelSpec, VlmJudgeSpec
from rushes_sandbox.grammar import DIMENSIONS
from tests.support.sandbox_recipe import CATALOGUE, VBENCH_CATALOGUE

SPEC = VlmJudgeSpec(model=ServerModelSpec(model="m"))
GOLDEN = "e5be87db0e5442e0798964e8cbe87b5d357ddec3f1ec68e83062baee3b6b7511"
"""Of the template and the numbers of frames as they are now: answers of earlier runs are found by it."""


@pytest.fixture
def abroad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another distribution's package; returns its file of needs."""
    folder = tmp_path / "abroad"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / module.FILE).write_text("Darkness: {num_frames: 3, of_clip: [picture]}\nComposition: {num_frames: 99}\n")
    monkeypatch.syspath_prepend(tmp_path)
    offered = {"abroad": EntryPoint("abroad", "abroad", GROUP), **extensions(GROUP)}
    monkeypatch.setattr(module, "extensions", lambda group: offered)
    yield folder / module.FILE
    module._read.cache_clear()
    sys.modules.pop("abroad", None)


def test_the_plug_ins_say_what_all_their_dimensions_need() -> None:
    single = {each.name for name in (CATALOGUE, VBENCH_CATALOGUE) for each in catalogue(name) if not each.group}
    assert set(all_needs()) == single | set(DIMENSIONS)
    both = [module._read(package) for package in ("rushes_sandbox", "rushes_vbench")]
    assert all(both[0][name] == both[1][name] for name in both[0].keys() & both[1].keys())


def test_a_dimension_that_no_package_knows_gets_the_usual() -> None:
    assert question_needs("something new") == QuestionNeeds() == QuestionNeeds(num_frames=8, of_clip=("prompt",))


def test_the_numbers_of_frames_enter_keys_by_value() -> None:
    assert asked_hash(SPEC, ()) == asked_hash(SPEC, ("Composition", "something new")) == GOLDEN


def test_another_package_counts_for_its_own_dimensions_only(abroad: Path) -> None:
    assert question_needs("Darkness").of_clip == ("picture",)
    assert (num_frames_for("Darkness", SPEC), num_frames_for("Composition", SPEC)) == (3, 6)
    assert asked_hash(SPEC, ("Composition",)) == GOLDEN, "an installed package changes no key that it has no part in"
    before = asked_hash(SPEC, ("Darkness",))
    assert before != GOLDEN
    abroad.write_text("Darkness: {num_frames: 4}\n")
    module._read.cache_clear()
    assert asked_hash(SPEC, ("Darkness",)) != before


@pytest.mark.parametrize(
    ("text", "says"), [("Darkness: {of_clip: [light]}", "of_clip"), ("- a list", "dict"), ("a: [", "while parsing")]
)
def test_a_file_that_cannot_be_used_is_named(abroad: Path, text: str, says: str) -> None:
    abroad.write_text(text)
    with pytest.raises(InputError, match="of the package abroad") as caught:
        question_needs("Composition")
    assert says in str(caught.value)
