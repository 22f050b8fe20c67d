"""`rushes export` from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes.cli import main


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["lora"], "pytorch_lora_weights.safetensors"),
        (["comfyui", "--strength", "0.5"], "Night--shoot-----one-comfyui.safetensors"),
        (["kohya", "--dtype", "bfloat16"], "Night--shoot-----one-kohya.safetensors"),
        (["transformer"], "diffusion_pytorch_model.safetensors"),
        (["merged", "--dtype", "float16"], "Night--shoot-----one-merged.safetensors"),
        (["pipeline"], "model_index.json"),
        (["hub", "--license", "mit", "--gallery", "0"], "README.md"),
        (["dataset", "--clips", "held_out"], "metadata.jsonl"),
    ],
)
def test_each_command_writes_its_folder(
    command: list[str], file: str, lora_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", command[0], str(lora_home), "--out", str(tmp_path / "out"), *command[1:]]) == 0
    assert file in files_in(tmp_path / "out")
    said = capsys.readouterr().out
    assert str(tmp_path / "out") in said
    assert ("keeps 100.00 % of the squared change" in said) == (command[0] in ("lora", "comfyui", "kohya", "hub"))


def test_second_export_to_the_same_folder_is_refused(
    full_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "lora", str(full_home), "--rank", "2", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert main(command) == 2
    assert "is not empty" in capsys.readouterr().err


def test_push_without_a_key_fails_before_anything_is_written(
    lora_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path.parent / "no login"))
    assert main(["export", "hub", str(lora_home), "--push", "a/b", "--out", str(tmp_path / "out")]) == 2
    assert "HF_TOKEN" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "lora", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "is not a run folder" in capsys.readouterr().err
