"""Each test meets an error of a run folder, a base model or a server, does what it says, and sees the error gone.

`tests/unit/advice.yaml` says which text each of them covers.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

from rushes.cli.main import main
from rushes.judge.stage import build_judge
from rushes.pipeline import improve
from rushes.recipe.load import load_recipe
from rushes.recipe.recipe import Recipe
from rushes.recipe.weights import WeightsSpec
from rushes.records import Clip, Question
from rushes.roles import JudgeRequest, Video
from rushes.store.run import Run
from tests.support.followed import commands_in, failing, settings_in, step_of, ways_in
from tests.support.odd_server import OddServer, says, status
from tests.support.tiny_families import TINY
from tests.support.tiny_recipe import small
from tests.unit.audit.test_sources import make_run


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("model")
    return small(TINY["wan-2.1"], TINY["wan-2.1"].save(folder))


@pytest.fixture(scope="module")
def finished(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; only read."""
    home = tmp_path_factory.mktemp("finished") / "run"
    improve(recipe, home)
    return home


def own_base(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with a base model of its own, to be harmed."""
    shutil.copytree(recipe.base.model, folder)
    return recipe.model_copy(update={"base": recipe.base.model_copy(update={"model": str(folder)})})


# ---------------------------------------------------------------------------------------------- run folders


def test_see_who_works_where_no_number_is_known(recipe: Recipe, tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", recipe):
        (tmp_path / "run" / "lock").write_text("")
        (command,) = commands_in(step_of(lambda: Run.open(tmp_path / "run", recipe)))
        assert main(command) == 0
    Run.open(tmp_path / "run", recipe).close()


def test_name_a_run_folder_on_another_disk(recipe: Recipe, tmp_path: Path) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with pytest.MonkeyPatch.context() as without_locks:
        without_locks.setattr("rushes.store.lock.fcntl.flock", flock)
        assert "on another disk with --home" in step_of(lambda: Run.open(tmp_path / "run", recipe))
    Run.open(tmp_path / "other" / "run", recipe).close()


def test_audit_all_dimensions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "run")
    judge = ["--set", "judge.judge={use: 'tests.support.fakes:HashJudgeSpec'}", "--control", "black_video"]
    command = ["judge", "audit", str(tmp_path / "run"), "--recipe", "tiny", *judge]
    assert failing([*command, "--dimension", "Camera_Motion"], capsys).startswith("leave --dimension out")
    assert main(command) == 0


def test_name_the_run_folder(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("check", "status"):
        assert failing([command, str(tmp_path)], capsys).startswith("name the run folder")
        assert main([command, str(finished)]) == 0
        capsys.readouterr()


def test_check_and_run_again_where_a_folder_is_in_the_way(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "my run"
    shutil.copytree(finished, home)
    again = ["run", f"{home}/recipe.yaml", "--home", str(home)]
    for name, command in (("events.jsonl", ["status", str(home)]), ("lock", again)):
        (home / name).unlink()
        (home / name).mkdir()
        check, run = commands_in(failing(command, capsys))
        assert main(check) == 0 and main(run) == 0
        capsys.readouterr()
    assert main(["check", str(home)]) == 0


def test_move_away_what_is_in_the_way(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_text("no folder")
    command = ["export", "transformer", str(finished), "--out", str(tmp_path / "a" / "b")]
    place = failing(command, capsys).removeprefix("move ").partition(" away")[0]
    Path(place).rename(tmp_path / "moved")
    assert main(command) == 0


def test_restore_the_base_or_allow_the_change(recipe: Recipe, tmp_path: Path) -> None:
    mine, home = own_base(recipe, tmp_path / "model"), tmp_path / "run"
    improve(mine, home, until="prompts")
    (file,) = (tmp_path / "model" / "transformer").glob("*.safetensors")
    data = file.read_bytes()
    for restored in (True, False):
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        step = step_of(lambda: improve(mine, home, until="prompts"))
        assert "restore the old files" in step and "--allow-change" in step
        if restored:
            file.write_bytes(data)
        assert improve(mine, home, until="prompts", allow_change=not restored) is None


def test_decode_the_clips_after_all(recipe: Recipe, tmp_path: Path) -> None:
    home = tmp_path / "run"

    def generate(decode: bool) -> None:
        update = {"decode": decode, "latents": "sampler"}
        changed = {"generate": recipe.generate.model_copy(update=update), "weights": WeightsSpec(kind="uniform")}
        improve(recipe.model_copy(update=changed), home, until="generate", allow_change=True)

    def clips() -> list[Clip]:
        with Run.view(home) as run:
            return [each for each in run.clips.all() if each.origin == "model"]

    generate(decode=False)
    bare = next(each for each in clips() if each.video is None)
    (setting,) = settings_in(step_of(lambda: bare.frames))
    assert setting == "generate.decode=true"
    generate(decode=True)
    same = [each for each in clips() if (each.prompt_key, each.seed_index) == (bare.prompt_key, bare.seed_index)]
    assert any(each.video is not None and each.frames for each in same)


def test_watch_a_run_and_compare_its_looks(
    finished: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ((watch,),) = ways_in(failing(["compare", f"{finished}@0", str(finished)], capsys))
    home = tmp_path / "my run"
    assert main(["prompts", f"{finished}/recipe.yaml", "--home", str(home), "--set", watch]) == 0
    capsys.readouterr()
    status_, run = commands_in(failing(["compare", f"{home}@0", str(home)], capsys))
    assert main(status_) == 0 and main(run) == 0 and main(["compare", f"{home}@0", str(home)]) == 0
    capsys.readouterr()
    for wrong in ("x", "99"):
        (command,) = commands_in(failing(["compare", f"{home}@{wrong}", str(home)], capsys))
        assert main(command) == 0
        capsys.readouterr()


# ---------------------------------------------------------------------------------------------- export


def test_complete_the_base_or_export_without_it(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = Path(load_recipe(finished / "recipe.yaml").base.model)
    monkeypatch.setattr("rushes.export.base.check_same_base", lambda source, base: None)  # it would say the same first
    numbers = iter(range(99))

    def export(what: str) -> list[str]:
        return ["export", what, str(finished), "--out", str(tmp_path / f"out{next(numbers)}")]

    for name, what in (("vae", "pipeline"), ("transformer/config.json", "transformer"), ("transformer", "transformer")):
        (base / name).rename(tmp_path / "kept")
        if name == "transformer":
            (base / name).mkdir()
            shutil.copy(tmp_path / "kept" / "config.json", base / name)
        step = failing(export(what), capsys)
        for command in commands_in(step):
            assert main([*command, "--out", str(tmp_path / f"out{next(numbers)}")]) == 0
        assert commands_in(step) or "check base.model in the run's recipe.yaml" in step
        if name == "transformer":
            shutil.rmtree(base / name)
        (tmp_path / "kept").rename(base / name)
        assert main(export(what)) == 0
        capsys.readouterr()


# ---------------------------------------------------------------------------------------------- servers


@pytest.mark.parametrize("said", ["image input is not supported", "no such template"])
def test_check_the_server_and_run_again(said: str) -> None:
    video = Video(np.zeros((8, 32, 32, 3), np.uint8), 8.0)
    texts = [f"Is it number {number}?" for number in range(20)]
    questions = [Question(text=text, dimension="Color", expected="yes", about="semantics") for text in texts]
    requests = [JudgeRequest(video, "x", (question,)) for question in questions]

    def answered(server: OddServer) -> object:
        judge = "judge.judge={kind: vlm, model: {kind: server, model: eyes}}"
        recipe = load_recipe("tiny", [judge, f"runtime.servers.main.url={server.url}"])
        return list(build_judge(recipe.judge, recipe.runtime).answer(requests))

    with OddServer(status(400, said)) as server:
        step = step_of(lambda: answered(server))
    assert "check the server, runtime.servers.main and the model 'eyes'" in step
    assert ("serve a model that takes them" in step) == ("image" in said)
    with OddServer(says("yes", {"yes": 0.9, "no": 0.1})) as server:
        assert answered(server)


def test_name_or_make_a_run_folder(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the list of runs says where there is no folder of runs: both ways out work as printed."""
    monkeypatch.chdir(tmp_path)
    step = failing(["status"], capsys)
    assert step.startswith("name a run folder, or make one: ")
    (command,) = commands_in(step)
    assert command == ["run", "sandbox"] and load_recipe(command[1])
    assert main(["status", str(finished)]) == 0
