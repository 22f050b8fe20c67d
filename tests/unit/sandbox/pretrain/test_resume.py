"""Autoencoder and text-to-video model: killed on the way and started again equals trained in one go, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lab.pretrain import base, vae
from lab.pretrain.base import BaseSpec, train_base
from lab.pretrain.reading import make_text_encoder
from lab.pretrain.vae import VaeSpec, make_vae, train_vae
from rushes_sandbox.text import make_tokenizer

VAE = VaeSpec(stages=((1, 2, 2), (5, 1, 1)), num_decoder_steps=2)
BASE = BaseSpec(num_clips=3, num_steps=4, batch_size=2, compiled=False)


class Killed(Exception):
    """Stands for the end of the process."""


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decibels take longer than these trainings."""
    monkeypatch.setattr(vae, "psnr_db", lambda *_: 0.0)


def kill_after(num_steps: int, module: Any, name: str, train: Callable[[], object]) -> None:
    """Train, saving at every step, until function `name`, which each step calls once, would be called once more."""
    whole, left = getattr(module, name), iter(range(num_steps))

    def until_killed(*arguments: object) -> object:
        if next(left, None) is None:
            raise Killed
        return whole(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, "SAVED_EVERY", 1)
        patch.setattr(module, name, until_killed)
        train()


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    """Same names, same bits."""
    assert list(one) == list(two)
    assert [name for name, value in one.items() if not torch.equal(value, two[name])] == []


def test_the_autoencoder_killed_in_a_stage_and_in_the_decoders_own_steps(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = train_vae(tmp_path / "whole", VAE, quiet)
    killed = tmp_path / "killed"
    # After the stills, and, as it goes on, after the first of the decoder's own steps.
    for num_steps in (2, 2):
        kill_after(num_steps, vae, "vae_loss", lambda: train_vae(killed, VAE, quiet))
    resumed = train_vae(killed, VAE, quiet)
    assert_same(dict(whole.state_dict()), dict(resumed.state_dict()))
    assert_same(*(load_file(str(folder / "vae.safetensors")) for folder in (tmp_path / "whole", killed)))


def test_the_text_to_video_model_killed_half_way(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    autoencoder, encoder = make_vae().eval().requires_grad_(False), make_text_encoder(len(make_tokenizer()))

    def train(name: str) -> tuple[base.TextToVideo, dict[str, torch.Tensor]]:
        (tmp_path / name).mkdir(exist_ok=True)
        return train_base(tmp_path / name, autoencoder, encoder, BASE, quiet)

    whole, whole_average = train("whole")
    kill_after(2, base, "_losses", lambda: train("killed"))
    resumed, resumed_average = train("killed")
    assert_same(dict(whole.state_dict()), dict(resumed.state_dict()))
    assert_same(whole_average, resumed_average)
    assert_same(*(load_file(str(tmp_path / name / "base.safetensors")) for name in ("whole", "killed")))
    assert not torch.equal(whole_average["transformer.proj_out.weight"], whole.transformer.proj_out.weight)
    assert sorted(file.name for file in (tmp_path / "killed").iterdir()) == ["base.safetensors", "latents.safetensors"]
