"""Which reader reads a recipe's prompts: what its writer or its source of real clips brings, or plain English."""

from __future__ import annotations

import pytest

from rushes.prompts.plain_english import PlainEnglish
from rushes.prompts.reader import BringsReader
from rushes.prompts.screen import reader_of
from rushes.recipe.load import load_recipe, packaged_recipes
from rushes.recipe.plugin import PluginSpec
from rushes.recipe.prompts import FixedWriterSpec, PromptsSpec, RealClipsSpec
from rushes.roles import Spec
from rushes_sandbox.reader.shapes import ShapeReader
from tests.support.sandbox_recipe import REAL, SANDBOX

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
