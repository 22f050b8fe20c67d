"""`--num-processes` and the environment of a launcher: which settings they stand for."""

from __future__ import annotations

import pytest

from rushes.cli.exits import EXIT_USER_ERROR
from rushes.cli.main import main
from rushes.cli.several import assisting, check_sharing, sharing
from rushes.errors import RecipeError
from rushes.train import launched
from rushes.train.launched import MARK

TWO = {MARK: "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TWO, "ACCELERATE_USE_FSDP"):
        monkeypatch.delenv(name, raising=False)


def test_the_option_is_a_setting() -> None:
    assert sharing(None) == []
    assert sharing(3) == ["runtime.train.num_processes=3"]
    assert not assisting()


def test_a_launcher_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(launched.ctypes, "CDLL", lambda name: pytest.fail("this process would end with pytest's"))
    assert sharing(None) == sharing(2) == ["runtime.train.num_processes=2"]
    check_sharing(2)
    assert sharing(3) == ["runtime.train.num_processes=3"]
    with pytest.raises(RecipeError, match="a different number of processes"):
        check_sharing(3)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert sharing(None)[-1] == "runtime.train.parallel=fsdp"


def test_the_first_of_a_launchers_processes_works_and_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)
    tied: list[object] = []
    monkeypatch.setattr("rushes.cli.several.end_with_parent", lambda: tied.append(1))
    assert not assisting()
    assert tied == [1]


def test_variables_of_no_launcher_are_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_sharing(1)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert sharing(None) == [] and not assisting()
    check_sharing(1)
    assert "ignoring RANK=1 WORLD_SIZE=4" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_batch_that_does_not_divide_is_refused_at_once(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("run") / "home"
    assert main([command, "sandbox", "--home", str(home), "--num-processes", "7"]) == EXIT_USER_ERROR
    assert "multiple of" in " ".join(capsys.readouterr().err.split())
    assert not home.exists()
