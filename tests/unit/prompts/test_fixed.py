"""A list of prompts: taken in order, and every bad line named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rushes.errors import InputError
from rushes.prompts.fixed import FixedWriter
from rushes.prompts.write import build_writer
from rushes.recipe.prompts import FixedWriterSpec
from rushes.recipe.runtime import RuntimeSpec
from rushes.records import Origin
from rushes.roles import Brief, Draft, Failed


def brief(dimension: str, index: int, origin: Origin = "weakness") -> Brief:
    return Brief(dimension, "", (), (), origin, index, 0)


def test_lines_are_given_in_order_by_dimension_and_origin(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "dimension": "Up", "questions": {"is it red?": "yes", "is it blue?": "no"}},
        {"text": "b", "dimension": "Down", "base_text": "base"},
        {"text": "c", "dimension": "Up"},
        {"text": "d", "dimension": "Up", "origin": "probe"},
    ]
    (tmp_path / "p.jsonl").write_text("\ufeff" + "\n\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    writer = build_writer(FixedWriterSpec(path=str(tmp_path / "p.jsonl")), RuntimeSpec())
    found = writer.write([brief("Up", 1), brief("Up", 0), brief("Down", 0), brief("Up", 0, "probe"), brief("Up", 2)])
    drafts = [each for each in found if isinstance(each, Draft)]
    assert [draft.text for draft in drafts] == ["c", "a", "b", "d"]
    assert [(q.text, q.expected, q.dimension) for q in drafts[1].questions] == [
        ("is it red?", "yes", "Up"), ("is it blue?", "no", "Up")
    ]  # fmt: skip
    assert (drafts[2].base_text, drafts[2].source) == ("base", "p.jsonl line 3")
    assert isinstance(found[4], Failed)
    assert "number 3 was requested" in found[4].message
    assert isinstance(writer, FixedWriter)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ('"text"', "expected an object"),
        ('{"text": " ", "dimension": "Up"}', "expected text in 'text'"),
        ('{"text": "a"}', "expected text in 'dimension'"),
        ('{"text": "a", "dimension": "Up", "txt": 1}', "unknown entries"),
        ('{"text": "a", "dimension": "Up", "origin": "caption"}', "expected origin"),
        ('{"text": "a", "dimension": "Up", "questions": {"is it?": "maybe"}}', "'yes' or 'no'"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "p.jsonl").write_text('{"text": "a", "dimension": "Up"}\n' + line)
    with pytest.raises(InputError, match="line 2") as caught:
        FixedWriter.read(FixedWriterSpec(path=str(tmp_path / "p.jsonl")))
    assert says in str(caught.value)


def test_no_file_and_no_lines_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        FixedWriter.read(FixedWriterSpec(path=str(tmp_path / "p.jsonl")))
    (tmp_path / "p.jsonl").write_text("\n\n")
    with pytest.raises(InputError, match="holds no prompts"):
        FixedWriter.read(FixedWriterSpec(path=str(tmp_path / "p.jsonl")))
