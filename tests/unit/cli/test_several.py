"""`--num-processes` and the environment of a launcher: which settings they stand for."""

from __future__ import annotations

import pytest

from rushes.cli.main import EXIT_USER_ERROR, main
from rushes.cli.several import helping, sharing
from rushes.errors import RecipeError

TWO = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TWO, "ACCELERATE_USE_FSDP"):
        monkeypatch.delenv(name, raising=False)


def test_the_option_is_a_setting() -> None:
    assert sharing(None) == []
    assert sharing(3) == ["runtime.train.num_processes=3"]
    assert not helping()


def test_a_launcher_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)
    assert sharing(None) == sharing(2) == ["runtime.train.num_processes=2"]
    assert not helping(), "the first process works"
    with pytest.raises(RecipeError, match="different numbers"):
        sharing(3)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert sharing(None)[-1] == "runtime.train.parallel=fsdp"


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_batch_that_does_not_divide_is_refused_at_once(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("run") / "home"
    assert main([command, "sandbox", "--home", str(home), "--num-processes", "7"]) == EXIT_USER_ERROR
    assert "multiple of" in " ".join(capsys.readouterr().err.split())
    assert not home.exists()
