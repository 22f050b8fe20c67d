"""Which reader reads a recipe's prompts: what its writer or its source of real clips brings, or plain English."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes.context import Context
from rushes.errors import UserError
from rushes.prompts.clip_check import check_clip_folder
from rushes.prompts.evaluation import Evaluation, evaluation
from rushes.prompts.plain_english import PlainEnglish
from rushes.prompts.reader import BringsReader
from rushes.prompts.real import real_material
from rushes.prompts.screen import ANYTHING, reader_of
from rushes.prompts.stage import write
from rushes.recipe.load import load_recipe, packaged_recipes
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import FixedWriterSpec, PromptsSpec, RealClipsSpec
from rushes.records import Focus
from rushes.roles import Spec
from rushes.store.run import Run
from rushes_sandbox.reader.shapes import ShapeReader
from rushes_sandbox.real_clips import write_clip_folder
from tests.support.own_reader import DETAIL
from tests.support.sandbox_recipe import REAL, SANDBOX, diagnose_spec, prompts_spec, sandbox_recipe

FIXED = FixedWriterSpec(path="prompts.jsonl")
OTHER = PluginSpec(use="tests.support.repeating_writer:RepeatingWriterSpec")


@pytest.mark.parametrize("name", packaged_recipes())
def test_recipes_of_the_sandbox_read_shapes_and_all_others_plain_english(name: str) -> None:
    expected = ShapeReader if name in ("sandbox", "tiny") else PlainEnglish
    assert type(reader_of(load_recipe(name).prompts)) is expected


def test_the_writer_brings_it_or_else_the_source_of_real_clips() -> None:
    assert isinstance(reader_of(PromptsSpec(writer=SANDBOX)), ShapeReader)
    assert isinstance(reader_of(PromptsSpec(writer=FIXED, real=REAL)), ShapeReader)
    assert isinstance(reader_of(PromptsSpec(writer=FIXED, real=RealClipsSpec(folder="clips"))), PlainEnglish)


def test_a_plug_in_without_a_reader_is_read_as_plain_english() -> None:
    assert isinstance(reader_of(PromptsSpec(writer=OTHER)), PlainEnglish)
    assert not isinstance(Spec(), BringsReader)


OWN = PluginSpec(use="tests.support.own_reader:OwnWriterSpec")
NO_PROMPTS = Evaluation(probes=(), held_out=())


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Context]:
    """A run whose writer brings a reader that refuses everything."""
    real = RealClipsSpec(source=SANDBOX, num_clips=2)
    prompts = prompts_spec(writer=OWN, num_weakness=2, oversample=1.0, real=real)
    recipe = sandbox_recipe(diagnose=diagnose_spec(dimensions=("Composition",), num_prompts=2), prompts=prompts)
    with Run.open(tmp_path / "run", recipe) as run:
        yield Context(recipe, run)


def test_every_stage_reads_with_what_the_plug_in_brings(own: Context) -> None:
    focus = Focus(
        dimension="Composition", baseline=0.5, low=0.4, high=0.6, gap=0.5, share=1.0, num_prompts=2, reason="named"
    )
    with pytest.raises(UserError):
        write(own, [focus], NO_PROMPTS, (), 0)
    assert {each.detail for each in own.rejections} == {DETAIL} and len(own.rejections) == 2
    assert real_material(own, NO_PROMPTS).captions == ()
    assert {each.detail for each in own.rejections} == {DETAIL} and len(own.rejections) > 2
    with pytest.raises(UserError):
        evaluation(own)


def test_the_check_of_a_folder_reads_with_it_too(own: Context, tmp_path: Path) -> None:
    folder = write_clip_folder(tmp_path / "clips", num_clips=2, seed=7).parent
    found = check_clip_folder(str(folder), own.recipe, ANYTHING)
    assert found.clips == () and all(DETAIL in row.detail for row in found.rows)
