"""`python -m lab.pretrain`: what it hands to the training functions, whose own signatures are held against it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from lab.pretrain import __main__ as command
from lab.pretrain.cli import Amount, pretrain_part, stage_steps
from rushes.errors import InputError
from rushes_sandbox.checks import SUMS, check_weights


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


def run(*arguments: str) -> Result:
    """`python -m lab.pretrain` with these arguments."""
    app = typer.Typer(add_completion=False)
    app.command()(command.pretrain)
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def write(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")


@pytest.mark.parametrize("words", [["jugde"], ["vae", "--steps", "0"]])
def test_what_is_no_part_or_no_number_of_steps_ends_with_2(words: list[str], tmp_path: Path) -> None:
    assert run(*words, "--folder", str(tmp_path / "new")).exit_code == 2
    assert not (tmp_path / "new").exists()


def test_the_parts_are_done_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done: list[tuple[str, Path, Amount]] = []
    monkeypatch.setattr(command, "pretrain_part", lambda *arguments: done.append(arguments))
    assert run("--folder", str(tmp_path)).exit_code == 0
    assert done == [(part, tmp_path, Amount()) for part in ("vae", "base", "judge")]
    assert run("judge", "--folder", str(tmp_path), "--steps", "7").exit_code == 0
    assert done[-1] == ("judge", tmp_path, Amount(num_steps=7))
    assert "--no-compile" in run("--help").output


def test_the_base_needs_an_autoencoder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trained autoencoder"):
        pretrain_part("base", tmp_path)


@pytest.mark.parametrize("num_steps", [1, 7, 3600, 10_000])
def test_shortened_stages_keep_their_shares(num_steps: int) -> None:
    stages = ((1, 16, 500), (5, 8, 700), (17, 4, 2400))
    scaled = stage_steps(stages, num_steps)
    assert [(frames, batch) for frames, batch, _ in scaled] == [(1, 16), (5, 8), (17, 4)]
    assert sum(steps for _, _, steps in scaled) == num_steps
    for (_, _, steps), (_, _, full) in zip(scaled, stages, strict=True):
        assert abs(steps - full * num_steps / 3600) < len(stages)


def test_the_autoencoder(recorder: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lab.pretrain import vae

    recorder.replace(vae, "train_vae", lambda bound: "trained")
    recorder.replace(vae, "psnr_db", lambda bound: 31.25)
    pretrain_part("vae", tmp_path / "new", Amount(num_steps=36))
    assert recorder.calls["train_vae"]["folder"] == tmp_path / "new"
    spec = recorder.calls["train_vae"]["spec"]
    assert spec.num_decoder_steps > 0
    assert sum(steps for _, _, steps in spec.stages) + spec.num_decoder_steps == 36
    assert recorder.calls["psnr_db"]["vae"] == "trained"
    assert "31.25 dB" in capsys.readouterr().out
    pretrain_part("vae", tmp_path / "new")
    assert recorder.calls["train_vae"]["spec"] == vae.VaeSpec()


def test_the_base_model(recorder: Recorder, tmp_path: Path) -> None:
    from lab.pretrain import assemble, base, reading

    (tmp_path / "vae.safetensors").write_bytes(b"")
    recorder.replace(reading, "train_text_encoder", lambda bound: "encoder")
    recorder.replace(assemble, "load_vae", lambda bound: "vae")
    recorder.replace(base, "train_base", lambda bound: ("model", {"weight": 1}))
    recorder.replace(assemble, "save_pipeline", lambda bound: write(bound["folder"]))
    pretrain_part("base", tmp_path, Amount(num_steps=5, num_clips=7, compiled=False))
    assert (recorder.calls["train_base"]["vae"], recorder.calls["train_base"]["spec"].num_steps) == ("vae", 5)
    assert recorder.calls["train_base"]["text_encoder"] == "encoder"
    assert recorder.calls["train_text_encoder"]["spec"].num_steps == 5
    spec = recorder.calls["train_base"]["spec"]
    assert (spec.num_clips, spec.compiled) == (7, False)
    assert recorder.calls["save_pipeline"]["weights"] == {"weight": 1}
    assert (tmp_path / "weights" / SUMS).is_file()
    assert check_weights(tmp_path / "weights").status == "ok"


def test_the_judge(recorder: Recorder, tmp_path: Path) -> None:
    from lab.judge import train
    from rushes_sandbox.vqa import weights

    recorder.replace(train, "train_judge", lambda bound: "net")
    recorder.replace(weights, "save_judge", lambda bound: write(bound["folder"]))
    pretrain_part("judge", tmp_path, Amount(num_steps=5))
    assert recorder.calls["train_judge"]["spec"].num_steps == 5
    assert recorder.calls["save_judge"] == {"folder": tmp_path / "weights" / "judge", "net": "net"}
    assert check_weights(tmp_path / "weights").status == "ok"


def test_without_a_compiler_the_model_is_trained_as_it_is(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lab.pretrain import assemble, base, reading

    (tmp_path / "vae.safetensors").write_bytes(b"")
    recorder.replace(reading, "train_text_encoder", lambda bound: "encoder")
    recorder.replace(assemble, "load_vae", lambda bound: "vae")
    recorder.replace(base, "train_base", lambda bound: ("model", {}))
    recorder.replace(assemble, "save_pipeline", lambda bound: write(bound["folder"]))
    monkeypatch.setattr("lab.pretrain.cli.shutil.which", lambda name: None)
    pretrain_part("base", tmp_path)
    assert not recorder.calls["train_base"]["spec"].compiled
    assert "no C++ compiler" in capsys.readouterr().out


def test_every_trainer_is_told_the_device(recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.judge import train
    from lab.pretrain import assemble, base, reading, vae
    from rushes_sandbox.vqa import weights

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    (tmp_path / "vae.safetensors").write_bytes(b"")
    recorder.replace(vae, "train_vae", lambda bound: "trained")
    recorder.replace(vae, "psnr_db", lambda bound: 31.25)
    recorder.replace(reading, "train_text_encoder", lambda bound: "encoder")
    recorder.replace(assemble, "load_vae", lambda bound: "vae")
    recorder.replace(base, "train_base", lambda bound: ("model", {}))
    recorder.replace(assemble, "save_pipeline", lambda bound: write(bound["folder"]))
    recorder.replace(train, "train_judge", lambda bound: "net")
    recorder.replace(weights, "save_judge", lambda bound: write(bound["folder"]))
    assert run("all", "--folder", str(tmp_path), "--device", "cuda:1").exit_code == 0
    told = {name: bound.get("device") for name, bound in recorder.calls.items() if name.startswith("train_")}
    assert told == dict.fromkeys(("train_vae", "train_text_encoder", "train_base", "train_judge"), "cuda:1")


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "gpu", "meta"])
def test_a_device_that_is_not_here_is_refused_before_any_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    folder = tmp_path / "new"
    error = run("vae", "--folder", str(folder), "--device", name).exception
    assert isinstance(error, InputError)
    said = str(error)
    assert f"no device {name} on this machine" in said and "expected: cpu" in said and "leave --device out" in said
    assert not folder.exists()


@pytest.mark.slow
def test_each_part_from_the_command_line_gives_weights_that_load(tmp_path: Path) -> None:
    """The real thing with a handful of steps: nothing is replaced."""
    from rushes.families.load import load_family
    from rushes.recipe.base import BaseModelSpec
    from rushes_sandbox.vqa.judge import SandboxJudge

    folder = tmp_path / "pretrain"

    def pretrain(part: str, *options: str) -> int:
        return run(part, "--folder", str(folder), *options).exit_code

    alone = run("base", "--folder", str(folder), "--steps", "1")
    assert isinstance(alone.exception, InputError), "without an autoencoder there is nothing to train the model on"
    assert "lab.pretrain vae" in str(alone.exception)
    assert pretrain("vae", "--steps", "2") == 0
    assert pretrain("base", "--steps", "2", "--clips", "4", "--no-compile") == 0
    assert pretrain("judge", "--steps", "2") == 0
    assert check_weights(folder / "weights").status == "ok"
    family = load_family(BaseModelSpec(model=str(folder / "weights" / "base")))
    assert family.encode_text(["a red circle"]) is not None
    SandboxJudge.load(folder / "weights" / "judge")
    # The same command on a finished part does no step more.
    assert pretrain("base", "--steps", "2", "--clips", "4", "--no-compile") == 0
