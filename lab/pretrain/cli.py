"""Pre-training of the sandbox's models, part by part; each part resumes where it stopped."""

from __future__ import annotations

import dataclasses
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from rushes.errors import InputError
from rushes.store.files import make_folder
from rushes_sandbox.checks import write_sums


@dataclass(frozen=True)
class Amount:
    """How much to train instead of a part's own numbers, and where."""

    num_steps: int | None = None
    """Steps; None for the part's own number."""
    num_clips: int | None = None
    """Rendered clips that the text-to-video model learns from; None for its own number. Other parts draw new clips."""
    compiled: bool = True
    """Whether the text-to-video model may be compiled: worth it from a few hundred steps, needs a C++ compiler."""
    device: str = "cpu"
    """Where it computes: `cpu`, `cuda` or one of several GPUs, such as `cuda:1`."""


def pretrain_part(part: str, folder: Path, amount: Amount = Amount()) -> None:
    """Train one part, or resume its training.

    Args:
        part: "vae", "base" (text encoder and transformer; needs the trained autoencoder) or "judge".
        folder: where its state is kept; results go to `weights/` in it.
        amount: how much to do.

    Raises:
        InputError: the base is requested without a trained autoencoder, or the device does not exist here.
        StoreError: the folder cannot be written.
    """
    check_device(amount.device)
    make_folder(folder)
    {"vae": _vae, "base": _base, "judge": _judge}[part](folder, amount)


def check_device(name: str) -> None:
    """Check before hours of work that the device exists.

    Raises:
        InputError: it is neither a CPU nor a GPU that torch can use here.
    """
    import torch

    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    here = ("cpu", *(["cuda"] if num_gpus else []), *(f"cuda:{number}" for number in range(num_gpus)))
    if name not in here:
        raise InputError(
            f"there is no device {name} on this machine",
            expected=" or ".join(here),
            got=name,
            next_step="leave --device out to train on the CPU; `rushes doctor` says which devices torch can use",
        )


def stage_steps(stages: tuple[tuple[int, int, int], ...], num_steps: int) -> tuple[tuple[int, int, int], ...]:
    """The stages of the autoencoder's training (frames, batch, steps), shortened or stretched to `num_steps` in all.

    Each stage keeps its share; what rounding leaves over goes to the last.
    """
    total = sum(steps for _, _, steps in stages)
    scaled = [steps * num_steps // total for _, _, steps in stages]
    scaled[-1] += num_steps - sum(scaled)
    return tuple((frames, batch, steps) for (frames, batch, _), steps in zip(stages, scaled, strict=True))


def _vae(folder: Path, amount: Amount) -> None:
    from lab.pretrain.vae import VaeSpec, psnr_db, train_vae

    spec = VaeSpec()
    if amount.num_steps is not None:
        whole = sum(steps for _, _, steps in spec.stages)
        decoder = amount.num_steps * spec.num_decoder_steps // (whole + spec.num_decoder_steps)
        stages = stage_steps(spec.stages, amount.num_steps - decoder)
        spec = dataclasses.replace(spec, stages=stages, num_decoder_steps=decoder)
    vae = train_vae(folder, spec, _say, amount.device)
    print(f"autoencoder: {psnr_db(vae):.2f} dB on held-out clips")


def _base(folder: Path, amount: Amount) -> None:
    if not (folder / "vae.safetensors").is_file():
        raise InputError(
            f"there is no trained autoencoder in {folder}",
            expected="vae.safetensors",
            next_step=f"train it first: python -m lab.pretrain vae --folder {folder}",
        )
    from lab.pretrain.assemble import load_vae, save_pipeline
    from lab.pretrain.base import BaseSpec, train_base
    from lab.pretrain.reading import ReadingSpec, train_text_encoder

    reading = ReadingSpec()
    spec = dataclasses.replace(BaseSpec(), compiled=amount.compiled and _can_compile())
    if amount.num_steps is not None:
        spec = dataclasses.replace(spec, num_steps=amount.num_steps)
        reading = dataclasses.replace(reading, num_steps=min(reading.num_steps, amount.num_steps))
    if amount.num_clips is not None:
        spec = dataclasses.replace(spec, num_clips=amount.num_clips)
    vae = load_vae(folder)
    encoder = train_text_encoder(folder, reading, _say, amount.device)
    _, weights = train_base(folder, vae, encoder, spec, _say, amount.device)
    save_pipeline(folder / "weights" / "base", vae, weights)
    write_sums(folder / "weights")
    print(f"model: {folder / 'weights' / 'base'}")


def _judge(folder: Path, amount: Amount) -> None:
    from lab.judge.train import JudgeSpec, train_judge
    from rushes_sandbox.vqa.weights import save_judge

    spec = JudgeSpec() if amount.num_steps is None else dataclasses.replace(JudgeSpec(), num_steps=amount.num_steps)
    beside = (os.cpu_count() or 1) > 1
    net = train_judge(folder / "judge", spec, _say, beside=beside, device=amount.device)
    save_judge(folder / "weights" / "judge", net)
    write_sums(folder / "weights")
    print(f"judge: {folder / 'weights' / 'judge'}")


def _can_compile() -> bool:
    """Whether there is a C++ compiler; if not, a message says that training is slower."""
    found = any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++") if name)
    if not found:
        _say("no C++ compiler found (g++, clang++): the model is not compiled, and steps take about 1.6 times as long")
    return found


def _say(line: str) -> None:
    print(line, flush=True)
