"""`rushes init`: a recipe with everything explained, and nothing written over unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.cli import main
from rushes.recipe.load import load_recipe, packaged_recipes
from rushes.recipe.template import notes_in


def test_init_writes_the_packaged_recipe_with_everything_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "mine.yaml"
    assert main(["init", str(file), "--from", "tiny"]) == 0
    assert load_recipe(file) == load_recipe("tiny").model_copy(update={"name": "mine"})
    assert f"rushes run {file}" in capsys.readouterr().out


def test_init_writes_over_nothing_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("precious")
    assert main(["init", str(file)]) == 2
    assert "--force" in capsys.readouterr().err
    assert file.read_text() == "precious"
    assert main(["init", str(file), "--force"]) == 0
    assert load_recipe(file).name == "mine"


def test_init_prints_to_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "-"]) == 0
    assert capsys.readouterr().out.startswith("# A recipe")


def test_init_says_when_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file" / "recipe.yaml")]) == 2
    assert f"{tmp_path / 'file'} is in the way" in capsys.readouterr().err
    assert main(["init", str(tmp_path), "--force"]) == 2
    assert f"cannot write {tmp_path}" in capsys.readouterr().err


def test_init_keeps_the_notes_of_the_recipe_and_marks_what_to_edit(capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in packaged_recipes().items():
        assert main(["init", "-", "--from", name]) == 0
        written = capsys.readouterr().out
        notes = notes_in(text)
        assert notes[""]
        assert name == "tiny" or notes["judge"]
        for lines in notes.values():
            assert "\n".join(lines) in written, name
        assert written.count("# EDIT\n") == 5
        assert "# EDIT\n  # A diffusers folder" in written


def test_notes_stand_above_the_section_that_they_are_about() -> None:
    assert notes_in("# Head.\nname: x\n\n# Lost.\n\n# Above.\n# And on.\nbase: {}\n") == {
        "": ["# Head."],
        "base": ["# Above.", "# And on."],
    }
