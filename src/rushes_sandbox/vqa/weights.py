"""The judge as a folder: `config.json`, `model.safetensors` (half precision) and `vocabulary.json`."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from rushes.errors import InputError
from rushes.store.tensors import write_tensors
from rushes_sandbox.vqa.language import question_vocabulary
from rushes_sandbox.vqa.model import JudgeConfig, JudgeNet


def save_judge(folder: Path, net: JudgeNet) -> None:
    """Write `net` and its vocabulary to `folder`, replacing an older judge there file by file."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.to(torch.float16) for name, value in net.state_dict().items()}
    write_tensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps(net.config.to_json(), indent=2) + "\n")
    (folder / "vocabulary.json").write_text(json.dumps(list(question_vocabulary())) + "\n")


def load_judge(folder: Path) -> tuple[JudgeNet, dict[str, int]]:
    """Load a judge: the network in single precision, ready to answer, and the ids of the words it reads.

    Raises:
        InputError: a file is missing, damaged, or of another kind of judge.
    """
    try:
        config = JudgeConfig(**json.loads((folder / "config.json").read_text()))
        words: list[str] = json.loads((folder / "vocabulary.json").read_text())
        net = JudgeNet(config)
        net.load_state_dict({n: v.float() for n, v in load_file(str(folder / "model.safetensors")).items()})
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"no judge can be loaded from {folder}: {error}",
            expected="config.json, model.safetensors and vocabulary.json of a sandbox judge",
            next_step="train one: python -m lab.judge.train --folder FOLDER, and name FOLDER/judge",
        ) from error
    return net.eval().requires_grad_(False), {word: index + 1 for index, word in enumerate(words)}
