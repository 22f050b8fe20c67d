"""A cleaned run is still done, checks clean, reports and exports; what needs a cleaned file makes it again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rushes.cli.app import app
from rushes.pipeline import improve
from rushes.recipe.recipe import Recipe
from rushes.store import clean as cleaning
from rushes.store.check import examine
from rushes.store.clean import clean, what_may_go
from rushes.store.run import Run
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    plain = tiny_recipe(make_tiny_wan(tmp_path_factory.mktemp("model")))
    return plain.model_copy(update={"generate": plain.generate.model_copy(update={"latents": "sampler"})})


@pytest.fixture(scope="module")
def once(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("once") / "run"
    improve(recipe, home, check_first=False)
    return home


@pytest.fixture
def home(once: Path, tmp_path: Path) -> Path:
    """A finished run with something of every part."""
    home = tmp_path / "run"
    shutil.copytree(once, home)
    for name in ("previews/ab/step-000050-0.mp4", "llm/eyes/ab/cd.json", "scratch/ab/state.safetensors"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_bytes(b"{}" * 10)
    (home / "llm" / "cost-eyes.jsonl").write_bytes(b"")
    with Run.open(home, {}, allow_change=True) as run:
        run.blobs.put_bytes(b"named by nobody", ".bin")
    (home / "done").write_bytes((once / "done").read_bytes())
    return home


def texts(home: Path) -> dict[str, bytes]:
    return {name: (home / name).read_bytes() for name in ("scorecard.json", "report.html", "done")}


def test_a_cleaned_run_is_done_and_checks_clean(home: Path) -> None:
    before, parts = texts(home), what_may_go(home)
    assert [part.name for part in parts] == ["leftovers", "states", "curves", "previews", "replies", "latents"]
    size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    with Run.view(home) as run:
        records = {name: table.all() for name, table in run.tables().items()}
    freed = clean(home, [part.name for part in parts])
    assert freed == sum(part.num_bytes for part in parts) > 0
    left = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    assert size - left == pytest.approx(freed, abs=200_000)  # the database notes what is gone
    assert what_may_go(home) == () and texts(home) == before
    assert (home / "llm" / "cost-eyes.jsonl").exists(), "what was spent is never forgotten"
    with Run.view(home) as run:
        assert run.is_done and not run.owes_work
        assert {name: table.all() for name, table in run.tables().items()} == records
        kept = [clip for clip in run.clips.all() if clip.latents and run.blobs.path(clip.latents).is_file()]
        assert kept, "latents of measured clips stay: the report is written from them"
    assert [each for each in examine(home).findings if not each.place.startswith(("header", "recipe"))] == []


def test_the_report_is_written_again_after_cleaning(once: Path, recipe: Recipe, tmp_path: Path) -> None:
    shutil.copytree(once, tmp_path / "run")
    clean(tmp_path / "run", ["latents"])
    with Run.open(tmp_path / "run", recipe) as run:
        run.reopen_work()
    assert improve(recipe, tmp_path / "run", check_first=False) is not None
    assert (tmp_path / "run" / "scorecard.json").read_bytes() == (once / "scorecard.json").read_bytes()


def test_training_again_makes_all_cleaned_clips_again_at_once(once: Path, recipe: Recipe, tmp_path: Path) -> None:
    home = tmp_path / "run"
    shutil.copytree(once, home)
    (part,) = (each for each in what_may_go(home) if each.name == "latents")
    clean(home, ["latents"])
    other = recipe.model_copy(update={"train": recipe.train.model_copy(update={"num_steps": 7})})
    assert improve(other, home, check_first=False, allow_change=True) is not None
    assert all(path.is_file() for path in part.paths) and examine(home).findings == ()
    with Run.view(home) as run:
        assert sum(event["event"] == "damaged" for event in run.log.read()) == 1


def test_a_cleaned_file_that_is_there_again_and_damaged_is_found(once: Path, tmp_path: Path) -> None:
    home = tmp_path / "run"
    shutil.copytree(once, home)
    (part,) = (each for each in what_may_go(home) if each.name == "latents")
    clean(home, ["latents"])
    part.paths[0].write_bytes(b"other bytes")
    assert len(examine(home).findings) == 1


def test_a_kill_between_note_and_deletion_leaves_a_run_that_checks_clean(
    once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "run"
    shutil.copytree(once, home)
    num = len(next(each for each in what_may_go(home) if each.name == "latents").paths)
    assert num > 2
    child = os.fork()
    if child == 0:
        done: list[Path] = []

        def delete(path: Path) -> None:
            if len(done) == 2:
                os._exit(9)
            done.append(path)
            path.unlink()

        monkeypatch.setattr(cleaning, "_delete", delete)
        clean(home, ["latents"])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert examine(home).findings == ()
    (rest,) = (each for each in what_may_go(home) if each.name == "latents")
    assert len(rest.paths) == num - 2 and clean(home, ["latents"]) == rest.num_bytes
    assert examine(home).findings == ()


def test_an_unfinished_run_loses_only_what_nothing_reads(once: Path, tmp_path: Path) -> None:
    home = tmp_path / "run"
    shutil.copytree(once, home)
    (home / "done").unlink()
    (home / "previews").mkdir()
    (home / "records.sqlite.damaged").write_bytes(b"old")
    assert [part.name for part in what_may_go(home)] == ["leftovers"]


def test_the_command_deletes_nothing_without_a_yes(once: Path, tmp_path: Path) -> None:
    home = tmp_path / "run"
    shutil.copytree(once, home)
    before = what_may_go(home)
    shown = CliRunner().invoke(app, ["clean", str(home)])
    assert shown.exit_code == 0 and "generated again" in " ".join(shown.output.split()) and "--yes" in shown.output
    assert what_may_go(home) == before
    assert CliRunner().invoke(app, ["clean", str(home), "--only", "latents", "--yes"]).exit_code == 0
    assert [part.name for part in what_may_go(home)] == [part.name for part in before if part.name != "latents"]


def test_an_unknown_part_is_refused_by_name(once: Path) -> None:
    refused = CliRunner().invoke(app, ["clean", str(once), "--only", "everything"])
    assert refused.exit_code != 0 and "latents" in str(refused.exception)


EXPORTS = (
    *(f"{name} --rank 2" for name in ("lora", "comfyui", "kohya")),
    *("transformer", "pipeline", "merged", "hub --license apache-2.0", "dataset --clips all"),
)


@pytest.mark.parametrize("command", EXPORTS)
def test_every_export_is_the_same_after_cleaning_everything(once: Path, tmp_path: Path, command: str) -> None:
    home = tmp_path / "run"
    shutil.copytree(once, home)
    parts = [part.name for part in what_may_go(home)]
    assert "latents" in parts
    clean(home, parts)
    name, *options = command.split()
    trees = []
    for number, run in enumerate((once, home)):
        out = tmp_path / f"out{number}"
        done = CliRunner().invoke(app, ["export", name, str(run), "--out", str(out), *options])
        assert done.exit_code == 0, done.exception
        files = [path for path in out.rglob("*") if path.is_file()]
        trees.append({path.relative_to(out).as_posix(): path.read_bytes() for path in files})
    assert trees[0] and trees[0] == trees[1]
