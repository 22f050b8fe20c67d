"""`rushes sandbox pretrain`: what it hands to the training functions, whose own signatures are held against it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rushes.cli.pretraining import pretrain_part
from rushes.doctor.weights import SUMS, check_weights


class Recorder:
    """Replaces functions; refuses calls that the real ones would refuse."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.calls: dict[str, dict[str, Any]] = {}

    def replace(self, module: ModuleType, name: str, do: Callable[[dict[str, Any]], Any]) -> None:
        signature = inspect.signature(getattr(module, name))

        def call(*arguments: Any, **options: Any) -> Any:
            bound = dict(signature.bind(*arguments, **options).arguments)
            self.calls[name] = bound
            return do(bound)

        self.monkeypatch.setattr(module, name, call)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def write(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")


def test_the_autoencoder(recorder: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rushes.sandbox.pretrain import vae

    recorder.replace(vae, "train_vae", lambda bound: "trained")
    recorder.replace(vae, "psnr_db", lambda bound: 31.25)
    pretrain_part("vae", tmp_path / "new", 36)
    assert recorder.calls["train_vae"]["folder"] == tmp_path / "new"
    assert sum(steps for _, _, steps in recorder.calls["train_vae"]["spec"].stages) == 36
    assert recorder.calls["psnr_db"]["vae"] == "trained"
    assert "31.25 dB" in capsys.readouterr().out
    pretrain_part("vae", tmp_path / "new", None)
    assert recorder.calls["train_vae"]["spec"] == vae.VaeSpec()


def test_the_base_model(recorder: Recorder, tmp_path: Path) -> None:
    from rushes.sandbox.pretrain import assemble, base

    (tmp_path / "vae.safetensors").write_bytes(b"")
    recorder.replace(assemble, "load_vae", lambda bound: "vae")
    recorder.replace(base, "train_base", lambda bound: ("model", {"weight": 1}))
    recorder.replace(assemble, "save_pipeline", lambda bound: write(bound["folder"]))
    pretrain_part("base", tmp_path, 5)
    assert (recorder.calls["train_base"]["vae"], recorder.calls["train_base"]["spec"].num_steps) == ("vae", 5)
    assert recorder.calls["save_pipeline"]["weights"] == {"weight": 1}
    assert (tmp_path / "weights" / SUMS).is_file()
    assert check_weights(tmp_path / "weights").status == "ok"


def test_the_judge(recorder: Recorder, tmp_path: Path) -> None:
    from rushes.sandbox.vqa import train, weights

    recorder.replace(train, "train_judge", lambda bound: "net")
    recorder.replace(weights, "save_judge", lambda bound: write(bound["folder"]))
    pretrain_part("judge", tmp_path, 5)
    assert recorder.calls["train_judge"]["spec"].num_steps == 5
    assert recorder.calls["save_judge"] == {"folder": tmp_path / "weights" / "judge", "net": "net"}
    assert check_weights(tmp_path / "weights").status == "ok"
