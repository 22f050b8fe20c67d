"""The memory model: counts against the loaded model, peaks against what training and sampling really take."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel

from rushes.families.folder import model_folder
from rushes.families.load import load_family
from rushes.families.model_size import read_model_size
from rushes.plan.memory import counted_step, generate_bytes, loaded_bytes, peak_bytes, train_bytes
from rushes.recipe.base import BaseModelSpec, ShapeSpec
from rushes.recipe.recipe import Recipe
from rushes.recipe.train import LoraSpec
from rushes.records import SamplerSettings
from rushes.train.data import TrainingSet
from rushes.train.job import Job
from rushes.train.loop import optimise
from rushes.train.network import make_network
from rushes.train.objective import TrainingLoss
from rushes.train.objectives import build_objective
from tests.support.sandbox_recipe import MODEL, sandbox_with
from tests.support.tiny_recipe import tiny_recipe
from tests.support.tiny_wan import make_tiny_wan

FACTOR = 2.0
"""How far the model may be off, as its own description says."""


def widened(folder: Path, *, width: int, num_layers: int, num_heads: int = 4) -> Path:
    """The tiny pipeline with a larger transformer."""
    make_tiny_wan(folder)
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=num_heads, attention_head_dim=width // num_heads, in_channels=4,
        out_channels=4, text_dim=16, freq_dim=16, ffn_dim=4 * width, num_layers=num_layers, rope_max_seq_len=64,
    )  # fmt: skip
    transformer.save_pretrained(str(folder / "transformer"))
    return folder


def kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def measure_peak(do: Callable[..., None], args: tuple[object, ...], answer: Connection) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = kilobytes("VmRSS")
    do(*args)
    answer.send(1024 * (kilobytes("VmHWM") - before))


def peak_of(do: Callable[..., None], *args: object) -> float:
    """Bytes that `do` adds to a process at its peak.

    Measured in an interpreter of its own: in one that has run other models, freed memory is used again and the
    libraries have already loaded what they load at first use.
    """
    context = get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=measure_peak, args=(do, args, writer))
    child.start()
    writer.close()
    peak = reader.recv()
    child.join()
    assert child.exitcode == 0
    return float(peak)


def recipe_of(folder: Path, **changes: object) -> Recipe:
    recipe = tiny_recipe(folder)
    train = recipe.train.model_copy(update={"num_steps": 2, "batch_size": 8} | changes.pop("train", {}))  # type: ignore[operator]
    return recipe.model_copy(update={"train": train, **changes})


def teach(recipe: Recipe, folder: Path) -> None:
    """Load the model and take two steps, saving the state after each."""
    family = load_family(recipe.base)
    shape = family.latent_shape(recipe.shape)
    num = 12
    data = TrainingSet(
        z_0_NCThw=torch.randn((num, *shape)), text=family.encode_text(["a red circle moves"] * num),
        empty=family.encode_text([""]), weight_N=torch.ones(num), preference_N=torch.ones(num),
        is_real_N=torch.tensor([False] * 6 + [True] * 6),
    )  # fmt: skip
    kept = {name: value.clone() for name, value in family.transformer.state_dict().items()}
    network = make_network(family, recipe.train.lora, None, autocast=False)
    objective = TrainingLoss(
        recipe.train, build_objective(recipe.train), None, torch.zeros(shape[0]), torch.ones(shape[0])
    )
    optimise(Job(network, data, objective, recipe.train, seed=1), folder)
    assert kept


def generate(recipe: Recipe, sampler: SamplerSettings) -> None:
    """Load the model and generate eight clips."""
    family = load_family(recipe.base)
    kept = {name: value.clone() for name, value in family.transformer.state_dict().items()}
    family.decode(family.sample(["a red circle"] * 8, list(range(8)), sampler, recipe.shape))
    assert kept


CASES = {
    "weights": (256, 8, ShapeSpec(height_px=32, width_px=32, num_frames=5), {}),
    "activations": (128, 4, ShapeSpec(height_px=128, width_px=128, num_frames=17), {}),
    "adapter": (256, 8, ShapeSpec(height_px=64, width_px=64, num_frames=17), {"lora": LoraSpec(rank=4, alpha=4)}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_training_takes_what_the_model_says_within_its_factor(case: str, tmp_path: Path) -> None:
    width, num_layers, shape, train = CASES[case]
    folder = widened(tmp_path / "model", width=width, num_layers=num_layers)
    recipe = recipe_of(folder, shape=shape, train={"checkpoint_every": 1, **train})
    size = read_model_size(folder)
    assert size is not None
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    measured, told = peak_of(teach, recipe, scratch), train_bytes(size, recipe)
    assert told is not None
    print(f"{case}: measured {measured / 1e6:.0f} MB, told {told / 1e6:.0f} MB, {told / measured:.2f}")
    assert measured > 50e6, "too small to tell anything"
    assert 1 / FACTOR < told / measured < FACTOR


@pytest.mark.slow
def test_generating_takes_what_the_model_says_within_its_factor() -> None:
    recipe = sandbox_with("runtime.generate_batch=8")
    sampler = recipe.generate.sampler.model_copy(update={"num_steps": 1, "precision": "float32"})

    size = read_model_size(Path(model_folder(MODEL)))
    assert size is not None
    measured, told = peak_of(generate, recipe, sampler), generate_bytes(size, recipe)
    print(f"generate: measured {measured / 1e6:.0f} MB, told {told / 1e6:.0f} MB, {told / measured:.2f}")
    assert 1 / FACTOR < told / measured < FACTOR


def test_parameters_are_those_of_the_loaded_model() -> None:
    size = read_model_size(Path(model_folder(MODEL)))
    assert size is not None
    family = load_family(BaseModelSpec(model=MODEL))
    count = {
        name: sum(p.numel() for p in getattr(family.pipeline, name).parameters())
        for name in ("transformer", "text_encoder", "vae")
    }
    assert size.num_transformer == count["transformer"]
    assert size.num_autoencoder == count["vae"]
    assert size.num_text == pytest.approx(count["text_encoder"], rel=0.3)  # tied tables may be stored once or twice
    assert (size.channels, size.num_tokens(ShapeSpec()), size.num_latents(ShapeSpec())) == (16, 80, 16 * 5 * 8 * 8)


def test_an_adapter_is_counted_as_peft_makes_it(tmp_path: Path) -> None:
    folder = widened(tmp_path, width=32, num_layers=6)
    size = read_model_size(folder)
    assert size is not None
    family = load_family(BaseModelSpec(model=str(folder)))
    network = make_network(family, LoraSpec(rank=3, alpha=3), None, autocast=False)
    counted = counted_step(size, recipe_of(folder, train={"lora": LoraSpec(rank=3, alpha=3)}), "all")
    assert counted is not None and counted.frozen == 0
    assert counted.num_trained == sum(p.numel() for p in network.parameters().values())
    assert counted.weights == pytest.approx(sum(p.nbytes for p in network.tuned.parameters()), rel=0.01)


def test_a_larger_batch_or_more_weights_take_more_and_micro_batches_less() -> None:
    size = read_model_size(Path(model_folder(MODEL)))
    assert size is not None

    def peak(*overrides: str, stage: str = "train") -> int:
        found = peak_bytes(size, sandbox_with(*overrides), stage)
        assert found is not None
        return found

    assert peak("train.batch_size=256") > peak("train.batch_size=16")
    assert peak("train.batch_size=256", "train.num_accumulation=16") < peak("train.batch_size=256")
    assert peak("train.lora={rank: 4}") < peak()
    assert peak("runtime.generate_batch=64", stage="generate") > peak(stage="generate")


def test_what_is_not_known_has_no_number(tmp_path: Path) -> None:
    assert read_model_size(tmp_path) is None
    assert read_model_size(Path(model_folder("Wan-AI/Wan2.1-T2V-1.3B-Diffusers"))) is None
    folder = make_tiny_wan(tmp_path / "model")
    huge = json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode()
    for header in (b"no", struct.pack("<Q", 2**62) + b"{}", struct.pack("<Q", len(huge)) + huge):
        (folder / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(header)
        assert read_model_size(folder) is None
    size = read_model_size(Path(model_folder(MODEL)))
    assert size is not None
    plugin = sandbox_with("judge.judge={kind: plugin, use: 'a:B'}")
    assert peak_bytes(size, plugin, "judge") is None


def test_an_autoencoder_in_bfloat16_takes_half() -> None:
    whole, half = sandbox_with(), sandbox_with("base.autoencoder_precision=bfloat16")
    size = read_model_size(Path(model_folder(MODEL)))
    assert size is not None
    assert loaded_bytes(size, whole) - loaded_bytes(size, half) == 2 * size.num_autoencoder > 0
