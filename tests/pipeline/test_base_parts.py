"""The base model is its whole folder: another decoder or text encoder under a run is another model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from rushes.errors import RecipeChanged
from rushes.families.weights import hash_model
from rushes.pipeline import improve
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_wan(tmp_path_factory.mktemp("model"))


def altered(folder: Path, part: str) -> None:
    """Change one value of a part's weights, or one setting of a part without weights."""
    weights = next((folder / part).glob("*.safetensors"), None)
    if weights is not None:
        tensors = load_file(weights)
        name = sorted(tensors)[0]
        tensors[name] = tensors[name] + 1
        save_file(tensors, weights, {"format": "pt"})
    else:
        file = sorted((folder / part).glob("*.json"))[0]
        file.write_text(file.read_text(encoding="utf-8").replace("{", '{"changed": 1, ', 1), encoding="utf-8")


@pytest.mark.parametrize("part", PARTS)
def test_every_part_counts(model: Path, tmp_path: Path, part: str) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    assert hash_model(copy) == hash_model(model), "the place does not count"
    altered(copy, part)
    assert hash_model(copy) != hash_model(model)


def test_notes_and_hidden_files_do_not_count(model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    for name in ("README.md", "vae/README.md", "vae/._config.json"):
        (copy / name).write_text("a note", encoding="utf-8")
    assert hash_model(copy) == hash_model(model)


@pytest.mark.parametrize("part", ["vae", "text_encoder"])
def test_a_part_that_changes_under_a_run_is_told_and_never_mixed_in(model: Path, tmp_path: Path, part: str) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "model"))
    recipe, home = tiny_recipe(copy), tmp_path / "run"
    improve(recipe, home, until="generate")
    altered(copy, part)
    with pytest.raises(RecipeChanged, match=r"files of base\.model") as told:
        improve(recipe, home)
    assert "--allow-change" in (told.value.next_step or "")
    assert improve(recipe, home, allow_change=True) is not None
    with Run.view(home) as run:
        compared = [c for c in run.clips.all() if run.prompts.get(c.prompt_key).origin == "held_out"]
        models = {clip.model for clip in compared}
        bases = {each.parent for each in run.checkpoints.all()}
    assert len(models) == 2 and len(bases) == 1, "both sides of the comparison come from the same files"


def test_a_finished_run_tells_of_it_too(model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "model"))
    recipe, home = tiny_recipe(copy), tmp_path / "run"
    scorecard = improve(recipe, home)
    assert improve(recipe, home) == scorecard, "nothing changed: nothing is done"
    altered(copy, "vae")
    with pytest.raises(RecipeChanged):
        improve(recipe, home)
